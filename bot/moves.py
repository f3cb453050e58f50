"""What several handlers of the conversation share: the panel's place, a new draft, the unexpected.

Pure.
"""

from collections.abc import Callable
from dataclasses import replace

from bot import screens
from bot.defaults import base_of, quality_of
from bot.draft import Conversation, State
from bot.events import Action, Event, Show
from bot.facts import Facts
from bot.screen import Line
from storage.job import NO_ARGS

Step = tuple[Conversation, tuple[Action, ...]]
Handler = Callable[[Conversation, Event, Facts], Step]


def move_below(conversation: Conversation) -> Conversation:
    """The panel moves to a new message at the end of the chat."""
    return replace(conversation, panel=conversation.panel + 1, below=False)


def begin(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    started = Conversation(
        state=State.KIND,
        draft=facts.new_id,
        person=facts.person,
        panel=conversation.panel + 1,
        base=base_of(facts.preferences, facts),
        quality=quality_of(facts.preferences),
    )
    return started, ()


def unexpected(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    """Never "wrong": say what can be done here. In a draft the panel says it again."""
    if conversation.state is State.IDLE:
        buttons = ((screens.TRAIN, screens.MODELS, screens.HELP),)
        return conversation, (Show(screens.toast(Line(key="unknown"), buttons=buttons)),)
    return replace(conversation, note=Line(key="draft.unexpected", args=NO_ARGS)), ()
