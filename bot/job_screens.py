"""What is shown of a job while it waits and runs: status, and the question before a stop. Pure."""

from bot.pausing import paused
from bot.screen import Button, Line, Screen, Slot
from bot.screens import TRAIN, bar, minutes, toast, when
from storage.access import Pause
from storage.job import RUNNING, Job, JobState
from trainer.run import Phase

SURE_STEPS = 20  # before so many steps a remaining time would be a guess
Rows = tuple[tuple[Button, ...], ...]


def status(
    job: Job,
    *,
    place: int = 0,
    starts_in_s: float = 0.0,
    online: int = 1,
    pause: Pause | None = None,
    able: bool = True,
) -> Screen:
    """The job's one status message: the row as it is now. Not ``able``: no computer that is online
    can train it.
    """
    soon = outlook(starts_in_s, online, pause, able=able)
    lines = (*_state_lines(job, place, soon), *_rejections(job))
    return Screen(slot=Slot.STATUS, lines=lines, buttons=_state_buttons(job))


def outlook(starts_in_s: float, online: int, pause: Pause | None, *, able: bool) -> Line:
    """When it starts, as its chat reads it while it waits."""
    return paused(pause) if pause else when(starts_in_s, online, able=able)


def _state_lines(job: Job, place: int, soon: Line) -> tuple[Line, ...]:
    args: dict[str, str | int | float] = {"name": job.name}
    match job.state:
        case JobState.QUEUED:
            waiting = Line(key="status.queued", args={**args, "place": max(1, place)})
            return waiting, soon
        case JobState.PREPARING:
            args |= {"done": job.prepared, "all": len(job.photos)}
            return (Line(key="status.preparing", args=args),)
        case JobState.TRAINING:
            return _training(job)
        case JobState.FAILED:
            failure = job.failure
            code, why = (failure.code, failure.args) if failure else ("fail.internal", {})
            why_line = Line(key=code, args=why)
            return (Line(key="status.failed", args={**args, "code": job.code}), why_line)
    return (Line(key=f"status.{job.state}", args=args),)


def _training(job: Job) -> tuple[Line, ...]:
    args: dict[str, str | int | float] = {"name": job.name}
    title, progress = Line(key="status.training", args=args), job.progress
    if progress is None or not progress.step:
        phase = progress.phase if progress else Phase.LOADING
        return title, Line(key=f"phase.{Phase.LOADING if phase is Phase.TRAINING else phase}")
    args |= {"bar": bar(share(job)), "percent": done(job)}
    lines = [title, Line(key="status.bar", args=args)]
    if job.asked_finish:
        lines.append(Line(key="status.finishing"))
    if progress.phase is not Phase.TRAINING:
        lines.append(Line(key=f"phase.{progress.phase}"))
    elif (eta_s := left(job)) is not None:
        lines.append(Line(key="status.left", args={"minutes": minutes(eta_s)}))
    lines.append(
        Line(
            key="status.step",
            args={
                "step": progress.step,
                "total": progress.total,
                "speed": _speed(progress.steps_per_s),
                "loss": "–" if progress.loss is None else f"{progress.loss:.3f}",
            },
        )
    )
    return tuple(lines)


def share(job: Job) -> float:
    """Of the training's steps; 0..1."""
    return job.progress.step / max(1, job.progress.total) if job.progress else 0.0


def done(job: Job) -> int:
    """The same in percent."""
    return round(100 * share(job))


def left(job: Job) -> float | None:
    """Seconds that its training still takes; None while that would be a guess."""
    progress = job.progress
    if progress is None or progress.phase is not Phase.TRAINING:
        return None
    return progress.eta_s if progress.step >= min(SURE_STEPS, progress.total / 2) else None


def _speed(steps_per_s: float | None) -> str:
    """The field's way: it/s, and s/it where a step takes longer than a second."""
    if not steps_per_s:
        return "–"
    return f"{steps_per_s:.1f} it/s" if steps_per_s >= 1 else f"{1 / steps_per_s:.1f} s/it"


def _rejections(job: Job) -> tuple[Line, ...]:
    return tuple(
        Line(key=one.code, args={**one.args, "number": one.number}) for one in job.rejections
    )


def _state_buttons(job: Job) -> Rows:
    if job.state is JobState.TRAINING and share(job):
        return _training_buttons(job)
    if job.state in {JobState.QUEUED, JobState.HELD} or job.state in RUNNING:
        return ((Button(label="button.cancel", verb="stop", draft=job.id, danger=True),),)
    if job.state in (JobState.FAILED, JobState.CANCELLED):
        return ((TRAIN,),)
    return ()


def _training_buttons(job: Job) -> Rows:
    shown = (
        Button(label="button.samples_now", verb="samples", draft=job.id),
        Button(label="button.chart", verb="chart", draft=job.id),
    )
    stop = Button(label="button.stop_ask", verb="stop", draft=job.id, danger=True)
    return shown, (stop,)


def ask_stop(job: Job) -> Screen:
    """What was trained need not be lost."""
    go_on = Button(label="button.go_on", verb="goon", draft=job.id)
    if job.state is JobState.TRAINING and share(job) and not job.asked_finish:
        keep = Button(label="button.stop_keep", verb="stopkeep", draft=job.id)
        away = Button(label="button.stop_away", verb="stopnow", draft=job.id, danger=True)
        asked = Line(key="stop.ask", args={"name": job.name, "percent": done(job)})
        return toast(asked, buttons=((keep,), (away, go_on)))
    stop = Button(label="button.stop", verb="stopnow", draft=job.id, danger=True)
    key = "stop.waiting" if job.state is JobState.QUEUED else "stop.running"
    return toast(Line(key=key, args={"name": job.name}), buttons=((stop, go_on),))
