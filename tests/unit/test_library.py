"""The library as a script: what is pressed, what is shown, what becomes of the draft below it."""

import json
from dataclasses import replace

import pytest

from bot import draft, opened, panels
from bot.conversation import step
from bot.draft import Conversation, State
from bot.events import (
    Action,
    Choice,
    Command,
    DeleteModel,
    Event,
    RenameModel,
    SendCard,
    SendResult,
    Show,
    Text,
)
from bot.facts import Facts
from bot.library import VERBS
from bot.opened import Opened, View
from bot.orders import Exhibit, TakeDown
from bot.screen import MAX_BUTTON_DATA, Button, Screen
from storage import bases
from storage.job import Artifact, JobState, Photo, Samples
from storage.shelf import Page
from tests.jobs import make_job

PHOTOS = tuple(
    Photo(sha256=f"{number:064}", number=number, file_bytes=9) for number in range(1, 11)
)
MADE = Artifact(
    key="artifacts/a", sha256="ab" * 32, file_bytes=14_000_000, name="mochi.safetensors"
)
MODEL = make_job(state=JobState.DONE, artifact=MADE, photos=PHOTOS, finished_at=1_790_000_000.0)
FACTS = Facts(
    now=0.0,
    new_id="D" * 26,
    person="web:me",
    bases=(bases.demo(),),
    taken=frozenset({"mochi", "other"}),
    jobs=(MODEL,),
    pressed=MODEL,
    models=Page(models=(MODEL,), count=2),
    kept_photos=PHOTOS,
    has_links=True,
)
EMPTY = Conversation()
DRAFT = Conversation(
    state=State.NAME, draft="D" * 26, person="web:me", kind="person", photos=PHOTOS[:2], panel=3
)


def play(
    *events: Event, facts: Facts = FACTS, start: Conversation = EMPTY
) -> tuple[Conversation, list[Action]]:
    conversation = start
    done: list[Action] = []
    for event in events:
        conversation, actions = step(conversation, event, facts)
        # What is written has to come back the same.
        assert draft.from_json(draft.to_json(conversation)) == conversation
        done += actions
    return conversation, done


def press(verb: str, argument: str = "") -> Choice:
    return Choice(verb, MODEL.id, argument)


def shown(conversation: Conversation, facts: Facts = FACTS) -> Screen:
    screen = panels.panel(conversation, facts)
    assert screen is not None
    return screen


def keys(screen: Screen) -> list[str]:
    return [line.key for line in screen.lines]


def buttons(screen: Screen) -> dict[str, Button]:
    return {button.label: button for row in screen.buttons for button in row}


def test_the_list_opens_and_each_model_has_a_button() -> None:
    conversation, actions = play(Command("models"))
    screen = shown(conversation)
    assert keys(screen) == ["models.title", "models.one"]
    assert buttons(screen)["button.word"].data == f"model:{MODEL.id}:"
    assert actions == []


def test_without_models_there_is_nothing_to_open() -> None:
    conversation, actions = play(Command("models"), facts=replace(FACTS, models=Page()))
    assert conversation.opened is None
    assert [line.key for one in actions if isinstance(one, Show) for line in one.screen.lines] == [
        "models.none"
    ]


@pytest.mark.parametrize(
    ("number", "count", "expected"),
    [
        (0, 5, []),
        (0, 7, ["models::1"]),
        (1, 13, ["models::0", "models::2"]),
        (2, 13, ["models::1"]),
    ],
)
def test_the_list_is_turned(number: int, count: int, expected: list[str]) -> None:
    facts = replace(FACTS, models=Page(models=(MODEL,), number=number, count=count))
    conversation, _ = play(Command("models"), facts=facts)
    found = buttons(shown(conversation, facts))
    turns = [found[label].data for label in ("button.newer", "button.older") if label in found]
    assert turns == expected


def test_a_name_opens_its_model_at_once() -> None:
    conversation, _ = play(Command("models", "Mochi"))
    assert conversation.opened == Opened(view=View.MODEL, model=MODEL.id)
    assert play(Command("models", "nobody"))[0].opened == Opened()


