"""Single photos as scripts: looked at, used, left out, given a face; and the contact sheet."""

import math
import random
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bot import collecting, draft, screens
from bot.conversation import TABLE
from bot.draft import Conversation, State
from bot.events import Choice, Command, Event, FileRefused, Text, key_of
from bot.facts import Facts
from bot.frontend import Limits
from bot.render import render
from bot.screen import MAX_BUTTON_DATA, Picture, Screen
from bot.texts.catalog import Catalog
from pictures import verdict
from pictures.box import Box
from pictures.faces import Face, Faces
from pictures.look import THUMB, Look
from pictures.seen import Seen
from storage.job import MAX_PHOTOS, MIN_PHOTOS
from tests.unit.test_conversation import FACTS, QUESTIONS, WHOLE, photo, photos, play
from trainer.presets import Overrides

ENGLISH = Catalog.load("en")
BLURRED, DARK = {"sharpness": 1.0}, {"mean": 25.0}


def look(seed: int, **changes: object) -> Look:
    """Of a good photo, unlike that of any other seed."""
    dice = random.Random(seed)
    one = Look(
        width=1024,
        height=1024,
        animated=False,
        content=Box(0.0, 0.0, 1.0, 1.0),
        sharpness=50.0,
        mean=128.0,
        black=0.0,
        white=0.0,
        hashes=(dice.getrandbits(64), dice.getrandbits(64)),
        thumb=dice.randbytes(THUMB * THUMB),
        focus=(0.5, 0.5),
    )
    return replace(one, **changes)  # type: ignore[arg-type]  # a test names what it changes


def face(person: int, left: float = 0.3, *, likeness: float = 1.0, sharpness: float = 99.0) -> Face:
    direction = np.zeros(512, np.float16)
    direction[person], direction[-1] = likeness, math.sqrt(1 - likeness**2)
    box = Box(left, 0.2, left + 0.2, 0.5)
    return Face(box=box, score=0.9, sharpness=sharpness, embedding=direction.tobytes())


def faces(*people: int) -> Faces:
    return Faces(pack="test", faces=tuple(face(one, 0.3 * at) for at, one in enumerate(people)))


def known(seen: Mapping[int, Seen]) -> Facts:
    # A small base with buckets: sharpness is judged in its size.
    base = replace(FACTS.bases[0], overrides=Overrides(resolution=64), square=False)
    return replace(
        FACTS, bases=(base,), seen={f"{number:064}": one for number, one in seen.items()}
    )


# Of nine photos, the third is blurred and the seventh dark; on the fifth are two people.
FIVE = Seen(look=look(5), faces=faces(0, 1))
SEEN = known(
    {number: Seen(look=look(number)) for number in range(1, 10)}
    | {3: Seen(look=look(3, **BLURRED)), 5: FIVE, 7: Seen(look=look(7, **DARK))}
)
NINE: tuple[Event, ...] = (*QUESTIONS, *photos(9))


def at(*events: Event, facts: Facts = SEEN) -> Conversation:
    return play(*NINE, *events, facts=facts)[0]


def panel(conversation: Conversation, facts: Facts = SEEN) -> Screen:
    screen = screens.panel(conversation, facts)
    assert screen is not None
    return screen


def keys(screen: Screen) -> list[str]:
    return [line.key for line in screen.lines]


def verbs(screen: Screen) -> list[tuple[str, str]]:
    return [(one.verb, one.argument) for row in screen.buttons for one in row]


def note(conversation: Conversation) -> str:
    return conversation.note.key if conversation.note else ""


def test_the_tally_tells_what_is_wrong_and_which_photos_have_a_question() -> None:
    screen = panel(at())
    assert {"photo.blurred", "photo.faces", "photo.dark"} < set(keys(screen))
    (button,) = [one for row in screen.buttons for one in row if one.verb == "look"]
    assert button.args == {"numbers": "#3, #5, #7"}


def test_looking_begins_with_the_first_question_and_shows_the_photo() -> None:
    conversation = at(Choice("look"))
    assert (conversation.state, conversation.at) == (State.FIX, 3)
    picture = panel(conversation).picture
    assert isinstance(picture, Picture)
    assert [tile.number for tile in picture.tiles] == [3]


def test_a_photo_can_be_named_and_an_unknown_one_is_the_first_question() -> None:
    assert at(Choice("look", "", "6")).at == 6
    assert at(Choice("look", "", "99")).at == 3
    assert at(Choice("look", "", "²")).at == 3


def test_without_a_question_there_is_nothing_to_look_at() -> None:
    assert at(Choice("look"), facts=FACTS).state is State.PHOTOS


def test_a_photo_that_the_person_wants_is_used_and_the_next_question_comes() -> None:
    conversation = at(Choice("look"), Choice("use", "", "3"))
    assert (conversation.photos[2].choice, conversation.at) == ("use", 5)


