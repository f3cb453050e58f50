"""The queue in an admin's hands: details of a job, another order, its log. Pure."""

from bot import screens
from bot.clock import span
from bot.draft import Conversation
from bot.events import Choice, Command, Event, Show
from bot.facts import Facts
from bot.moves import Step
from bot.orders import Note, Reorder, SendLog
from bot.screen import Button, Line, Screen
from storage.job import FINAL, Job, JobState
from storage.line import MOVES, Entry, moved, priorities

QUEUE = Button(label="button.queue", verb="queue")
Args = dict[str, str | int | float]


def details_button(job: Job | Entry) -> Button:
    args = {"code": job.code, "name": job.name}
    return Button(label="button.details", args=args, verb="qshow", draft=job.id)


def show(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    if facts.pressed is None:
        return conversation, (Show(screens.toast(Line(key="admin.no_job"), buttons=((QUEUE,),))),)
    return conversation, (Show(details(facts.pressed, facts)),)


def details(job: Job, facts: Facts) -> Screen:
    who = facts.board.names.get(job.person, job.person)
    args: Args = {"name": job.name, "code": job.code, "who": who, "person": job.person}
    more: Args = {
        "base": job.params.base_model,
        "steps": job.params.max_steps,
        "attempts": job.attempts,
        "age": span(facts.now - job.created_at),
    }
    lines = [
        Line(key="admin.job", args=args),
        Line(key=_state(job), args=_place(job, facts)),
        Line(key="admin.job_more", args=more, n=len(job.photos)),
    ]
    if job.state is JobState.QUEUED and not facts.board.can_train(job.params.base_model):
        lines.append(Line(key="admin.job_unable", args={"base": job.params.base_model}))
    if job.failure is not None:
        lines.append(Line(key="admin.job_failed", args={"why": job.failure.code}))
    return screens.toast(*lines, buttons=_buttons(job))


def _state(job: Job) -> str:
    match job.state:
        case JobState.QUEUED:
            return "admin.job_waits"
        case JobState.HELD:
            return "admin.job_held"
        case JobState.DONE:
            return "admin.job_done"
        case JobState.FAILED:
            return "admin.job_lost"
        case JobState.CANCELLED:
            return "admin.job_cancelled"
    return "admin.job_runs"


def _place(job: Job, facts: Facts) -> Args:
    return {"place": facts.board.place(job.id), "all": facts.board.waiting}


def _buttons(job: Job) -> tuple[tuple[Button, ...], ...]:
    log = Button(label="button.log", verb="qlog", draft=job.id)
    if job.state in FINAL:
        return ((log, QUEUE),)
    # Whose result is on its way has nothing left to stop.
    stoppable = job.state is not JobState.DELIVERING
    stop = Button(label="button.stop", verb="stop", draft=job.id, danger=True)
    rows = ((stop, log, QUEUE),) if stoppable else ((log, QUEUE),)
    if job.state is not JobState.QUEUED:
        return rows
    moves = (
        Button(label="button.first", verb="qmove", draft=job.id, argument="first"),
        Button(label="button.up", verb="qmove", draft=job.id, argument="up"),
        Button(label="button.down", verb="qmove", draft=job.id, argument="down"),
    )
    return (moves, *rows)


def move(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """Computed from the line as it is in this very transaction: two admins never cross."""
    job, way = facts.pressed, event.argument if isinstance(event, Choice) else ""
    board = facts.board
    if job is None or way not in MOVES or not board.place(job.id):
        late = screens.toast(Line(key="admin.not_waiting"), buttons=((QUEUE,),))
        return conversation, (Show(late),)
    place, wanted = _moved(job, way, facts)
    args: Args = {"code": job.code, "name": job.name, "place": place, "all": board.waiting}
    said = screens.toast(Line(key="admin.moved", args=args), buttons=_buttons(job))
    if not wanted:
        return conversation, (Show(said),)
    return conversation, (Reorder(wanted), Note("move", job.id, way), Show(said))


def _moved(job: Job, way: str, facts: Facts) -> tuple[int, dict[str, int]]:
    """Its new place, and the priorities that bring it there. Of a long line only the front is at
    hand: a job behind it can come first, and else it stays, for nothing is known of its neighbours.
    """
    before = list(facts.board.queued)
    place = facts.board.place(job.id)
    is_near = place <= len(before) - (2 if facts.board.further else 0)
    if is_near:
        after = moved(before, job.id, way)
        return [one.id for one in after].index(job.id) + 1, priorities(before, after)
    return (1, {job.id: before[0].priority + 1}) if way == "first" else (place, {})


def log(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """/log J-7Q2F, or its button."""
    job = facts.office.found if isinstance(event, Command) else facts.pressed
    if job is None:
        asked = isinstance(event, Command) and event.argument
        key = "admin.no_job" if asked else "admin.log_how"
        return conversation, (Show(screens.toast(Line(key=key))),)
    return conversation, (SendLog(job.id), Note("log", job.id))