def test_every_button_of_the_library_leads_somewhere() -> None:
    for view in set(View) - {View.SETTINGS}:
        start = replace(EMPTY, opened=Opened(view=view, model=MODEL.id))
        for one in buttons(shown(start, replace(FACTS, pressed=replace(MODEL, copied_to="m")))):
            found = buttons(shown(start, replace(FACTS, pressed=replace(MODEL, copied_to="m"))))
            if found[one].data:
                assert found[one].verb in {*VERBS, "models", "shut", "train"}
                assert len(found[one].data.encode()) <= MAX_BUTTON_DATA


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_strangers_learn_nothing_of_a_model(verb: str) -> None:
    theirs = replace(MODEL, person="web:other")
    unready = replace(MODEL, state=JobState.DELIVERING)
    for pressed in (None, theirs, unready, replace(MODEL, artifact=None)):
        # An admin sees the queue, but nobody's library.
        facts = replace(FACTS, pressed=pressed, is_admin=True)
        conversation, actions = play(press(verb, "copy"), facts=facts)
        assert conversation == EMPTY
        assert [one.screen.lines[0].key for one in actions if isinstance(one, Show)] == [
            "models.gone"
        ]


def test_a_panel_shows_nobody_elses_model() -> None:
    start = replace(EMPTY, opened=Opened(view=View.MODEL, model=MODEL.id))
    facts = replace(FACTS, pressed=replace(MODEL, person="web:other"))
    assert keys(shown(start, facts)) == ["models.gone"]


@pytest.mark.parametrize(
    ("verb", "action"),
    [
        ("send", SendResult(MODEL.id)),
        ("link", SendResult(MODEL.id, only_link=True)),
        ("card", SendCard(MODEL.id)),
    ],
)
def test_what_is_sent(verb: str, action: Action) -> None:
    assert play(press(verb))[1] == [action]


def test_links_are_offered_only_where_they_open() -> None:
    start = replace(EMPTY, opened=Opened(view=View.MODEL, model=MODEL.id))
    assert "button.new_link" in buttons(shown(start))
    assert "button.new_link" not in buttons(shown(start, replace(FACTS, has_links=False)))


def test_the_howto_turns_its_pages_in_place() -> None:
    asked, _ = play(press("howto"))
    assert keys(shown(asked))[0] == "howto.forge"
    turned, _ = play(press("howto", "comfy"), start=asked)
    assert keys(shown(turned))[0] == "howto.comfy"
    assert turned.panel == asked.panel
    assert "result.works" in keys(shown(turned))


def test_a_new_name_is_asked_for_and_taken() -> None:
    asked, _ = play(press("rename"))
    screen = shown(asked)
    assert keys(screen) == ["ask.rename"]
    assert screen.asks is not None
    named, actions = play(Text(" mochi2 "), start=asked)
    assert actions == [RenameModel(MODEL.id, "mochi2")]
    assert keys(shown(named))[:2] == ["library.renamed", "about.title"]


def test_a_copy_in_the_folder_keeps_its_name_and_that_is_said() -> None:
    facts = replace(FACTS, pressed=replace(MODEL, copied_to="mochi.safetensors"))
    named, _ = play(press("rename"), Text("mochi2"), facts=facts)
    assert keys(shown(named, facts))[0] == "library.renamed_copy"


@pytest.mark.parametrize(("name", "note"), [("a b", "name.bad"), ("OTHER", "name.taken")])
def test_a_name_that_cannot_be_is_asked_for_again(name: str, note: str) -> None:
    named, actions = play(press("rename"), Text(name))
    assert actions == []
    assert keys(shown(named)) == [note, "ask.rename"]


def test_only_its_case_may_change() -> None:
    assert play(press("rename"), Text("MOCHI"))[1] == [RenameModel(MODEL.id, "MOCHI")]