def test_a_photo_that_the_person_leaves_out_is_named_in_the_tally() -> None:
    conversation = at(Choice("look", "", "7"), Choice("out", "", "7"), Choice("back"))
    assert conversation.photos[6].choice == "out"
    assert "panel.left_out" in keys(panel(conversation))


def test_next_goes_round_and_decides_nothing() -> None:
    before = at(Choice("look", "", "7"))
    after, _ = play(Choice("next"), start=before, facts=SEEN)
    assert (after.at, after.photos) == (3, before.photos)


def test_after_the_last_answer_the_tally_is_back() -> None:
    answers = (Choice("use", "", "3"), Choice("pick", "", "5.1"), Choice("out", "", "7"))
    conversation = at(Choice("look"), *answers)
    assert (conversation.state, conversation.at) == (State.PHOTOS, 0)
    assert not [one for one in verbs(panel(conversation)) if one[0] == "look"]


def test_of_several_faces_each_has_a_number_and_one_is_chosen() -> None:
    before = at(Choice("look", "", "5"))
    screen = panel(before)
    assert isinstance(screen.picture, Picture)
    assert len(screen.picture.boxes) == 2
    assert ("pick", "5.2") in verbs(screen)
    after, _ = play(Choice("pick", "", "5.2"), start=before, facts=SEEN)
    assert (after.photos[4].choice, after.photos[4].face) == ("use", 2)


@pytest.mark.parametrize("argument", ["", "5", "5.", "5.0", "5.3", "5.x", "4.1", "99.1", "x.1"])
def test_a_face_that_is_not_there_cannot_be_chosen(argument: str) -> None:
    before = at(Choice("look", "", "5"))
    after, _ = play(Choice("pick", "", argument), start=before, facts=SEEN)
    assert (after.photos, note(after)) == (before.photos, "draft.unexpected")


@pytest.mark.parametrize("verb", ["use", "out"])
@pytest.mark.parametrize("argument", ["", "0", "99", "x", "-1", "00000000001"])
def test_a_photo_that_is_not_there_cannot_be_decided(verb: str, argument: str) -> None:
    before = at(Choice("look"))
    after, _ = play(Choice(verb, "", argument), start=before, facts=SEEN)
    assert (after.photos, note(after)) == (before.photos, "draft.unexpected")


def test_the_contact_sheet_has_a_button_for_each_photo() -> None:
    screen = panel(at(Choice("sheet")))
    assert isinstance(screen.picture, Picture)
    assert screen.picture.sheet
    assert [tile.used for tile in screen.picture.tiles].count(False) == 2
    assert [one for one in verbs(screen) if one[0] == "toggle"] == [
        ("toggle", str(number)) for number in range(1, 10)
    ]


def test_a_toggle_takes_a_photo_out_and_in_again() -> None:
    once = at(Choice("sheet"), Choice("toggle", "", "1"))
    twice, _ = play(Choice("toggle", "", "1"), start=once, facts=SEEN)
    assert (once.photos[0].choice, twice.photos[0].choice) == ("out", "use")
    assert once.state is twice.state is State.SHEET


def test_a_toggle_of_no_photo_is_unexpected_and_so_is_a_sheet_without_photos() -> None:
    assert note(at(Choice("sheet"), Choice("toggle", "", "99"))) == "draft.unexpected"
    empty, _ = play(*QUESTIONS, Choice("sheet"))
    assert (empty.state, note(empty)) == (State.PHOTOS, "draft.unexpected")


@pytest.mark.parametrize("verb", ["look", "sheet"])
def test_a_picture_is_a_new_message_and_so_is_the_tally_after_it(verb: str) -> None:
    before = at()
    pictured = at(Choice(verb))
    after = at(Choice(verb), Choice("back"))
    assert [one.panel - before.panel for one in (pictured, after)] == [1, 2]
    assert after.state is State.PHOTOS


@pytest.mark.parametrize("verb", ["look", "sheet"])
def test_a_photo_in_between_goes_back_to_the_tally_below_it(verb: str) -> None:
    before = at(Choice(verb))
    after, _ = play(photo(20), photo(21), FileRefused("photo.broken"), start=before, facts=SEEN)
    assert (after.state, after.at, len(after.photos)) == (State.PHOTOS, 0, 11)
    assert after.panel == before.panel + 1


def test_only_photos_in_use_count_towards_the_least() -> None:
    conversation = at(Choice("done"))
    assert (conversation.state, note(conversation)) == (State.PHOTOS, "photos.too_few")
    assert conversation.note is not None
    assert conversation.note.n == MIN_PHOTOS - 7
    assert "more" in dict(verbs(panel(conversation)))
    conversation, _ = play(Choice("use", "", "3"), Choice("back"), start=conversation, facts=SEEN)
    assert play(Choice("done"), start=conversation, facts=SEEN)[0].state is State.SUMMARY


