"""The conversation as scripts: what is said, and where it leads."""

from dataclasses import replace
from pathlib import Path

import pytest

from bot import draft, screens
from bot.conversation import DRAFT_VERBS, DRAFTING, TABLE, step
from bot.draft import Conversation, State
from bot.events import (
    Action,
    CancelJob,
    Choice,
    Command,
    DropPhotos,
    Event,
    FileRefused,
    PhotoReceived,
    Show,
    Submit,
    Text,
)
from bot.facts import Facts
from bot.screen import MAX_BUTTON_DATA, parse_data
from storage import bases
from storage.job import CLASS_WORDS, MAX_PHOTOS, MIN_PHOTOS, Photo
from tests.jobs import make_job
from trainer.presets import Overrides

DEMO = bases.demo()
REAL = bases.Base(
    id="sd15", title="SD 1.5", family="sd15", path=Path("/"), overrides=Overrides(), minutes=12
)
MISSING = replace(REAL, id="lost", title="Lost", path=Path("/nowhere/at/all"))
EMPTY = Conversation()
FACTS = Facts(now=0.0, new_id="D" * 26, person="web:me", bases=(DEMO,))


def photo(number: int) -> PhotoReceived:
    return PhotoReceived(Photo(sha256=f"{number:064}", number=0, file_bytes=9))


def photos(count: int, first: int = 1) -> list[Event]:
    return [photo(number) for number in range(first, first + count)]


def play(
    *events: Event, facts: Facts = FACTS, start: Conversation = EMPTY
) -> tuple[Conversation, list[Action]]:
    """Buttons without a draft press those of the draft at hand, as a person does."""
    conversation = start
    done: list[Action] = []
    for event in events:
        own: Event = event
        if isinstance(event, Choice) and not event.draft:
            own = replace(event, draft=conversation.draft)
        conversation, actions = step(conversation, own, facts)
        done += actions
    return conversation, done


def shown(actions: list[Action]) -> list[str]:
    return [one.screen.lines[0].key for one in actions if isinstance(one, Show)]


QUESTIONS: tuple[Event, ...] = (
    Command("train"),
    Choice("kind", "", "person"),
    Text("mochi"),
    Choice("word", "", "mochix"),
)
WHOLE: tuple[Event, ...] = (*QUESTIONS, *photos(MIN_PHOTOS), Choice("done"))


def test_the_whole_way_ends_in_a_summary_and_a_job() -> None:
    conversation, actions = play(*WHOLE)
    assert conversation.state is State.SUMMARY
    assert (conversation.name, conversation.trigger, conversation.base) == (
        "mochi",
        "mochix",
        "demo",
    )
    _, actions = play(Choice("start"), start=conversation)
    assert actions == [Submit()]


def test_a_base_is_asked_for_where_there_are_two() -> None:
    facts = replace(FACTS, bases=(DEMO, REAL, MISSING))
    conversation, _ = play(*QUESTIONS, facts=facts)
    assert conversation.state is State.BASE
    conversation, _ = play(Choice("base", "", "lost"), start=conversation, facts=facts)
    assert conversation.state is State.BASE
    conversation, _ = play(Text("sd 1.5"), start=conversation, facts=facts)
    assert (conversation.state, conversation.base) == (State.PHOTOS, "sd15")


def test_seven_photos_are_not_enough() -> None:
    conversation, _ = play(*QUESTIONS, *photos(MIN_PHOTOS - 1), Choice("done"))
    assert conversation.state is State.PHOTOS
    assert conversation.note is not None
    assert conversation.note.key == "photos.too_few"


def test_the_twenty_sixth_photo_is_refused() -> None:
    conversation, _ = play(*QUESTIONS, *photos(MAX_PHOTOS + 1))
    assert len(conversation.photos) == MAX_PHOTOS
    assert conversation.refused[-1].key == "photo.many"


def test_the_same_photo_again_is_refused_and_named() -> None:
    conversation, _ = play(*QUESTIONS, *photos(3), photo(2))
    assert [one.number for one in conversation.photos] == [1, 2, 3]
    assert conversation.refused[0].args == {"number": 4, "other": 2}


def test_a_photo_without_a_draft_starts_one_and_is_kept() -> None:
    conversation, _ = play(*photos(8), Choice("kind", "", "style"), Text("ink"), Text("inkx"))
    assert conversation.state is State.PHOTOS
    assert len(conversation.photos) == 8


def test_a_photo_after_the_summary_opens_the_tally_again() -> None:
    conversation, _ = play(*WHOLE, photo(99))
    assert conversation.state is State.PHOTOS
    assert len(conversation.photos) == MIN_PHOTOS + 1


def test_an_album_moves_the_panel_once() -> None:
    before, _ = play(*QUESTIONS)
    after, _ = play(*photos(10), start=before)
    assert after.panel == before.panel + 1


@pytest.mark.parametrize("name", ["", "a", "two words", "a/b", "../x", "con", "ü", "x" * 33])
def test_a_bad_name_is_asked_again(name: str) -> None:
    conversation, _ = play(*QUESTIONS[:2], Text(name))
    assert conversation.state is State.NAME
    assert conversation.note is not None
    assert conversation.note.key == "name.bad"


def test_a_bad_name_gets_an_offer_that_is_good() -> None:
    conversation, _ = play(*QUESTIONS[:2], Text("Моя мочи"))
    accepted, _ = play(Choice("name", "", conversation.suggestion), start=conversation)
    assert accepted.name == conversation.suggestion == "Moya_mochi"


def test_a_taken_name_gets_the_next_free_one() -> None:
    facts = replace(FACTS, taken=frozenset({"Mochi", "mochi_2"}))
    conversation, _ = play(*QUESTIONS[:2], Text("mochi"), facts=facts)
    assert conversation.suggestion == "mochi_3"


