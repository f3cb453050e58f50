"""What a training draws: its samples' one message, its chart; which step became the file. Pure."""

from bot.screen import Line, Screen, Shelved, Slot
from bot.screens import toast
from storage.job import Args, Job
from trainer.presets import prompts_for


def samples(job: Job) -> Screen | None:
    """The newest grid, with what was asked for in each of its pictures; None before the first."""
    drawn = job.samples
    if drawn is None:
        return None
    args: Args = {"name": job.name, "percent": percent_of(job, drawn.step)}
    prompts = enumerate(prompts_for(job.params), start=1)
    asked = (Line(key="samples.prompt", args={"number": n, "prompt": p.text}) for n, p in prompts)
    lines = [Line(key="samples.title", args=args), *asked, Line(key="samples.same")]
    if drawn.likeness is not None:
        alike = min(100, round(100 * drawn.likeness))
        lines.append(Line(key="samples.likeness", args={"percent": alike}))
    return Screen(slot=Slot.SAMPLES, lines=tuple(lines), picture=picture(job))


def picture(job: Job) -> Shelved | None:
    """All samples in one."""
    drawn, base = job.samples, job.params.base_model
    return Shelved(drawn.grid, drawn.small, base=base) if drawn else None


def chart(job: Job) -> Screen:
    if not job.chart:
        return toast(Line(key="chart.none"))
    line = Line(key="chart.title", args={"name": job.name})
    return Screen(slot=Slot.TOAST, lines=(line,), picture=Shelved(job.chart, stay=True))


def which_step(job: Job) -> tuple[Line, ...]:
    """Which version became the file and why, where there was a choice; one sentence."""
    taken = job.taken
    if taken is None:
        return ()
    args = {"percent": percent_of(job, taken.step)}
    if taken.step < taken.last:
        key = "result.taken_held_out" if taken.by == "held_out" else "result.taken"
        return (Line(key=key, args=args),)
    if job.asked_finish:
        return (Line(key="result.stopped", args=args),)
    if taken.compared < 2:
        return ()
    if taken.best < taken.step:
        return (Line(key="result.taken_long", args={"percent": percent_of(job, taken.best)}),)
    return (Line(key="result.taken_last"),)


def percent_of(job: Job, step: int) -> int:
    return round(100 * step / max(1, job.params.max_steps))
