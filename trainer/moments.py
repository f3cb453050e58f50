"""What is done between steps: samples, saved steps, and at the end the file."""

import math
from collections.abc import Callable, Sequence

from trainer import export, lora, proof, samples, step
from trainer.asked import Wish
from trainer.families.family import Condition
from trainer.meter import Meter
from trainer.run import SAVED, Finished, Message, Phase, RunSpec, Sampled


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
        self._prompts, self._say = prompts, say

    def due(self, number: int, wishes: set[Wish]) -> bool:
        return bool(wishes) or number in self._save

    def make(self, number: int, wishes: set[Wish], meter: Meter) -> None:
        """Save the step; draw its samples if it is time for them, or somebody asked."""
        self._saved(number)
        if self._spec.prompts and (number in self._sample or wishes & {Wish.SAMPLE, Wish.FINISH}):
            self._say(meter.progress(Phase.SAMPLING))
            self._draw(number)
            self._say(meter.progress())
        meter.pause()

    def finish(self, number: int, meter: Meter) -> Finished:
        """The file, and the proof that it is one."""
        self._say(meter.progress(Phase.SAVING))
        spec = self._spec
        export.write(spec.output, self._pairs, self._work, spec.output.stem, number)
        proof.of_file(spec.output, self._work, self._pairs)
        return Finished(steps=number, loss=meter.loss, taken=number)

    def _saved(self, number: int) -> None:
        path = self._spec.work / SAVED / f"{number:06}.safetensors"
        export.write(path, self._pairs, self._work, self._spec.output.stem, number)

    def _draw(self, number: int) -> None:
        work = self._work
        conditions = self._prompts
        if conditions is None:
            conditions = samples.encode(self._spec.prompts, work.family, work.model)
        with step.at_rest(work):
            pictures = samples.draw(
                self._spec.prompts, conditions, work.family, work.model, work.params
            )
        path = samples.write(self._spec.work, number, pictures)
        self._say(Sampled(step=number, grid=str(path)))
