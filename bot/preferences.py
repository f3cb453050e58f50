"""/settings: what a person sets once and for all. Pure.

It lies over a draft in the same panel, as the library does. Each page has one question, and an
answer leads back to the overview.
"""

from dataclasses import replace

from bot import speaking
from bot.draft import Conversation
from bot.events import Action, Choice, ChooseLanguage, Command, Event, Prefer
from bot.facts import Facts
from bot.howto import TOOLS
from bot.moves import Step, move_below
from bot.opened import Opened, View
from bot.screen import Line
from bot.texts.catalog import languages
from storage.preferences import Pings, Preferences
from trainer.presets import Quality

ASK = "ask"  # in place of a base or a language: none is chosen beforehand
TOPICS = ("language", "base", "quality", "tool", "pings", "samples")


def takes(event: Event) -> bool:
    match event:
        case Command(name="settings"):
            return True
        case Choice(verb="settings" | "prefer"):
            return True
    return False


def step(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """``/settings``, a page of it, or an answer like ``quality.quick``."""
    match event:
        case Choice(verb="settings", argument=topic):
            return _show(conversation, topic if topic in TOPICS else ""), ()
        case Choice(verb="prefer", argument=said):
            return _answer(conversation, said, facts)
    return _show(move_below(conversation), ""), ()


def _show(conversation: Conversation, topic: str) -> Conversation:
    opened = conversation.opened
    if opened is None or opened.view is not View.SETTINGS:
        conversation, opened = move_below(conversation), Opened(view=View.SETTINGS)
    # Counted, so that an answer is shown also where the page stays the same.
    return replace(conversation, opened=replace(opened, tool=topic, page=opened.page + 1))


def _answer(conversation: Conversation, said: str, facts: Facts) -> Step:
    topic, _, value = said.partition(".")
    action = _chosen(topic, value, facts)
    if action is None:
        return _show(conversation, ""), ()
    shown = _show(conversation, "")
    return replace(shown, note=Line(key="settings.saved")), (action,)


def _chosen(topic: str, value: str, facts: Facts) -> Action | None:
    """None: nothing that can be chosen here, as an old button may say."""
    if topic == "language":
        known = value in {*languages(), speaking.AUTO}
        return ChooseLanguage("" if value == speaking.AUTO else value) if known else None
    wanted = _changed(topic, value, facts)
    return None if wanted is None else Prefer(wanted)


def _changed(topic: str, value: str, facts: Facts) -> Preferences | None:
    now = facts.preferences
    match topic:
        case "base" if value == ASK or facts.base(value) is not None:
            return now.changed(base_model="" if value == ASK else value)
        case "quality" if value in set(Quality):
            return now.changed(quality=value)
        case "tool" if value in TOOLS:
            return now.changed(tool=value)
        case "pings" if value in set(Pings):
            return now.changed(pings=Pings(value))
        case "samples" if value in {"on", "off"}:
            return now.changed(samples=value == "on")
    return None
