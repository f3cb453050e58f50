"""The same run in less memory: an ordered ladder of plans. No torch here.

Each rung keeps what the rungs before it have given up. First goes time, then quality: activations
are computed twice, batches become smaller and more of them make a step, the optimizer's state is
kept in bytes, and at last the pictures become smaller. Adafactor is no rung: at the same rate it
learns otherwise than AdamW.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from trainer import memory
from trainer.params import TrainParams
from trainer.presets import PRESETS
from trainer.run import Extra

MOST_BATCHES = 256  # that may make a step
GRAIN = 64  # pixels: sides of a lower resolution
LEAST = 0.5  # of the family's resolution; below it a base draws no subject any more
GAIN = 0.9  # what has failed is tried again with that much of it, or less


def ladder(params: TrainParams, *, eight_bit: bool = False) -> Iterator[dict[str, Extra]]:
    """What to change on each rung, the lightest last; nothing where nothing is left to give up.
    ``eight_bit``: the library of AdamW8bit is there.
    """
    changes: dict[str, Extra] = {}
    if not params.gradient_checkpointing:
        changes["gradient_checkpointing"] = True
        yield dict(changes)
    for batch in _smaller(params.batch_size):
        # As many pictures in each step as before.
        batches = min(MOST_BATCHES, params.gradient_accumulation * params.batch_size // batch)
        changes |= {"batch_size": batch, "gradient_accumulation": batches}
        yield dict(changes)
    if eight_bit and params.optimizer == "adamw":
        changes["optimizer"] = "adamw8bit"
        yield dict(changes)
    least = LEAST * min(PRESETS[params.family].resolution, params.resolution)
    for side in range((params.resolution - 1) // GRAIN * GRAIN, 0, -GRAIN):
        if side >= least:
            changes["resolution"] = side
            yield dict(changes)


def first_that_fits(
    params: TrainParams, free: int, *, eight_bit: bool = False, failed: bool = False, **how: bool
) -> dict[str, Extra] | None:
    """The first rung that fits into ``free`` bytes; None where there is none. ``failed``: the run
    has run out of memory as it is, whatever was estimated. ``how`` is for ``memory.estimate``.

    An estimate is not worth a lower resolution where it may be wrong by what is missing: as long as
    there is another try, the lightest plan of the whole resolution comes first. The last rung of
    all is taken if it might fit.
    """
    before = memory.estimate(params, **how)
    if before is None:
        return None
    most = before.peak * GAIN if failed else before.peak
    whole: list[dict[str, Extra]] = []
    might: dict[str, Extra] | None = None
    for changes in ladder(params, eight_bit=eight_bit):
        need = memory.estimate(changed(params, changes), **how)
        if need is None or need.peak > most:
            continue
        if "resolution" in changes and whole and not failed:
            return whole[-1]
        if need.fits(free):
            return changes
        might = changes if need.might_fit(free) else None
        if might and "resolution" not in changes:
            whole.append(changes)
    return might


def unmeasured(params: TrainParams) -> dict[str, Extra] | None:
    """What to try where nothing is known: all that costs time and no quality; where that was so
    already, the next lower resolution.
    """
    rungs = list(ladder(params))
    whole = [one for one in rungs if "resolution" not in one]
    return whole[-1] if whole else rungs[0] if rungs else None


def changed(params: TrainParams, changes: dict[str, Extra]) -> TrainParams:
    """With what follows: smaller resolutions beside the first are smaller than it is."""
    values: dict[str, Any] = dict(changes)
    if "resolution" in changes:
        values["resolutions"] = tuple(
            one for one in params.resolutions if one < values["resolution"]
        )
    return replace(params, **values)


def _smaller(batch: int) -> list[int]:
    """Batches that a step can be made of evenly."""
    return [one for one in range(batch - 1, 0, -1) if batch % one == 0]