def test_a_name_that_was_taken_meanwhile_is_asked_again_at_the_end() -> None:
    conversation, _ = play(*WHOLE)
    facts = replace(FACTS, taken=frozenset({"mochi"}))
    conversation, actions = play(Choice("start"), start=conversation, facts=facts)
    assert conversation.state is State.NAME
    assert actions == []


def test_cancel_asks_once_and_then_drops_the_photos() -> None:
    asked, actions = play(*QUESTIONS, *photos(2), Command("cancel"))
    assert asked.asking
    assert actions == []
    conversation, actions = play(Choice("drop"), start=asked)
    assert conversation.state is State.IDLE
    assert isinstance(actions[0], DropPhotos)
    assert len(actions[0].photos) == 2


def test_keep_goes_back_to_where_it_was() -> None:
    before, _ = play(*QUESTIONS, *photos(2))
    after, _ = play(Command("cancel"), Choice("keep"), start=before)
    assert after.photos == before.photos
    assert not after.asking


def test_train_in_a_draft_shows_it_again() -> None:
    conversation, _ = play(*QUESTIONS, Command("train"))
    assert conversation.state is State.PHOTOS
    assert conversation.note is not None
    assert conversation.note.key == "draft.resumed"


def test_a_button_of_an_old_draft_does_nothing_but_say_so() -> None:
    before, _ = play(*QUESTIONS)
    after, actions = play(Choice("drop", "OLD"), start=before)
    assert (after.state, after.photos, actions) == (before.state, before.photos, [])
    assert after.note is not None
    assert after.note.key == "old.button"
    assert shown(play(Choice("start", "OLD"))[1]) == ["old.button"]


def test_strangers_cannot_stop_a_job() -> None:
    facts = replace(FACTS, pressed=make_job(person="web:other"))
    for verb in ("stop", "stopnow", "send"):
        _, actions = play(Choice(verb, "J"), facts=facts)
        assert not [one for one in actions if isinstance(one, CancelJob)]
        assert shown(actions) in (["old.button"], ["models.gone"])


@pytest.mark.parametrize(("person", "admin"), [("web:me", False), ("web:other", True)])
def test_the_owner_and_an_admin_can_stop_a_job(person: str, admin: bool) -> None:
    job = make_job(person=person)
    facts = replace(FACTS, pressed=job, is_admin=admin)
    _, actions = play(Choice("stopnow", job.id), facts=facts)
    assert actions[0] == CancelJob(job.id)


HERE_ALREADY = frozenset({"captions", "keep", "look", "sheet"})  # may lead to where one is
VERBS = (DRAFT_VERBS | {"stop", "stopnow", "goon", "send", "bogus"}) - HERE_ALREADY
EVENTS: tuple[Event, ...] = (
    *(Command(name) for name in ("start", "help", "train", "status", "cancel", "queue", "models")),
    Command("nonsense"),
    Text("hello"),
    *(Choice(verb) for verb in sorted(VERBS)),
    photo(1),
    FileRefused("photo.broken"),
)


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("event", EVENTS, ids=str)
def test_every_state_answers_every_event(state: State, event: Event) -> None:
    start, _ = play(*WHOLE)
    start = Conversation() if state is State.IDLE else replace(start, state=state)
    conversation, actions = play(event, start=start)
    assert conversation != start or actions


@pytest.mark.parametrize("verb", sorted(HERE_ALREADY))
@pytest.mark.parametrize("state", DRAFTING)
def test_a_press_that_leads_to_where_one_is_loses_nothing(state: State, verb: str) -> None:
    start = replace(play(*WHOLE)[0], state=state)
    conversation, actions = play(Choice(verb), start=start)
    assert (conversation.draft, conversation.photos, actions) == (start.draft, start.photos, [])


@pytest.mark.parametrize("state", DRAFTING)
def test_every_draft_can_be_cancelled(state: State) -> None:
    start = replace(play(*WHOLE)[0], state=state)
    conversation, _ = play(Command("cancel"), Choice("drop"), start=start)
    assert conversation.state is State.IDLE


@pytest.mark.parametrize("state", DRAFTING)
def test_every_button_of_a_panel_is_in_the_table_and_fits_the_networks(state: State) -> None:
    facts = replace(FACTS, bases=(DEMO, REAL))
    start = replace(play(*WHOLE, facts=facts)[0], state=state, suggestion="x" * 32, base="demo")
    start = replace(start, at=1)
    screen = screens.panel(start, facts)
    assert screen is not None
    for button in (one for row in screen.buttons for one in row):
        assert (state, button.verb) in TABLE
        assert len(button.data.encode()) <= MAX_BUTTON_DATA
        assert parse_data(button.data) == (button.verb, button.draft, button.argument)


def test_every_button_of_a_draft_works_somewhere_and_never_without_one() -> None:
    verbs = {key for state, key in TABLE if state is not State.IDLE and not key.startswith("/")}
    without = {key for state, key in TABLE if state is State.IDLE}
    assert verbs - without >= DRAFT_VERBS
    assert verbs - without - DRAFT_VERBS == {"text"}


def test_every_state_of_a_draft_has_a_panel() -> None:
    assert set(screens.PANELS) == set(DRAFTING)


def test_every_kind_has_a_class_word() -> None:
    assert set(screens.KINDS) == set(CLASS_WORDS)


def test_a_conversation_survives_the_database() -> None:
    conversation, _ = play(*WHOLE, FileRefused("photo.small", {"width": 3, "height": 4}))
    assert draft.from_json(draft.to_json(conversation)) == conversation


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{", '{"state": "flying"}', '{"state": "name"}']
)
def test_a_row_that_makes_no_sense_is_an_empty_conversation(text: str) -> None:
    assert draft.from_json(text) == Conversation()