def test_a_deletion_names_the_loss_and_asks_once() -> None:
    asked, nothing = play(press("remove"))
    assert nothing == []
    assert keys(shown(asked)) == ["library.ask_delete"]
    gone, actions = play(press("removenow"), start=asked)
    assert actions == [DeleteModel(MODEL.id)]
    assert keys(shown(gone))[0] == "library.deleted"


def test_the_last_one_closes_the_library() -> None:
    facts = replace(FACTS, models=Page(models=(MODEL,), count=1))
    gone, actions = play(press("remove"), press("removenow"), facts=facts)
    assert gone.opened is None
    assert isinstance(actions[-1], Show)
    assert actions[-1].screen.lines[0].key == "library.deleted"


def test_the_servers_copy_goes_only_where_it_was_asked_for() -> None:
    facts = replace(FACTS, pressed=replace(MODEL, copied_to="mochi.safetensors"))
    asked, _ = play(press("remove"), facts=facts)
    screen = shown(asked, facts)
    assert keys(screen) == ["library.ask_delete", "library.ask_copy"]
    assert buttons(screen)["button.delete_both"].danger
    assert play(press("removenow"), start=asked, facts=facts)[1] == [DeleteModel(MODEL.id)]
    both = play(press("removenow", "copy"), start=asked, facts=facts)[1]
    assert both == [DeleteModel(MODEL.id, with_copy=True)]


def test_an_old_button_asks_before_it_deletes() -> None:
    conversation, actions = play(press("removenow"))
    assert actions == []
    assert conversation.opened == Opened(view=View.DELETE, model=MODEL.id)


DRAWN = replace(MODEL, samples=Samples(step=9, grid="g", small="s", pictures=("p",)))
IN_PUBLIC = replace(FACTS, pressed=DRAWN)


def test_samples_are_offered_to_the_gallery_where_there_are_some_and_a_place() -> None:
    start = replace(EMPTY, opened=Opened(view=View.MODEL, model=MODEL.id))
    assert "button.exhibit" not in buttons(shown(start))
    offered = buttons(shown(start, IN_PUBLIC))["button.exhibit"]
    assert offered.public
    hanging = buttons(shown(start, replace(IN_PUBLIC, exhibited=True)))
    assert "button.exhibit" not in hanging
    assert hanging["button.unexhibit"].public


def test_they_hang_after_one_question_and_the_panel_says_so() -> None:
    asked, nothing = play(press("hang"), facts=IN_PUBLIC)
    assert nothing == []
    assert keys(shown(asked, IN_PUBLIC)) == ["gallery.ask"]
    hung, actions = play(press("hangnow"), start=asked, facts=IN_PUBLIC)
    assert actions == [Exhibit(MODEL.id)]
    assert hung.panel == asked.panel
    assert keys(shown(hung, replace(IN_PUBLIC, exhibited=True)))[:2] == [
        "gallery.coming",
        "about.title",
    ]
    down, actions = play(press("unhang"), start=hung, facts=replace(IN_PUBLIC, exhibited=True))
    assert actions == [TakeDown(MODEL.id)]
    assert keys(shown(down, IN_PUBLIC))[0] == "gallery.down"


def test_an_old_button_asks_before_it_shows_anything() -> None:
    conversation, actions = play(press("hangnow"), facts=IN_PUBLIC)
    assert actions == []
    assert conversation.opened == Opened(view=View.EXHIBIT, model=MODEL.id)


def test_without_samples_nothing_hangs() -> None:
    for verb in ("hang", "hangnow"):
        conversation, actions = play(press(verb))
        assert actions == []
        assert keys(shown(conversation))[0] == "gallery.none"


def test_below_a_result_what_hangs_can_be_taken_down() -> None:
    _, (said,) = play(press("exhibit"), facts=replace(IN_PUBLIC, exhibited=True))
    assert isinstance(said, Show)
    assert keys(said.screen) == ["gallery.there"]
    assert buttons(said.screen)["button.unexhibit"].verb == "unexhibit"


