"""Captions as scripts: read page by page, written anew, with words for all of them."""

from dataclasses import replace

import pytest

from bot import draft, screens, wording
from bot.caption_screens import PAGE
from bot.conversation import TABLE
from bot.draft import Conversation, State
from bot.events import Choice, Command, Event, Text
from bot.frontend import Limits
from bot.render import render
from bot.screen import MAX_BUTTON_DATA, Screen
from bot.texts.catalog import Catalog
from storage.job import MIN_PHOTOS
from tests.unit.test_conversation import FACTS, WHOLE, photo, play

ENGLISH = Catalog.load("en")
READING = (State.CAPTIONS, State.CAPTION, State.WORD_IN, State.WORD_OUT)


def at(*events: Event) -> Conversation:
    return play(*WHOLE, Choice("captions", "", "0"), *events)[0]


def panel(conversation: Conversation) -> Screen:
    screen = screens.panel(conversation, FACTS)
    assert screen is not None
    return screen


def shown(conversation: Conversation) -> dict[object, object]:
    """The captions on the page, by the number of their photo."""
    lines = [line for line in panel(conversation).lines if line.key == "captions.one"]
    return {line.args["number"]: line.args["caption"] for line in lines}


def verbs(conversation: Conversation) -> list[tuple[str, str]]:
    rows = panel(conversation).buttons
    return [(one.verb, one.argument) for row in rows for one in row]


def note(conversation: Conversation) -> str:
    return conversation.note.key if conversation.note else ""


def test_the_captions_come_in_pages() -> None:
    first, second = at(), at(Choice("captions", "", "1"))
    assert (first.state, list(shown(first))) == (State.CAPTIONS, [1, 2, 3, 4, 5])
    assert list(shown(second)) == list(range(PAGE + 1, MIN_PHOTOS + 1))
    assert ("captions", "1") in verbs(first)
    assert ("captions", "0") in verbs(second)


@pytest.mark.parametrize(("argument", "page"), [("9", 1), ("999", 1), ("9999", 0), ("x", 0)])
def test_a_page_that_is_not_there_is_the_nearest_one(argument: str, page: int) -> None:
    assert at(Choice("captions", "", argument)).page == page


def test_only_photos_in_use_have_a_caption() -> None:
    summary, _ = play(*WHOLE)
    photos = (replace(summary.photos[0], choice="out"), *summary.photos[1:])
    conversation, _ = play(Choice("captions"), start=replace(summary, photos=photos))
    assert 1 not in shown(conversation)


def test_a_caption_that_the_person_writes_is_kept_with_its_photo() -> None:
    asked = at(Choice("caption", "", "2"))
    assert (asked.state, asked.at) == (State.CAPTION, 2)
    written, _ = play(Text("  by the sea "), start=asked)
    assert (written.state, written.at, written.photos[1].caption) == (
        State.CAPTIONS,
        0,
        "by the sea",
    )


def test_a_caption_can_be_given_back_to_the_machine() -> None:
    conversation = at(
        Choice("caption", "", "2"), Text("by the sea"), Choice("caption", "", "2"), Choice("again")
    )
    assert (conversation.state, conversation.photos[1].caption) == (State.CAPTIONS, "")


def test_after_a_caption_of_the_second_page_the_second_page_is_back() -> None:
    conversation = at(Choice("captions", "", "1"), Choice("caption", "", "7"), Text("at night"))
    assert (conversation.state, conversation.page) == (State.CAPTIONS, 1)


@pytest.mark.parametrize("argument", ["", "0", "99", "x", "02"])
def test_a_photo_that_is_not_there_has_no_caption(argument: str) -> None:
    conversation = at(Choice("caption", "", argument))
    assert (conversation.state, note(conversation)) == (State.CAPTIONS, "draft.unexpected")


