"""Compiled blocks: a denoiser repeats a few kinds of blocks many times, so that compiling each kind
once makes most of a step quicker ("regional compilation").

It takes about a minute, and has to be earned by the steps that are left. Away from training, where
samples are drawn and a file is proved, the blocks run as they were written: each of these ways
would be compiled once more.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trainer import quick_start
from trainer.families.family import Model
from trainer.params import TrainParams

log = logging.getLogger(__name__)

BACKEND: Any = "inductor"
# Both are guesses from what others report of such blocks; no GPU was at hand to measure them.
COST_S = 60.0  # to compile the blocks of a family for one size of pictures, forward and back
GAIN = 0.2  # of a step's time
KINDS = 32  # of shapes that one block is compiled for: its widths, times the buckets


def pays(params: TrainParams, model: Model, sizes: int, left: int, speed: float | None) -> bool:
    """Whether the run's blocks are to be compiled now. Pictures have so many ``sizes``, there are
    ``left`` steps to go, ``speed`` of them a second as they are; None: not known yet.
    """
    if params.compile != "auto":
        return params.compile == "always"
    # Activations that are computed twice were never tried with compiled blocks.
    if model.device.type != "cuda" or params.gradient_checkpointing:
        return False
    if model.compiled == shapes(params):
        return True  # by a run before this one
    return speed is not None and left / speed * GAIN > COST_S * sizes


def shapes(params: TrainParams) -> str:
    """Runs of one base for which the same code is good."""
    sizes = (params.resolution, params.resolutions, params.batch_size)
    return repr((*sizes, params.rank, params.targets, params.precision))


def put_on(model: Model, params: TrainParams) -> None:
    """The blocks are compiled when they are next called."""
    quick_start.give_way(quick_start.COMPILER)
    import torch._dynamo.config

    config: Any = torch._dynamo.config  # noqa: SLF001
    config.recompile_limit = max(config.recompile_limit, KINDS)
    for block in _blocks(model):
        # Each size has code of its own: one for all would depend on which came first, and a run
        # that goes on would not end with the same bits.
        block.compile(backend=BACKEND, dynamic=False)
    model.compiled = shapes(params)


def take_off(model: Model) -> None:
    """The blocks as they were written; what was compiled stays in this process for the next run."""
    for block in _blocks(model):
        block._compiled_call_impl = None  # noqa: SLF001  torch has no call for it


def give_up(model: Model, error: Exception) -> None:
    """Nothing that a compiler cannot do is worth a run."""
    take_off(model)
    model.compiled = ""
    log.warning("the blocks cannot be compiled, and run as they are: %s", type(error).__name__)


def is_on(model: Model) -> bool:
    return any(block._compiled_call_impl is not None for block in _blocks(model))  # noqa: SLF001


@contextmanager
def resting(model: Model) -> Iterator[None]:
    """Without compiled blocks for a while."""
    kept = [(block, block._compiled_call_impl) for block in _blocks(model)]  # noqa: SLF001
    take_off(model)
    try:
        yield
    finally:
        for block, compiled in kept:
            block._compiled_call_impl = compiled  # noqa: SLF001


def _blocks(model: Model) -> list[Any]:
    names = getattr(model.denoiser, "_repeated_blocks", None) or ()
    return [one for one in model.denoiser.modules() if type(one).__name__ in names]
