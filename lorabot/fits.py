"""Which bases can be trained on a GPU of a size, as far as that was measured."""

from pipeline.fits import verdict
from storage import bases
from storage.settings import Settings
from trainer import memory

MIB = 2**20


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
