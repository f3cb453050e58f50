"""The chat's one panel: library or settings where they are open, else the draft. Pure."""

from bot import library_screens, preference_screens, screens
from bot.draft import Conversation
from bot.facts import Facts
from bot.opened import View
from bot.screen import Screen


def panel(conversation: Conversation, facts: Facts) -> Screen | None:
    """None where there is nothing to show."""
    if conversation.opened is not None and conversation.opened.view is View.SETTINGS:
        return preference_screens.panel(conversation, conversation.opened, facts)
    if conversation.opened is not None:
        return library_screens.panel(conversation, conversation.opened, facts)
    return screens.panel(conversation, facts)
