"""/language: in which one the bot speaks to a person. Pure."""

from dataclasses import replace

from bot import screens
from bot.draft import Conversation, State
from bot.events import Choice, ChooseLanguage, Command, Event, Show
from bot.facts import Facts
from bot.moves import Step
from bot.screen import Button, Line, Screen
from bot.texts.catalog import languages, nearest

AUTO = "auto"


def choose(conversation: Conversation, event: Event, _facts: Facts) -> Step:
    """``/language ru``, a button, or the question which one."""
    said = event.argument if isinstance(event, Command | Choice) else ""
    wanted = said.strip().lower()
    if wanted not in {*languages(), AUTO} and not (wanted and nearest(wanted, "")):
        return conversation, (Show(_question()),)
    chosen = "" if wanted == AUTO else nearest(wanted)
    done = Show(screens.toast(Line(key="language.done")))
    # The panel is said again in it, below.
    again = conversation.state is not State.IDLE
    after = replace(conversation, panel=conversation.panel + 1) if again else conversation
    return after, (ChooseLanguage(chosen), done)


def _question() -> Screen:
    row = tuple(Button(label=f"language.{one}", verb="lang", argument=one) for one in languages())
    auto = Button(label="language.auto", verb="lang", argument=AUTO)
    return screens.toast(Line(key="language.ask"), buttons=(row, (auto,)))
