"""What the word behind a link into the chat means."""

import pytest

from bot.deep_links import COMMANDS, meant
from bot.events import Choice, Command, Event, Text


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Command("start", "train"), Command("train")),
        (Command("start", "Models"), Command("models")),
        (Command("start", "m-01ab"), Choice("about", "01AB")),
        (Command("start", "m-"), Choice("about", "")),
        (Command("start"), Command("start")),
        (Command("start", "inv-7Q2F-K9TB-0XWM"), Command("start", "inv-7Q2F-K9TB-0XWM")),
        (Command("start", "claim-7Q2F-K9TB-0XWM"), Command("start", "claim-7Q2F-K9TB-0XWM")),
        (Command("start", "pause"), Command("start", "pause")),
        (Command("queue", "train"), Command("queue", "train")),
        (Text("m-01AB"), Text("m-01AB")),
    ],
)
def test_a_word_is_a_command_a_model_or_itself(event: Event, expected: Event) -> None:
    assert meant(event) == expected


def test_no_link_deletes_or_stops_anything_by_itself() -> None:
    """A link can be sent by anybody: what it opens asks first."""
    assert not COMMANDS & {"pause", "announce", "allow", "ban", "resume"}