def test_training_again_keeps_all_answers_and_all_photos() -> None:
    conversation, _ = play(press("retrain"))
    assert conversation.state is State.SUMMARY
    assert (conversation.name, conversation.trigger) == ("mochi_2", "mochix")
    assert (conversation.base, conversation.kind) == ("demo", "person")
    assert conversation.photos == PHOTOS
    assert conversation.draft == "D" * 26
    assert conversation.opened is None


def test_the_photos_alone_begin_a_new_draft() -> None:
    conversation, _ = play(press("reuse"))
    assert (conversation.state, conversation.name) == (State.NAME, "")
    assert conversation.photos == PHOTOS
    assert conversation.uploads == 10


@pytest.mark.parametrize(("left", "state"), [(9, State.SUMMARY), (3, State.PHOTOS)])
def test_photos_that_are_gone_are_told(left: int, state: State) -> None:
    facts = replace(FACTS, kept_photos=PHOTOS[:left])
    conversation, _ = play(press("retrain"), facts=facts)
    assert (conversation.state, len(conversation.photos)) == (state, left)
    assert conversation.note is not None
    assert (conversation.note.key, conversation.note.n) == ("library.photos_left", 10 - left)


def test_without_photos_nothing_is_begun() -> None:
    facts = replace(FACTS, kept_photos=())
    start = replace(EMPTY, opened=Opened(view=View.MODEL, model=MODEL.id))
    assert "button.retrain" not in buttons(shown(start, facts))
    assert "about.photos_none" in keys(shown(start, facts))
    conversation, _ = play(press("retrain"), start=start, facts=facts)
    assert (conversation.state, conversation.opened) == (State.IDLE, start.opened)
    assert keys(shown(conversation, facts))[0] == "library.no_photos"


def test_a_base_that_is_gone_is_asked_for() -> None:
    facts = replace(FACTS, bases=(bases.demo(), replace(bases.demo(), id="b")))
    params = replace(MODEL.params, base_model="lost")
    facts = replace(facts, pressed=replace(MODEL, params=params))
    assert play(press("retrain"), facts=facts)[0].state is State.BASE


def test_a_draft_is_never_replaced() -> None:
    for verb in ("retrain", "reuse"):
        start, _ = play(Command("models"), press("model"), start=DRAFT)
        conversation, _ = play(press(verb), start=start)
        assert (conversation.draft, conversation.photos) == (DRAFT.draft, DRAFT.photos)
        assert keys(shown(conversation))[0] == "library.busy"


def test_the_library_lies_over_a_draft_and_leaves_it_as_it_was() -> None:
    over, _ = play(Command("models"), press("model"), press("howto", "easy"), start=DRAFT)
    assert over.panel == DRAFT.panel + 1
    assert play(Choice("shut"), start=over)[0] == replace(DRAFT, panel=DRAFT.panel + 1)
    named, _ = play(Text("momo"), start=over)
    assert (named.name, named.opened) == ("momo", None)


def test_a_command_puts_the_library_away() -> None:
    over, _ = play(Command("models"))
    assert play(Command("help"), start=over)[0].opened is None
    assert play(Choice("help"), start=over)[0].opened == over.opened


def test_from_a_result_far_above_a_new_message_comes() -> None:
    over, _ = play(Command("models"))
    assert play(press("about"), start=over)[0].panel == over.panel + 1
    assert play(press("model"), start=over)[0].panel == over.panel


@pytest.mark.parametrize(
    "raw",
    [None, 7, {}, {"view": "x"}, {"view": "list", "page": "1"}, {"view": ["list"]}],
)
def test_what_makes_no_sense_is_not_opened(raw: object) -> None:
    text = json.dumps({"v": 1, "state": "idle", "opened": raw})
    assert draft.from_json(text).opened is None


def test_an_opened_library_survives_its_text() -> None:
    one = Opened(view=View.HOWTO, page=2, model="J", tool="easy")
    assert (
        opened.from_json(
            json.loads(json.dumps({"view": "howto", "page": 2, "model": "J", "tool": "easy"}))
        )
        == one
    )
