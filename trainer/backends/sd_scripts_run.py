"""One run of sd-scripts from our spec to our exit code: it looks like a trainer of our own."""

import math
import shutil
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from trainer import asked, history, replan, scores
from trainer.asked import Wish
from trainer.backends import sd_scripts_child as child
from trainer.backends import sd_scripts_faults as faults
from trainer.backends import sd_scripts_folder as folder
from trainer.backends import sd_scripts_options as options
from trainer.backends import sd_scripts_results as results
from trainer.backends import sd_scripts_samples as samples
from trainer.backends.sd_scripts_file import LoraFileError
from trainer.backends.sd_scripts_stream import Reader
from trainer.run import (
    EXIT_FAILED,
    EXIT_RESUMABLE,
    SAMPLES,
    SAVED,
    SCORES,
    Failed,
    Failure,
    Finished,
    Message,
    Phase,
    Progress,
    Replanned,
    RunSpec,
    Sampled,
)

HOME = "sd-scripts"  # in the run's folder
REPORT_S = 0.25
WRITING_S = 10.0  # how long a state that is being written may take when we are to stop
KEPT = 10  # states in a run of which nobody wants saved steps
PATIENCE = 3  # scores without a better one, and the run has come to its end
REPLANNED = (Failure.DIVERGED, Failure.MEMORY)

Say = Callable[[Message], None]
Stopping = Callable[[], bool]


class FailedError(Exception):
    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.detail)
        self.failed = failed


class StoppedError(Exception):
    """Asked to stop."""


def run(spec: RunSpec, say: Say, stopping: Stopping) -> int:
    """The exit code; the last message says how it ended."""
    home = (spec.work / HOME).absolute()
    home.mkdir(parents=True, exist_ok=True)
    while True:
        planned = replan.read(spec)
        try:
            say(_run(planned, home, say, stopping))
        except StoppedError:
            if folder.states(home / "out"):
                return EXIT_RESUMABLE
            # To stop is no failure of the run; but there is nothing to go on from.
            detail = "stopped before sd-scripts had kept a state"
            say(Failed(code=Failure.KILLED, detail=detail))
            return EXIT_FAILED
        except FailedError as error:
            failed = error.failed
        except Exception as error:  # noqa: BLE001  the run ends here, and says why
            traceback.print_exc()
            detail = f"{type(error).__name__}: {error}"[: faults.DETAIL]
            failed = Failed(code=Failure.INTERNAL, detail=detail)
        else:
            return 0
        changes = replan.after(planned, failed.code) if failed.code in REPLANNED else None
        if changes is None:
            say(failed)
            return EXIT_FAILED
        say(Replanned(cause=failed.code, changes=changes))
        _begin_anew(spec, home)


def _run(spec: RunSpec, home: Path, say: Say, stopping: Stopping) -> Finished:
    """Raises FailedError and StoppedError."""
    try:
        options.check(spec.params, spec.extra, spec.devices)
        place = child.checkout(spec)
        if why := folder.why_no_base(spec):
            raise FailedError(Failed(code=Failure.BASE, detail=why))
        count = folder.stage(spec, home)
        plan = plan_of(spec, home)
        words = options.arguments(spec.params.family, options.merged(spec.params, plan, spec.extra))
    except options.OptionError as error:
        raise FailedError(Failed(code=Failure.INTERNAL, detail=str(error))) from error
    except folder.DatasetError as error:
        raise FailedError(Failed(code=Failure.DATASET, detail=str(error))) from error
    _forget_another(spec, home, folder.digest(spec, words))
    plan.prompts.write_text(samples.prompts(spec), encoding="utf-8")
    return Run(spec=spec, plan=plan, place=place, pictures=count, say=say, stopping=stopping).go()


def plan_of(spec: RunSpec, home: Path) -> options.Plan:
    keep, sample = rhythm(spec)
    return options.Plan(
        base=spec.base.absolute(),
        folder=home,
        precision=child.precision(spec),
        keep_every=keep,
        sample_every=sample,
        v_prediction=folder.is_v_prediction(spec),
        tokenizers=folder.tokenizers(spec, home),
    )


