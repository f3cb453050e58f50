"""Before the first photo: the question whether these may be used. Asked once for each version of
the policy; what comes meanwhile is kept, and nothing looks at it. Pure.
"""

from dataclasses import replace

from bot.answers import ask_next
from bot.collecting import add_photo
from bot.draft import Conversation, State
from bot.events import Choice, Command, Event, Filled, GiveConsent, PhotoReceived
from bot.facts import Facts
from bot.moves import Step, begin, move_below, unexpected


def is_due(conversation: Conversation, event: Event, facts: Facts) -> bool:
    """Whether this event would begin a draft that nobody has agreed to."""
    if not facts.wants_consent or conversation.state is not State.IDLE:
        return False
    match event:
        case Command(name="train") | Command(name="start", argument="train"):
            return True
        case Choice(verb="train") | PhotoReceived():
            return True
    return False


def ask(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """A draft that waits for its owner's word; photos that came by themselves lie in it."""
    waiting = replace(begin(conversation, event, facts)[0], state=State.CONSENT)
    if isinstance(event, PhotoReceived):
        return add_photo(waiting, event, facts)
    return waiting, ()


def agree(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return ask_next(conversation, facts), (GiveConsent(conversation.photos),)


def agree_by_form(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """A form with its tick, sent while the question was still open."""
    if not (isinstance(event, Filled) and event.consent):
        return unexpected(conversation, event, facts)
    return agree(move_below(conversation), event, facts)
