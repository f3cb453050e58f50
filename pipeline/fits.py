"""Whether a base can be trained in so much memory of a card, as far as that was measured."""

from dataclasses import replace

from storage.bases import NATIVE, Base
from trainer import lighter, memory, on_disk
from trainer.params import TrainParams
from trainer.presets import params_for
from trainer.run import Extra

PHOTOS = 15  # of an ordinary set
WORDS = ("subject", "person")
NO = "no"


def verdict(base: Base, free: int) -> str:
    """In so many free bytes: "yes", "tight" with what is given up, or "no". Empty where nothing is
    known: another backend's, another size, never measured.
    """
    if base.backend != NATIVE or not base.installed:
        return ""
    if not memory.is_known(base.family, on_disk.numbers_of(base.path)):
        return ""
    params = params_for(base.id, base.family, WORDS, PHOTOS, base.overrides)
    if params.precision == "auto":
        params = replace(params, precision="bf16")
    need = memory.estimate(params)
    if need is None:
        return ""
    if need.fits(free):
        return "yes"
    changes = lighter.first_that_fits(params, free)
    if changes is not None:
        return f"tight ({_in_words(params, changes)})"
    return "tight" if need.might_fit(free) else NO


def _in_words(params: TrainParams, changes: dict[str, Extra]) -> str:
    """The last thing that is given up: it is the dearest."""
    if "resolution" in changes:
        return f"{changes['resolution']} instead of {params.resolution} pixels"
    if "optimizer" in changes:
        return "8-bit optimizer"
    if "batch_size" in changes:
        return f"batch {changes['batch_size']}"
    return "slower: gradient checkpointing"
