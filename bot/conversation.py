"""The conversation, once for all networks: ``step(conversation, event, facts)``.

Two laws. Whatever changes a conversation stands in this file; and this file does not know on which
network it runs. What is shown follows from the state (`screens.panel`); actions are the rest.
"""

from collections.abc import Callable
from dataclasses import replace

from bot import commands, naming, screens
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
    SendResult,
    Show,
    Submit,
    Text,
)
from bot.facts import Facts
from bot.screen import Line
from storage.job import MAX_PHOTOS, MIN_PHOTOS, NO_ARGS, JobState

Step = tuple[Conversation, tuple[Action, ...]]
Handler = Callable[[Conversation, Event, Facts], Step]

# The general noun beside the trigger, for each kind of subject.
CLASS_WORDS = {"person": "person", "character": "character", "style": "style", "thing": "object"}
MAX_REFUSALS = 5  # the panel tells the latest ones; more would push the tally out of sight
DRAFT_VERBS = frozenset(
    {"kind", "name", "word", "base", "done", "more", "start", "add", "drop", "keep", "edit"}
)


def step(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """One event: the conversation afterwards, and what is to be done beside showing it."""
    if _is_stale(conversation, event):
        note = Line(key="old.button")
        if conversation.state is State.IDLE:
            return conversation, (Show(screens.toast(note)),)
        return _below(replace(conversation, note=note)), ()
    was_asking = conversation.asking
    fresh = replace(conversation, note=None, asking=False)
    if isinstance(event, Text | Command):
        fresh = _below(fresh)
    handler = TABLE.get((conversation.state, _key(event)), _unexpected)
    if was_asking and isinstance(event, Command) and event.name == "cancel":
        handler = _drop
    return handler(fresh, event, facts)


def _is_stale(conversation: Conversation, event: Event) -> bool:
    return (
        isinstance(event, Choice)
        and event.verb in DRAFT_VERBS
        and (conversation.state is State.IDLE or event.draft != conversation.draft)
    )


def _key(event: Event) -> str:
    match event:
        case Command(name=name):
            return f"/{name}"
        case Text():
            return "text"
        case Choice(verb=verb):
            return verb
        case PhotoReceived():
            return "photo"
        case FileRefused():
            return "refused"


def _below(conversation: Conversation) -> Conversation:
    """The panel moves to a new message at the end of the chat."""
    return replace(conversation, panel=conversation.panel + 1, below=False)


# --- starting and leaving a draft ----------------------------------------------------------------


def _begin(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    started = Conversation(
        state=State.KIND,
        draft=facts.new_id,
        person=facts.person,
        panel=conversation.panel + 1,
    )
    return started, ()


def _resume(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return replace(conversation, note=Line(key="draft.resumed")), ()


def _ask_drop(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    if not conversation.photos and not conversation.name:
        return _drop(conversation, _event, _facts)
    return replace(conversation, asking=True), ()


def _drop(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    done = Show(screens.toast(Line(key="draft.dropped"), buttons=((screens.TRAIN,),)))
    return Conversation(panel=conversation.panel), (DropPhotos(conversation.photos), done)


def _keep(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return conversation, ()


def _nothing_to_cancel(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return conversation, (Show(commands.cancel(facts)),)


# --- questions -----------------------------------------------------------------------------------


def _choose_kind(conversation: Conversation, event: Event, facts: Facts) -> Step:
    kind = _argument(event).lower().removeprefix("a ")
    if kind not in CLASS_WORDS:
        return _unexpected(conversation, event, facts)
    return _ask_next(replace(conversation, kind=kind), facts), ()


def _choose_name(conversation: Conversation, event: Event, facts: Facts) -> Step:
    name = _argument(event)
    if not naming.is_good_name(name):
        suggestion = naming.suggest_name(name, facts.taken)
        return replace(conversation, suggestion=suggestion, note=Line(key="name.bad")), ()
    if naming.is_taken(name, facts.taken):
        note = Line(key="name.taken", args={"name": name})
        suggestion = naming.free_name(name, facts.taken)
        return replace(conversation, suggestion=suggestion, note=note), ()
    named = replace(conversation, name=name, suggestion=naming.suggest_trigger(name))
    return _ask_next(named, facts), ()


def _choose_trigger(conversation: Conversation, event: Event, facts: Facts) -> Step:
    word = _argument(event)
    if not naming.is_good_trigger(word):
        return replace(conversation, note=Line(key="trigger.bad")), ()
    return _ask_next(replace(conversation, trigger=word, suggestion=""), facts), ()


def _choose_base(conversation: Conversation, event: Event, facts: Facts) -> Step:
    wanted = _argument(event).lower()
    found = [base for base in facts.bases if wanted in (base.id.lower(), base.title.lower())]
    if not found:
        return replace(conversation, note=Line(key="base.unknown")), ()
    if not found[0].installed:
        return replace(conversation, note=Line(key="base.missing")), ()
    return _ask_next(replace(conversation, base=found[0].id), facts), ()


def _ask_next(conversation: Conversation, facts: Facts) -> Conversation:
    """The first question without an answer; a base is not asked for where there is one only."""
    if not conversation.base and len(facts.bases) == 1:
        conversation = replace(conversation, base=facts.bases[0].id)
    order = (
        (conversation.kind, State.KIND),
        (conversation.name, State.NAME),
        (conversation.trigger, State.TRIGGER),
        (conversation.base, State.BASE),
        (conversation.closed, State.PHOTOS),
    )
    state = next((state for answer, state in order if not answer), State.SUMMARY)
    return replace(conversation, state=state)


def _edit(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """Ask one question again; the others keep their answers."""
    what = _argument(event)
    if what not in ("name", "trigger"):
        return _unexpected(conversation, event, facts)
    if what == "name":
        return _ask_next(replace(conversation, name=""), facts), ()
    suggestion = naming.suggest_trigger(conversation.name)
    return _ask_next(replace(conversation, trigger="", suggestion=suggestion), facts), ()


def _argument(event: Event) -> str:
    match event:
        case Choice(argument=argument):
            return argument
        case Text(text=text):
            return text.strip()
    return ""


# --- photos --------------------------------------------------------------------------------------


def _first_photo(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """A photo without a draft starts one: nothing that a person sends is thrown away."""
    return _add_photo(_begin(conversation, event, facts)[0], event, facts)


def _add_photo(conversation: Conversation, event: Event, _facts: Facts) -> Step:
    assert isinstance(event, PhotoReceived)  # noqa: S101  the table says so
    number = conversation.uploads + 1
    counted = replace(conversation, uploads=number)
    same = [one.number for one in conversation.photos if one.sha256 == event.photo.sha256]
    if same:
        args: dict[str, str | int | float] = {"number": number, "other": same[0]}
        return _refuse(counted, Line(key="photo.duplicate", args=args)), ()
    if len(conversation.photos) >= MAX_PHOTOS:
        args = {"number": number, "most": MAX_PHOTOS}
        return _refuse(counted, Line(key="photo.many", args=args)), ()
    photo = replace(event.photo, number=number)
    return _under_photos(replace(counted, photos=(*counted.photos, photo))), ()


def _refuse_file(conversation: Conversation, event: Event, _facts: Facts) -> Step:
    assert isinstance(event, FileRefused)  # noqa: S101  the table says so
    number = conversation.uploads + 1
    line = Line(key=event.code, args={**event.args, "number": number})
    return _refuse(replace(conversation, uploads=number), line), ()


def _refuse_without_draft(conversation: Conversation, event: Event, _facts: Facts) -> Step:
    assert isinstance(event, FileRefused)  # noqa: S101  the table says so
    line = Line(key=event.code, args={**event.args, "number": 1})
    return conversation, (Show(screens.toast(line)),)


def _refuse(conversation: Conversation, line: Line) -> Conversation:
    refused = (*conversation.refused, line)[-MAX_REFUSALS:]
    return _under_photos(replace(conversation, refused=refused))


def _under_photos(conversation: Conversation) -> Conversation:
    """The tally belongs below the first photo, and stays there while more come."""
    if conversation.state is State.SUMMARY:
        conversation = replace(conversation, state=State.PHOTOS, closed=False)
    return conversation if conversation.below else replace(_below(conversation), below=True)


def _close_photos(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    missing = MIN_PHOTOS - len(conversation.photos)
    if missing > 0:
        note = Line(key="photos.too_few", args={"needed": MIN_PHOTOS}, n=missing)
        return replace(conversation, note=note), ()
    closed = replace(conversation, closed=True, refused=())
    return _ask_next(closed, facts), ()


def _reopen_photos(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return replace(conversation, state=State.PHOTOS, closed=False), ()


# --- the end of it -------------------------------------------------------------------------------


def _start(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """What was true when the summary was shown may have changed: look again."""
    base = facts.base(conversation.base)
    if base is None or not base.installed:
        gone = replace(conversation, base="", note=Line(key="base.missing"))
        return _ask_next(gone, facts), ()
    if naming.is_taken(conversation.name, facts.taken):
        return _choose_name(
            replace(conversation, state=State.NAME, name=""), Text(conversation.name), facts
        )
    if len(conversation.photos) < MIN_PHOTOS:
        return _close_photos(replace(conversation, state=State.PHOTOS), event, facts)
    return conversation, (Submit(),)


# --- jobs ----------------------------------------------------------------------------------------


def _ask_stop(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    job = facts.pressed
    if job is None or not facts.may_touch(job):
        return conversation, (Show(screens.toast(Line(key="old.button"))),)
    return conversation, (Show(screens.ask_stop(job)),)


def _stop(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    job = facts.pressed
    if job is None or not facts.may_touch(job):
        return conversation, (Show(screens.toast(Line(key="old.button"))),)
    if job.state in (JobState.DELIVERING, JobState.DONE, JobState.FAILED, JobState.CANCELLED):
        return conversation, (Show(screens.toast(Line(key="stop.late", args={"name": job.name}))),)
    said = Line(key="stop.done", args={"name": job.name})
    return conversation, (CancelJob(job.id), Show(screens.toast(said)))


def _send(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    job = facts.pressed
    if job is None or not facts.may_touch(job) or job.artifact is None:
        return conversation, (Show(screens.toast(Line(key="models.gone"))),)
    return conversation, (SendResult(job.id),)


def _go_on(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return conversation, (Show(screens.toast(Line(key="stop.not"))),)


# --- always --------------------------------------------------------------------------------------


def _start_command(conversation: Conversation, event: Event, facts: Facts) -> Step:
    if isinstance(event, Command) and event.argument == "train":
        return TABLE[conversation.state, "/train"](conversation, event, facts)
    return conversation, (Show(commands.start(facts)),)


def _help(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return conversation, (Show(commands.help_screen()),)


def _status(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return conversation, (Show(commands.status(conversation, facts)),)


def _queue(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return conversation, (Show(commands.queue(facts)),)


def _models(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return conversation, (Show(commands.models(facts)),)


def _unexpected(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    """Never "wrong": say what can be done here. In a draft the panel says it again."""
    if conversation.state is State.IDLE:
        buttons = ((screens.TRAIN, screens.MODELS, screens.HELP),)
        return conversation, (Show(screens.toast(Line(key="unknown"), buttons=buttons)),)
    return replace(conversation, note=Line(key="draft.unexpected", args=NO_ARGS)), ()


DRAFTING = tuple(state for state in State if state is not State.IDLE)

TABLE: dict[tuple[State, str], Handler] = {
    **{(state, "/start"): _start_command for state in State},
    **{(state, "/help"): _help for state in State},
    **{(state, "/status"): _status for state in State},
    **{(state, "/queue"): _queue for state in State},
    **{(state, "/models"): _models for state in State},
    **{(state, "help"): _help for state in State},
    **{(state, "models"): _models for state in State},
    **{(state, "stop"): _ask_stop for state in State},
    **{(state, "stopnow"): _stop for state in State},
    **{(state, "goon"): _go_on for state in State},
    **{(state, "send"): _send for state in State},
    (State.IDLE, "/train"): _begin,
    (State.IDLE, "train"): _begin,
    (State.IDLE, "/cancel"): _nothing_to_cancel,
    (State.IDLE, "photo"): _first_photo,
    (State.IDLE, "refused"): _refuse_without_draft,
    **{(state, "/train"): _resume for state in DRAFTING},
    **{(state, "train"): _resume for state in DRAFTING},
    **{(state, "/cancel"): _ask_drop for state in DRAFTING},
    **{(state, "drop"): _drop for state in DRAFTING},
    **{(state, "keep"): _keep for state in DRAFTING},
    **{(state, "photo"): _add_photo for state in DRAFTING},
    **{(state, "refused"): _refuse_file for state in DRAFTING},
    (State.KIND, "kind"): _choose_kind,
    (State.KIND, "text"): _choose_kind,
    (State.NAME, "name"): _choose_name,
    (State.NAME, "text"): _choose_name,
    (State.TRIGGER, "word"): _choose_trigger,
    (State.TRIGGER, "text"): _choose_trigger,
    (State.BASE, "base"): _choose_base,
    (State.BASE, "text"): _choose_base,
    (State.PHOTOS, "done"): _close_photos,
    (State.PHOTOS, "/done"): _close_photos,
    (State.PHOTOS, "more"): _close_photos,
    (State.SUMMARY, "start"): _start,
    (State.SUMMARY, "add"): _reopen_photos,
    (State.SUMMARY, "edit"): _edit,
}
