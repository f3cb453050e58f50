"""Which kind of failure an exception is: what went wrong decides what people are told."""

import errno

import torch
from safetensors import SafetensorError

from trainer import base_files
from trainer.dataset import EmptyDatasetError
from trainer.export import ArtifactError
from trainer.families.family import BaseError
from trainer.meter import DivergedError
from trainer.optimizers import MissingOptimizerError
from trainer.run import Failure, RunSpec


def check_base(spec: RunSpec) -> None:
    whole = spec.base.is_file() and spec.base.suffix == ".safetensors"
    if not (whole or (spec.base / "model_index.json").is_file()):
        raise BaseError(
            f"{spec.base} is neither a diffusers folder (it has no model_index.json) "
            "nor one .safetensors"
        )
    if why := base_files.why_not(spec.base):
        raise BaseError(f"{spec.base.name}: {why}")


CODES: tuple[tuple[tuple[type[Exception], ...], Failure], ...] = (
    ((EmptyDatasetError,), Failure.DATASET),
    ((DivergedError,), Failure.DIVERGED),
    ((ArtifactError,), Failure.ARTIFACT),
    ((torch.OutOfMemoryError, MemoryError), Failure.MEMORY),
    ((BaseError, SafetensorError), Failure.BASE),
    ((MissingOptimizerError,), Failure.OPTIMIZER),
)


FULL = (errno.ENOSPC, errno.EDQUOT)


def code_of(error: Exception) -> Failure:
    if _is_full(error):
        return Failure.DISK
    for kinds, code in CODES:
        if isinstance(error, kinds):
            return code
    if isinstance(error, OSError) and "from_pretrained" in _functions(error):
        return Failure.BASE
    return Failure.INTERNAL


def _is_full(error: Exception) -> bool:
    """Safetensors keeps the number in its words alone, and says the same of a broken base."""
    if isinstance(error, SafetensorError):
        return any(f"(os error {number})" in str(error) for number in FULL)
    return isinstance(error, OSError) and error.errno in FULL


def _functions(error: Exception) -> set[str]:
    """The functions that the error came through: loaders raise plain OSErrors."""
    names, trace = set(), error.__traceback__
    while trace is not None:
        names.add(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return names
