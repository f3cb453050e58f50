"""Handlers of the questions: kind, name, trigger, base, and which one comes next. Pure."""

from dataclasses import replace

from bot import naming
from bot.draft import Conversation, State
from bot.events import Choice, Event, Text
from bot.facts import Facts
from bot.moves import Step, unexpected
from bot.screen import Line
from storage.job import CLASS_WORDS
from trainer.presets import Quality


def choose_kind(conversation: Conversation, event: Event, facts: Facts) -> Step:
    kind = _argument(event).lower().removeprefix("a ")
    if kind not in CLASS_WORDS:
        return unexpected(conversation, event, facts)
    return ask_next(replace(conversation, kind=kind), facts), ()


def choose_name(conversation: Conversation, event: Event, facts: Facts) -> Step:
    name = _argument(event)
    if not naming.is_good_name(name):
        suggestion = naming.suggest_name(name, facts.taken)
        return replace(conversation, suggestion=suggestion, note=Line(key="name.bad")), ()
    if naming.is_taken(name, facts.taken):
        note = Line(key="name.taken", args={"name": name})
        suggestion = naming.free_name(name, facts.taken)
        return replace(conversation, suggestion=suggestion, note=note), ()
    named = replace(conversation, name=name, suggestion=naming.suggest_trigger(name))
    return ask_next(named, facts), ()


def choose_trigger(conversation: Conversation, event: Event, facts: Facts) -> Step:
    word = _argument(event)
    if not naming.is_good_trigger(word):
        return replace(conversation, note=Line(key="trigger.bad")), ()
    return ask_next(replace(conversation, trigger=word, suggestion=""), facts), ()


def choose_base(conversation: Conversation, event: Event, facts: Facts) -> Step:
    wanted = _argument(event).lower()
    found = [base for base in facts.bases if wanted in (base.id.lower(), base.title.lower())]
    if not found:
        return replace(conversation, note=Line(key="base.unknown")), ()
    if not found[0].installed:
        return replace(conversation, note=Line(key="base.missing")), ()
    return ask_next(replace(conversation, base=found[0].id), facts), ()


def choose_quality(conversation: Conversation, event: Event, facts: Facts) -> Step:
    quality = _argument(event).lower()
    if quality not in set(Quality):
        return unexpected(conversation, event, facts)
    return replace(conversation, quality=quality), ()


def ask_next(conversation: Conversation, facts: Facts) -> Conversation:
    """The first question without an answer; a base is not asked for where there is one only."""
    if not conversation.base and len(facts.bases) == 1:
        conversation = replace(conversation, base=facts.bases[0].id)
    order = (
        (conversation.kind, State.KIND),
        (conversation.name, State.NAME),
        (conversation.trigger, State.TRIGGER),
        (conversation.base, State.BASE),
        (conversation.closed, State.PHOTOS),
    )
    state = next((state for answer, state in order if not answer), State.SUMMARY)
    return replace(conversation, state=state)


def edit(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """Ask one question again; the others keep their answers."""
    what = _argument(event)
    if what not in ("name", "trigger"):
        return unexpected(conversation, event, facts)
    if what == "name":
        return ask_next(replace(conversation, name=""), facts), ()
    suggestion = naming.suggest_trigger(conversation.name)
    return ask_next(replace(conversation, trigger="", suggestion=suggestion), facts), ()


def _argument(event: Event) -> str:
    match event:
        case Choice(argument=argument):
            return argument
        case Text(text=text):
            return text.strip()
    return ""