@pytest.mark.parametrize(
    ("asking", "said"),
    [
        (Choice("caption", "", "2"), "caption.bad"),
        (Choice("wordin"), "word.bad"),
        (Choice("wordout"), "word.bad"),
    ],
)
def test_no_words_are_asked_for_again(asking: Choice, said: str) -> None:
    before = at(asking)
    after, _ = play(Text("   "), start=before)
    assert (after.state, note(after)) == (before.state, said)
    assert (after.photos, after.wishes) == (before.photos, before.wishes)


def test_a_word_for_all_is_added_once() -> None:
    again = (Choice("wordin"), Text("smiling"))
    conversation = at(*again, *again)
    assert conversation.state is State.CAPTIONS
    assert conversation.wishes.added == ("smiling",)
    assert "captions.added" in [line.key for line in panel(conversation).lines]


def test_the_last_wish_for_a_word_counts() -> None:
    added = at(Choice("wordout"), Text("hat"), Choice("wordin"), Text("hat")).wishes
    removed = at(Choice("wordin"), Text("hat"), Choice("wordout"), Text("hat")).wishes
    assert (added.added, added.removed) == (("hat",), ())
    assert (removed.added, removed.removed) == ((), ("hat",))


@pytest.mark.parametrize("verb", ["wordin", "wordout"])
def test_there_are_only_so_many_words(verb: str) -> None:
    words = [f"word{number}" for number in range(wording.MOST_WISHES + 1)]
    conversation = at(*(event for word in words for event in (Choice(verb), Text(word))))
    wishes = conversation.wishes
    assert len((*wishes.added, *wishes.removed)) == wording.MOST_WISHES
    assert note(conversation) == "word.bad"


def test_looks_are_named_only_if_the_person_wants_it() -> None:
    once, twice = at(Choice("lint")), at(Choice("lint"), Choice("lint"))
    assert once.wishes.keep_identity
    assert not twice.wishes.keep_identity
    labels = [one.label for row in panel(once).buttons for one in row if one.verb == "lint"]
    assert labels == ["button.lint_on"]


@pytest.mark.parametrize("verb", ["caption", "wordin", "wordout"])
def test_whoever_is_asked_for_words_can_go_back(verb: str) -> None:
    conversation = at(Choice(verb, "", "2"), Choice("captions"))
    assert conversation == replace(at(), page=0)


def test_from_the_captions_the_summary_is_back() -> None:
    conversation = at(Choice("lint"), Choice("summary"))
    assert (conversation.state, conversation.at) == (State.SUMMARY, 0)
    assert conversation.wishes.keep_identity


@pytest.mark.parametrize("state", READING)
def test_a_photo_while_captions_are_read_opens_the_tally(state: State) -> None:
    conversation, _ = play(photo(99), start=replace(at(), state=state, at=2))
    assert (conversation.state, conversation.at, conversation.closed) == (State.PHOTOS, 0, False)


def test_words_and_captions_survive_the_database() -> None:
    conversation = at(
        *(Choice("captions", "", "1"), Choice("caption", "", "7"), Text("at “night”")),
        *(Choice("wordin"), Text("smiling"), Choice("wordout"), Text("hat"), Choice("lint")),
        Choice("caption", "", "8"),
    )
    assert draft.from_json(draft.to_json(conversation)) == conversation


@pytest.mark.parametrize("state", READING)
def test_every_panel_of_captions_has_words_and_buttons_that_work(state: State) -> None:
    full = at(Choice("wordin"), Text("x" * 60), Choice("wordout"), Text("y" * 60))
    screen = panel(replace(full, state=state, at=2))
    assert render(screen, ENGLISH, Limits()).text
    for button in (one for row in screen.buttons for one in row):
        assert (state, button.verb) in TABLE
        assert len(button.data.encode()) <= MAX_BUTTON_DATA


@pytest.mark.parametrize("state", READING)
def test_a_draft_can_be_left_from_its_captions(state: State) -> None:
    start = replace(at(), state=state)
    assert play(Command("cancel"), Choice("keep"), start=start)[0].state is state
    assert play(Command("cancel"), Command("cancel"), start=start)[0].state is State.IDLE
