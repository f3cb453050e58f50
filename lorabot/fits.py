"""Which bases can be trained on a GPU of a size, as far as that was measured."""

from dataclasses import replace

from storage import bases
from storage.bases import NATIVE, Base
from storage.settings import Settings
from trainer import lighter, memory, on_disk
from trainer.params import TrainParams
from trainer.presets import params_for
from trainer.run import Extra

PHOTOS = 15  # of an ordinary set
MIB = 2**20
WORDS = ("subject", "person")


def described(card: str, settings: Settings) -> str:
    """A card as its driver names it, "NVIDIA L4, 23034 MiB", and which bases it can train:
    "; fits: sd15 yes, sdxl tight (batch 1), flux no".
    """
    size = card.rpartition(",")[2].split()
    try:
        known = bases.load(settings.data_dir, settings.bases_file).values()
    except bases.BasesFileError:
        return card  # another line says so
    if not (size and size[0].isdigit()):
        return card
    free = int(size[0]) * MIB - memory.CONTEXT
    found = [(base.id, verdict(base, free)) for base in known]
    said = ", ".join(f"{name} {one}" for name, one in found if one)
    return f"{card}; fits: {said}" if said else card


def verdict(base: Base, free: int) -> str:
    """Empty where nothing is known: another backend's, another size, never measured."""
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
    return "tight" if need.might_fit(free) else "no"


def _in_words(params: TrainParams, changes: dict[str, Extra]) -> str:
    """The last thing that is given up: it is the dearest."""
    if "resolution" in changes:
        return f"{changes['resolution']} instead of {params.resolution} pixels"
    if "optimizer" in changes:
        return "8-bit optimizer"
    if "batch_size" in changes:
        return f"batch {changes['batch_size']}"
    return "slower: gradient checkpointing"
