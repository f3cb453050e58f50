"""Where people write or send something by themselves, and the button for those who cannot. Pure."""

from bot.draft import Conversation, State
from bot.screen import Button

WORDS, PHOTOS = "words", "photos"
ASKS = {
    State.NAME: ("button.write", WORDS),
    State.TRIGGER: ("button.write", WORDS),
    State.CAPTION: ("button.write", WORDS),
    State.WORD_IN: ("button.write", WORDS),
    State.WORD_OUT: ("button.write", WORDS),
    State.PHOTOS: ("button.send_photos", PHOTOS),
}


def asks(conversation: Conversation) -> Button | None:
    if conversation.asking or conversation.state not in ASKS:
        return None
    label, what = ASKS[conversation.state]
    return Button(label=label, verb="ask", draft=conversation.draft, argument=what)
