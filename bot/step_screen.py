"""Other versions of a finished file: which there are, how like, and a button each. Pure."""

from bot.sample_screens import percent_of
from bot.screen import Button, Line
from bot.screens import megabytes
from storage.job import Args, Job, SavedStep

Rows = tuple[tuple[Button, ...], ...]


def other_versions(job: Job, here: str = "") -> Button:
    """``here``: in the library itself, and not below a result."""
    return Button(label="button.steps", verb="steps", draft=job.id, argument=here)


def page(job: Job) -> tuple[Line, ...]:
    if not job.saved:
        return (Line(key="steps.none"),)
    lines = [Line(key="steps.title", args={"name": job.name})]
    if job.taken is not None:
        lines.append(Line(key="steps.yours", args={"percent": percent_of(job, job.taken.step)}))
    return (*lines, *(_version(job, one) for one in job.saved), Line(key="steps.why"))


def _version(job: Job, one: SavedStep) -> Line:
    args: Args = {"percent": percent_of(job, one.step), "step": one.step}
    if one.likeness is None:
        return Line(key="steps.one", args=args)
    return Line(key="steps.scored", args={**args, "likeness": round(100 * one.likeness)})


def buttons(job: Job, *last: Button) -> Rows:
    rows = tuple((_button(job, one),) for one in job.saved)
    return (*rows, last)


def _button(job: Job, one: SavedStep) -> Button:
    return Button(
        label="button.step",
        args={"percent": percent_of(job, one.step), "size": megabytes(one.file_bytes)},
        verb="step",
        draft=job.id,
        argument=str(one.step),
    )
