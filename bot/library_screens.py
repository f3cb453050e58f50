"""What the library shows: pages of models, one model, how it is used, and what is asked. Pure."""

from datetime import UTC, datetime

from bot import exhibiting, step_screen
from bot.defaults import tool_of
from bot.draft import Conversation
from bot.facts import Facts
from bot.howto import FAMILIES, TOOLS, howto
from bot.library import COPY, is_mine
from bot.opened import Opened, View
from bot.screen import Button, Line, Screen, Slot
from bot.screens import TRAIN, megabytes
from storage.job import Args, Job

Rows = tuple[tuple[Button, ...], ...]
Part = tuple[tuple[Line, ...], Rows]
IN_A_ROW = 2
CLOSE = Button(label="button.close", verb="shut")


def panel(conversation: Conversation, opened: Opened, facts: Facts) -> Screen:
    """``facts.pressed`` is the model that is looked at, if there still is one."""
    lines, buttons = _part(opened, facts)
    note = (conversation.note,) if conversation.note else ()
    asks = None
    if opened.view is View.NAME:
        asks = Button(label="button.write", verb="ask", draft=opened.model, argument="words")
    return Screen(slot=Slot.PANEL, lines=(*note, *lines), buttons=buttons, asks=asks)


def _part(opened: Opened, facts: Facts) -> Part:
    job = facts.pressed
    if opened.view is View.LIST:
        return _list(facts)
    if job is None or not is_mine(job, facts):
        return (Line(key="models.gone"),), ((_back(opened), CLOSE),)
    return _page_of(job, opened, facts)


def _page_of(job: Job, opened: Opened, facts: Facts) -> Part:
    match opened.view:
        case View.HOWTO:
            return _howto(job, opened)
        case View.NAME:
            return _name(job)
        case View.DELETE:
            return _delete(job)
        case View.EXHIBIT:
            return exhibiting.question(job, _to_model(job))
        case View.STEPS:
            return _steps(job)
    return _model(job, opened, facts)


def _steps(job: Job) -> Part:
    return step_screen.page(job), step_screen.buttons(job, _to_model(job), CLOSE)


def _list(facts: Facts) -> Part:
    shelf = facts.models
    lines = [Line(key="models.title", n=shelf.count)]
    rows: list[tuple[Button, ...]] = []
    for job in shelf.models:
        lines.append(Line(key="models.one", args=_args(job)))
        open_it = Button(label="button.word", args={"word": job.name}, verb="model", draft=job.id)
        if rows and len(rows[-1]) < IN_A_ROW:
            rows[-1] = (*rows[-1], open_it)
        else:
            rows.append((open_it,))
    turn = []
    if shelf.number:
        turn.append(_page("button.newer", shelf.number - 1))
    if (shelf.number + 1) * facts.page_size < shelf.count:
        turn.append(_page("button.older", shelf.number + 1))
    rows += [tuple(turn)] if turn else []
    return tuple(lines), (*rows, (TRAIN, CLOSE))


def _page(label: str, number: int) -> Button:
    return Button(label=label, verb="models", argument=str(number))


def _back(opened: Opened) -> Button:
    return Button(label="button.all_models", verb="models", argument=str(opened.page))


def _model(job: Job, opened: Opened, facts: Facts) -> Part:
    args = {**_args(job), "base": _base(job, facts), "rank": job.params.rank}
    lines = [
        Line(key="about.title", args=args),
        Line(key="about.facts", args={**args, "steps": job.params.max_steps}),
        _photos(job, facts),
    ]
    if job.copied_to:
        lines.append(Line(key="result.copied", args={"file": job.copied_to}))
    return tuple(lines), _model_buttons(job, opened, facts)


def _model_buttons(job: Job, opened: Opened, facts: Facts) -> Rows:
    def button(label: str, verb: str, *, danger: bool = False) -> Button:
        return Button(label=label, verb=verb, draft=job.id, danger=danger)

    send = [button("button.send_file", "send")]
    if facts.has_links:
        send.append(button("button.new_link", "link"))
    again = [button("button.retrain", "retrain"), button("button.reuse", "reuse")]
    tool = tool_of(facts.preferences)
    rows = (
        tuple(send),
        (
            Button(label="button.howto", verb="howto", draft=job.id, argument=tool),
            Button(label="button.copy_trigger", copy=job.params.trigger),
        ),
        (button("button.card", "card"), button("button.rename", "rename")),
        tuple(again) if facts.kept_photos else (),
        (step_screen.other_versions(job, "here"),) if job.saved else (),
        exhibiting.in_library(job, exhibited=bool(job.samples and facts.exhibited)),
        (button("button.delete", "remove", danger=True), _back(opened)),
    )
    return tuple(row for row in rows if row)


def _photos(job: Job, facts: Facts) -> Line:
    """What is still there to train another one with."""
    left = len(facts.kept_photos)
    if left == len(job.photos):
        return Line(key="about.photos", n=left)
    if left:
        return Line(key="about.photos_some", args={"all": len(job.photos)}, n=left)
    return Line(key="about.photos_none")


def _base(job: Job, facts: Facts) -> str:
    base = facts.base(job.params.base_model)
    return base.title if base else FAMILIES.get(job.params.family, job.params.base_model)


def _howto(job: Job, opened: Opened) -> Part:
    tool = opened.tool if opened.tool in TOOLS else TOOLS[0]
    tabs = tuple(
        Button(
            label=f"tool.{one}.chosen" if one == tool else f"tool.{one}",
            verb="howto",
            draft=job.id,
            argument=one,
        )
        for one in TOOLS
    )
    return howto(job, tool), (tabs, (_to_model(job), CLOSE))


def _to_model(job: Job, label: str = "button.back") -> Button:
    return Button(label=label, verb="model", draft=job.id)


def _name(job: Job) -> Part:
    return (Line(key="ask.rename", args={"name": job.name}),), ((_to_model(job),),)


def _delete(job: Job) -> Part:
    """Names the loss, and asks for the copy by itself: it is the server's as well."""
    lines = [Line(key="library.ask_delete", args=_args(job))]
    remove = Button(label="button.delete", verb="removenow", draft=job.id, danger=True)
    rows: list[tuple[Button, ...]] = [(remove,)]
    if job.copied_to:
        lines.append(Line(key="library.ask_copy", args={"file": job.copied_to}))
        both = Button(
            label="button.delete_both",
            verb="removenow",
            draft=job.id,
            argument=COPY,
            danger=True,
        )
        rows.append((both,))
    return tuple(lines), (*rows, (_to_model(job, "button.keep"),))


def _args(job: Job) -> Args:
    when = datetime.fromtimestamp(job.finished_at or job.created_at, UTC)
    return {
        "name": job.name,
        "trigger": job.params.trigger,
        "size": megabytes(job.artifact.file_bytes if job.artifact else 0),
        "date": when.strftime("%Y-%m-%d"),
    }