def rhythm(spec: RunSpec) -> tuple[int, int]:
    """Each how many steps a state is kept and samples are drawn. It knows only equal distances, so
    the shares of the run become those, and each step with samples is one that is kept.
    """
    params = spec.params
    draws = len(spec.sample_at) if spec.prompts else 0
    keeps = len(spec.save_at) or KEPT
    ideal = math.ceil(keeps / draws) if draws else 1
    # The last samples are to be near the end, better still at it.
    between = min(
        range(1, 2 * ideal + 1),
        key=lambda number: (params.max_steps % (draws * number or 1), abs(number - ideal)),
    )
    keep = max(1, params.max_steps // (draws * between or keeps))
    # See `options._resuming`: only such steps can be gone on from.
    keep = -(-keep // params.gradient_accumulation) * params.gradient_accumulation
    return keep, keep * between if draws else 0


def _forget_another(spec: RunSpec, home: Path, digest: str) -> None:
    """What another run has left here is nothing to go on from."""
    mark = home / "digest"
    with suppress(OSError):
        if mark.read_text(encoding="ascii") == digest:
            return
    _begin_anew(spec, home)
    mark.write_text(digest, encoding="ascii")


def _begin_anew(spec: RunSpec, home: Path) -> None:
    """No state, saved step, sample or score of before."""
    for name in (SAVED, SAMPLES, SCORES):
        shutil.rmtree(spec.work / name, ignore_errors=True)
    shutil.rmtree(home / "out", ignore_errors=True)
    for name in (scores.NAME, history.NAME):
        (spec.work / name).unlink(missing_ok=True)


@dataclass(slots=True, kw_only=True)
class Run:
    """What one run has in its hands."""

    spec: RunSpec
    plan: options.Plan
    place: child.Checkout
    pictures: int
    say: Say
    stopping: Stopping
    reader: Reader = field(init=False)
    _told_at: float = 0.0
    _untold: Progress | None = None
    _stop_at: float | None = None
    _ends_early: bool = False

    def __post_init__(self) -> None:
        self.reader = Reader(total=self.spec.params.max_steps)

    def go(self) -> Finished:
        total, out = self.spec.params.max_steps, self.plan.out
        while True:
            state = next(iter(folder.states(out)), None)
            if state is not None and state.done >= total:
                return self._finish(total, results.kept(self.spec, total))
            last = out / f"{options.NAME}.safetensors"
            last.unlink(missing_ok=True)
            self.reader = Reader(total=total, start=state.done if state else 0)
            code = self._train(state)
            if self._ends_early:
                return self._finish_early()
            if code == 0 and last.is_file():
                return self._finish(total, last)
            failed = faults.of_end(
                code,
                self.reader.tail,
                no_pictures=self.reader.no_pictures,
                pictures=self.pictures,
            )
            went_on = self.reader.step > self.reader.start
            if state is None or went_on or failed.code is not Failure.INTERNAL:
                raise FailedError(failed)
            # It cannot go on from there; perhaps it can from an earlier state, or from none.
            shutil.rmtree(state.path)

    def _train(self, state: folder.State | None) -> int:
        """One process of it, from its start to its exit code."""
        plan = self.plan
        if state is not None:
            plan = replace(plan, state=state.path, done=state.done)
        params = self.spec.params
        merged = options.merged(params, plan, self.spec.extra)
        words = options.arguments(params.family, merged)
        argv = child.command(self.spec, self.place, words)
        process = child.Child(argv, self.place.folder, self.spec.device)
        try:
            for data in process.output():
                self._hear(self.reader.feed(data))
                self._between()
                if self._ends_early:
                    break
            self._hear(self.reader.end())
            if self._untold is not None:
                self._tell(self._untold)
                self._untold = None
        finally:
            code = process.close()
        if code == 0:
            self._collect(params.max_steps + 1)
        return code

    def _hear(self, told: list[Progress]) -> None:
        """Not each step is told, but each phase, and the last one."""
        for one in told:
            before, self._untold = self._untold, one
            if before is not None and before.phase is not one.phase:
                self._tell(before)
        if self._untold is not None and time.monotonic() - self._told_at >= REPORT_S:
            self._tell(self._untold)
            self._untold = None
        for line in self.reader.said:
            sys.stderr.write(f"{line}\n")
        self.reader.said.clear()
        for step, mean in self.reader.means:
            history.append(self.spec.work, step, mean)
        self.reader.means.clear()

    def _tell(self, one: Progress) -> None:
        self.say(one)
        self._told_at = time.monotonic()

    def _between(self) -> None:
        """What is looked after while it trains. Raises FailedError and StoppedError."""
        if self.reader.diverged:
            detail = f"loss not finite at step {self.reader.step}"
            raise FailedError(Failed(code=Failure.DIVERGED, detail=detail))
        if self.stopping():
            self._stop_at = self._stop_at or time.monotonic() + WRITING_S
            if self.reader.phase is not Phase.SAVING or time.monotonic() > self._stop_at:
                raise StoppedError
        self._collect(self.reader.step)
        wishes = asked.taken(self.spec.work)
        if wishes - {Wish.FINISH}:
            sys.stderr.write("sd-scripts draws and saves at steps that are set before\n")
        if Wish.FINISH in wishes:
            if results.latest(self.spec):
                self._ends_early = True
            else:
                asked.ask(self.spec.work, Wish.FINISH)

    def _collect(self, before: int) -> None:
        """Files and samples of the steps that are over."""
        out = self.plan.out
        for path in sorted(out.glob(f"{options.NAME}-step*.safetensors")):
            step = int(path.stem.rpartition("step")[2])
            if step < before:
                results.save(self.spec, path, step)
        if not self.plan.sample_every:
            return
        count = len(self.spec.prompts)
        for step, paths in samples.steps_with(out / "sample", count, before).items():
            grid = samples.take(self.spec, step, paths)
            self.say(Sampled(step=step, grid=str(grid)))
            early = self.spec.params.early_stop
            if early and scores.plateau(scores.read(self.spec.work), PATIENCE):
                self._ends_early = True

    def _finish_early(self) -> Finished:
        self._collect(self.reader.step)
        latest = results.latest(self.spec)
        return self._finish(latest, results.kept(self.spec, latest))

    def _finish(self, number: int, last: Path) -> Finished:
        self.say(replace(self.reader.progress(), phase=Phase.SAVING, step=number))
        try:
            return results.finish(self.spec, number, last, self.reader.loss)
        except (LoraFileError, OSError) as error:
            detail = f"{type(error).__name__}: {error}"
            raise FailedError(Failed(code=Failure.ARTIFACT, detail=detail)) from error
