"""A form that was filled in: several answers at once, for networks that have forms. Pure."""

from dataclasses import replace

from bot import naming, screens
from bot.answers import ask_next, choose_name
from bot.draft import Conversation, State
from bot.events import Event, Filled, GiveConsent, Show, Text
from bot.facts import Facts
from bot.moves import Step, begin
from bot.screen import Line
from storage.job import CLASS_WORDS


def fill(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """What is not usable is asked for in the chat; without consent there is no draft."""
    assert isinstance(event, Filled)  # noqa: S101  the table says so
    if not event.consent:
        buttons = ((screens.TRAIN, screens.HELP),)
        return conversation, (Show(screens.toast(Line(key="form.consent"), buttons=buttons)),)
    begun, _ = begin(conversation, event, facts)
    kind = event.kind if event.kind in CLASS_WORDS else ""
    base = facts.base(event.base)
    known = event.base if base is not None and base.installed else ""
    answered = replace(begun, kind=kind, base=known, state=State.NAME)
    named, _ = choose_name(answered, Text(event.name), facts)
    if not named.name:
        return named, (GiveConsent(),)
    # A form has no question for it: the summary shows the word, and a button changes it.
    trigger = naming.suggest_trigger(named.name)
    return ask_next(replace(named, trigger=trigger, suggestion=""), facts), (GiveConsent(),)


def fill_again(conversation: Conversation, event: Event, _facts: Facts) -> Step:
    """A second form does not throw away the draft that is there; its photos join it."""
    assert isinstance(event, Filled)  # noqa: S101  the table says so
    resumed = replace(conversation, panel=conversation.panel + 1, below=False)
    return replace(resumed, note=Line(key="draft.resumed")), ()
