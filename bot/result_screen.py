"""The message with the finished file: what it is, how it comes, how it is used. Pure."""

from dataclasses import dataclass

from bot import exhibiting
from bot.delivery import MEGABYTE, Attach, AttachTwin, Link, OnServer, PathOnly, Way
from bot.howto import use_of, works_with
from bot.sample_screens import picture, which_step
from bot.screen import Button, Line, Screen, Slot
from bot.screens import megabytes
from bot.step_screen import other_versions
from storage.job import Artifact, Job
from storage.shelf import Twin


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """One job's file on its way: ``url`` opens the whole file for ``hours``, ``path`` is its place
    on this machine. ``most_bytes`` is what the chat takes.
    """

    made: Artifact
    way: Way
    twin: Twin | None = None
    url: str = ""
    hours: float = 0.0
    path: str = ""
    most_bytes: int = 0

    @property
    def sent_name(self) -> str:
        """The file that the person gets in the chat, or behind the link."""
        if isinstance(self.way, AttachTwin) and self.twin is not None:
            return self.twin.name
        return self.made.name


def result(job: Job, shipment: Shipment) -> Screen:
    made = shipment.made
    args = {"name": job.name, "file": made.name, "size": megabytes(made.file_bytes)}
    lines = [
        Line(key="result.ready", args=args),
        *which_step(job),
        use_of(job, shipment.sent_name.removesuffix(".safetensors")),
        *how_it_comes(shipment),
        works_with(job),
    ]
    if job.copied_to:
        lines.append(Line(key="result.copied", args={"file": job.copied_to}))
    buttons = (*download(shipment), *uses(job))
    return Screen(
        slot=Slot.RESULT,
        lines=tuple(lines),
        buttons=buttons,
        notify=True,
        picture=picture(job),
    )


def how_it_comes(shipment: Shipment) -> tuple[Line, ...]:
    """What the person has to know of the way; a file that is simply there needs no words."""
    match shipment.way:
        case Attach():
            return ()
        case PathOnly():
            return (Line(key="result.path", args={"path": shipment.path}),)
        case Link():
            return (_link(shipment),)
        case AttachTwin(link=link):
            rest = _link(shipment) if link else Line(key="result.kept_whole")
            return (*_smaller(shipment), rest)
    return (Line(key="result.kept"),)


def _smaller(shipment: Shipment) -> tuple[Line, ...]:
    twin = shipment.twin
    if twin is None:
        return ()
    args: dict[str, str | int | float] = {
        "limit": shipment.most_bytes // MEGABYTE,
        "size": megabytes(twin.file_bytes),
        "rank": twin.rank,
        "lost": max(1, round(100 * twin.lost)),
    }
    return (Line(key="result.smaller", args=args),)


def _link(shipment: Shipment) -> Line:
    return Line(key="result.link", args={"hours": round(shipment.hours)})


def download(shipment: Shipment) -> tuple[tuple[Button, ...], ...]:
    if not shipment.url or isinstance(shipment.way, Attach | PathOnly | OnServer):
        return ()
    args = {"size": megabytes(shipment.made.file_bytes)}
    return ((Button(label="button.download", args=args, url=shipment.url),),)


def sent_beside(title: Line, label: str, way: Way, url: str, path: str) -> Screen:
    """The message with a file that is no LoRA, or with the way to it; ``label`` opens it."""
    lines = [title]
    if isinstance(way, PathOnly):
        lines.append(Line(key="result.path", args={"path": path}))
    elif not url and not isinstance(way, Attach):
        lines.append(Line(key="result.kept"))
    open_it = ((Button(label=label, url=url),),) if url else ()
    return Screen(slot=Slot.TOAST, lines=tuple(lines), buttons=open_it)


def uses(job: Job) -> tuple[tuple[Button, ...], ...]:
    """What people do with a finished file; the rest is one press away, in their library."""
    return (
        (
            Button(label="button.howto", verb="howto", draft=job.id),
            Button(label="button.copy_trigger", copy=job.params.trigger),
        ),
        (
            Button(label="button.model", verb="model", draft=job.id),
            *((other_versions(job),) if job.saved else ()),
        ),
        *(((exhibiting.button(job),),) if job.samples is not None else ()),
    )
