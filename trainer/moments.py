"""What is done between steps: samples, saved steps, and at the end the file."""

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from trainer import (
    chart,
    drawing,
    export,
    grid,
    history,
    judge,
    lora,
    outside,
    proof,
    samples,
    scores,
    step,
)
from trainer.asked import Wish
from trainer.families.family import Condition
from trainer.meter import Meter
from trainer.run import SAVED, Finished, Message, Phase, RunSpec, Sampled

PATIENCE = 3  # scores without a better one, and the run has come to its end


def steps_at(shares: Sequence[float], total: int) -> set[int]:
    return {max(1, math.ceil(share * total - 1e-9)) for share in shares}


class Moments:
    """The moments of one run. What it makes lies in the run's ``work``, under the step's number: a
    resumed run makes the same again.
    """

    def __init__(
        self,
        spec: RunSpec,
        work: step.Work,
        pairs: list[lora.Pair],
        prompts: tuple[Condition, ...] | None,
        say: Callable[[Message], None],
    ) -> None:
        total = spec.params.max_steps
        self._sample = steps_at(spec.sample_at, total) if spec.prompts else set()
        self._save = steps_at(spec.save_at, total) | self._sample
        self._spec, self._work, self._pairs = spec, work, pairs
        traits = work.family.TRAITS
        self._passes = 2 if traits.negative else 1
        self._steps = drawing.steps(traits.sample_steps, self._passes, spec)  # of a picture
        self._prompts, self._say = prompts, say
        self._references: list[judge.Vector] = []
        self._burnt = 0.0  # the most that a photo is
        self._drawing_s: float | None = None  # how long one grid took
        self.over = self._is_over()

    def _is_over(self) -> bool:
        """No score has become better for a while, and the run is to end then."""
        early = self._spec.params.early_stop
        return early and scores.plateau(scores.read(self._spec.work), PATIENCE)

    def note(self, meter: Meter) -> None:
        """A point of the loss's curve, and what is still to be drawn."""
        if meter.mean is not None:
            history.append(self._spec.work, meter.step, meter.mean)
        self._foresee(meter)

    def _foresee(self, meter: Meter) -> None:
        coming = sum(number > meter.step for number in self._sample)
        meter.beside_s = coming * self._grid_s(meter)

    def _grid_s(self, meter: Meter) -> float:
        """Seconds to draw a grid: as the last one took, before it from the steps' speed."""
        if self._drawing_s is not None or not meter.speed:
            return self._drawing_s or 0.0
        params = self._work.params
        passes = len(self._spec.prompts) * self._steps * self._passes
        pictures = params.batch_size * params.gradient_accumulation
        return passes / drawing.PASSES / (meter.speed * pictures)

    def due(self, number: int, wishes: set[Wish]) -> bool:
        return bool(wishes) or number in self._save

    def make(self, number: int, wishes: set[Wish], meter: Meter) -> None:
        """Save the step; draw its samples if it is time for them, or somebody asked."""
        self._saved(number)
        drawn: list[Image.Image] = []
        if self._spec.prompts and (number in self._sample or wishes & {Wish.SAMPLE, Wish.FINISH}):
            self._say(meter.progress(Phase.SAMPLING))
            began = time.monotonic()
            drawn = self._draw(number)
            self._drawing_s = time.monotonic() - began
            self._foresee(meter)
            self._say(meter.progress())
        self._score(number, drawn)
        self.over = self._is_over()
        meter.pause()

    def finish(self, number: int, meter: Meter) -> Finished:
        """The file, and the proof that it is one."""
        self._say(meter.progress(Phase.SAVING))
        spec = self._spec
        outside.wait(spec.work, spec.scores_wait_s)
        choice = scores.choose(scores.read(spec.work))
        best = choice.step if choice else number
        chosen = self._path(best)
        if self._wants_best(choice) and best != number and chosen.exists():
            export.copy(chosen, spec.output)
        else:
            best = number
            export.write(spec.output, self._pairs, self._work, spec.output.stem, number)
        proof.of_file(spec.output, self._work, self._pairs)
        chart.draw(spec.work)
        recommended = choice.step if choice else None
        return Finished(steps=number, loss=meter.loss, recommended=recommended, taken=best)

    def _wants_best(self, choice: scores.Choice | None) -> bool:
        pick = self._spec.params.pick
        return pick == "best" or (pick == "auto" and choice is not None and choice.by == "faces")

    def _path(self, number: int) -> Path:
        return self._spec.work / SAVED / f"{number:06}.safetensors"

    def _saved(self, number: int) -> None:
        export.write(self._path(number), self._pairs, self._work, self._spec.output.stem, number)

    def _draw(self, number: int) -> list[Image.Image]:
        work = self._work
        conditions = self._prompts
        with step.at_rest(work):
            if conditions is None:
                with step.autocast(work.model, work.params):
                    conditions = samples.encode(self._spec.prompts, work.family, work.model)
            pictures = samples.draw(
                self._spec.prompts, conditions, work.family, work.model, work.params, self._steps
            )
        outside.forget(self._spec.work, number)
        path = grid.write(self._spec.work, number, pictures)
        self._say(Sampled(step=number, grid=str(path)))
        return pictures

    def _score(self, number: int, drawn: Sequence[Image.Image]) -> None:
        """Only samples with the trigger are to be like the photos."""
        work, trigger = self._work, self._spec.params.trigger
        asked = zip(self._spec.prompts, drawn, strict=False)
        shown = [picture for prompt, picture in asked if trigger in prompt.text]
        likeness = spoilt = burnt = held_out = None
        if shown:
            likeness = judge.likeness([judge.embed(one) for one in shown], self._photos())
            spoilt = sum(judge.is_spoilt(one) for one in shown) / len(shown)
            loud = sum(judge.burnt(one) for one in shown) / len(shown)
            burnt = max(0.0, loud - self._burnt)
        if work.data.held_out:
            with step.at_rest(work):
                held_out = step.held_out_loss(work)
        scored = scores.Scored(
            step=number, likeness=likeness, spoilt=spoilt, burnt=burnt, held_out=held_out
        )
        scores.append(self._spec.work, scored)

    def _photos(self) -> list[judge.Vector]:
        if not self._references:
            for path in self._work.data.paths:
                with Image.open(path, formats=("PNG",)) as opened:
                    self._references.append(judge.embed(opened))
                    self._burnt = max(self._burnt, judge.burnt(opened))
        return self._references