def test_photos_that_are_out_make_room_for_others_up_to_a_limit() -> None:
    blurred = known({number: Seen(look=look(number, **BLURRED)) for number in range(1, 100)})
    conversation, _ = play(*QUESTIONS, *photos(collecting.MAX_KEPT + 1), facts=blurred)
    assert len(conversation.photos) == collecting.MAX_KEPT > MAX_PHOTOS
    assert conversation.refused[-1].key == "photo.many"


def test_more_than_the_most_cannot_be_used_whatever_is_toggled() -> None:
    facts = known({1: Seen(look=look(1, **BLURRED))})
    events = (Choice("sheet"), Choice("toggle", "", "1"), Choice("back"), Choice("done"))
    conversation, _ = play(*QUESTIONS, *photos(MAX_PHOTOS + 1), *events, facts=facts)
    assert (conversation.state, note(conversation)) == (State.PHOTOS, "photos.too_many")


def test_a_summary_whose_photos_fell_out_meanwhile_starts_nothing() -> None:
    summary, _ = play(*WHOLE)
    facts = known({number: Seen(look=look(number, **BLURRED)) for number in range(1, 9)})
    conversation, actions = play(Choice("start"), start=summary, facts=facts)
    assert (conversation.state, actions) == (State.PHOTOS, [])
    assert note(conversation) == "photos.too_few"


def test_what_was_decided_survives_the_database() -> None:
    conversation = at(Choice("look", "", "5"), Choice("pick", "", "5.2"))
    assert draft.from_json(draft.to_json(conversation)) == conversation


# Person 0 is the subject; each number has another remark.
EACH = known(
    {
        1: Seen(look=look(1), faces=faces(0)),
        2: Seen(look=look(2), faces=faces(0)),
        3: Seen(look=look(3), faces=faces(0, 1)),
        4: Seen(look=look(4), faces=faces(0, 0)),
        5: Seen(look=look(5), faces=faces(1)),
        6: Seen(look=look(6), faces=Faces(pack="test", faces=(face(0, likeness=0.37),))),
        7: Seen(look=look(7), faces=faces()),
        8: Seen(look=look(8), faces=Faces(pack="test", faces=(face(0, sharpness=1.0),))),
        9: Seen(look=look(9, **BLURRED)),
        10: Seen(look=look(10, sharpness=3.0)),
        11: Seen(look=look(11, **DARK)),
        12: Seen(look=look(12, mean=233.0)),
        13: Seen(look=look(13, width=20, height=20)),
        14: Seen(look=look(14, width=50, height=50)),
        15: Seen(look=look(15, animated=True)),
        16: Seen(look=look(15)),
        17: Seen(look=look(17, mean=250.0)),
        18: Seen(look=look(18, mean=5.0)),
    }
)


def test_whatever_is_said_of_a_photo_has_words() -> None:
    conversation, _ = play(*QUESTIONS, *photos(18), facts=EACH)
    said = set()
    for number in range(1, 19):
        screen = panel(replace(conversation, state=State.FIX, at=number), EACH)
        assert render(screen, ENGLISH, Limits()).text
        said |= set(keys(screen)) - {"fix.who", "photo.good"}
    assert said == set(re.findall(r'"(photo\.\w+)"', Path(verdict.__file__).read_text()))


BUSY: tuple[Event, ...] = (
    *(Choice(verb) for verb in ("look", "next", "back", "sheet", "done", "captions", "keep")),
    *(Choice(verb, "", "3") for verb in ("look", "use", "out", "toggle")),
    Choice("pick", "", "5.1"),
    *(Command("cancel"), Command("train"), Text("hello"), photo(30), FileRefused("photo.broken")),
)


@pytest.mark.parametrize("state", [State.PHOTOS, State.FIX, State.SHEET])
def test_a_message_keeps_its_picture_or_never_gets_one(state: State) -> None:
    """Most networks cannot make a picture of a text, nor a text of a picture."""
    before = replace(at(), state=state, at=3 if state is State.FIX else 0)
    changed = set()
    for first in BUSY:
        middle, _ = play(first, start=before, facts=SEEN)
        had = pictured(middle)
        for second in BUSY:
            after, _ = play(second, start=middle, facts=SEEN)
            if middle.panel == after.panel and pictured(after) is not had:
                changed.add((key_of(first), key_of(second)))
    assert changed == set()


def pictured(conversation: Conversation) -> bool:
    return panel(conversation).picture is not None


@pytest.mark.parametrize("state", [State.PHOTOS, State.FIX, State.SHEET])
@pytest.mark.parametrize("number", [3, 5, 7, 9])
def test_every_button_about_photos_is_in_the_table_and_fits_the_networks(
    state: State, number: int
) -> None:
    screen = panel(replace(at(), state=state, at=number))
    assert screen.buttons
    for button in (one for row in screen.buttons for one in row):
        assert (state, button.verb) in TABLE
        assert len(button.data.encode()) <= MAX_BUTTON_DATA
