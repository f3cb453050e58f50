"""What a typed line means, and what the page gets of a message."""

import pytest

from bot.events import Command, Event, Text
from bot.frontend import Message, RenderedButton
from bot.frontends.web import body_of
from bot.web.room import event_of


@pytest.mark.parametrize(
    ("typed", "event"),
    [
        ("/train", Command("train")),
        ("/Train  mochi ", Command("train", "mochi")),
        ("mochi", Text("mochi")),
        ("/", Text("/")),
        ("/home/me/photos", Text("/home/me/photos")),
        ("a /train", Text("a /train")),
    ],
)
def test_a_slash_and_a_word_are_a_command(typed: str, event: Event) -> None:
    assert event_of(typed) == event


def test_the_page_gets_text_and_buttons() -> None:
    button = RenderedButton(label="Stop", data="cancel:d1:", danger=True)
    assert body_of(Message(text="a **b**", buttons=((button,),))) == {
        "from": "bot",
        "text": "a **b**",
        "buttons": [
            [{"label": "Stop", "data": "cancel:d1:", "url": "", "copy": "", "danger": True}]
        ],
    }
