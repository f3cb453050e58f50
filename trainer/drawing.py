"""How much a run draws while it trains: no more of its time than a third. No torch here.

A step of training is a pass forward and its way back, which takes twice as long; a picture takes a
pass for each of its steps, two where a second, unconditioned answer is asked for.
"""

from trainer.params import TrainParams
from trainer.run import RunSpec

PASSES = 3  # of a training step, in passes forward
SHARE = 1 / 3  # of the training's time
FEWEST = 4  # steps of a picture: with less it shows nothing
GOOD = 8  # steps with which it shows whether the subject is there
GRIDS = 4
PROMPTS = 4


def steps(usual: int, passes: int, spec: RunSpec) -> int:
    """Of each picture of the run: the same for all, so that they can be compared. ``usual`` is
    what the family draws with, ``passes`` how many a step takes.
    """
    each = len(spec.prompts) * len(spec.sample_at) * passes
    return max(min(FEWEST, usual), min(usual, _budget(spec.params) // max(1, each)))


def shares(params: TrainParams) -> tuple[float, ...]:
    """When the samples of a run are drawn, in shares of its steps: four times, less often in a run
    that is too short for it, and always at its end.
    """
    grids = max(1, min(GRIDS, _budget(params) // (PROMPTS * GOOD * 2)))
    return tuple(number / grids for number in range(1, grids + 1))


def _budget(params: TrainParams) -> int:
    """Passes of one picture."""
    pictures = params.max_steps * params.batch_size * params.gradient_accumulation
    return round(pictures * PASSES * SHARE)
