"""One file for each family of base models; see ``family.Family`` for what it has to offer."""

from importlib import import_module
from typing import cast

from trainer import quick_start
from trainer.families.family import Family
from trainer.params import FAMILIES


def family_of(name: str) -> Family:
    """The family's module. Importing it is what costs time, so only the one needed is."""
    if name not in FAMILIES:
        raise ValueError(f"family {name!r} is not one of: {', '.join(FAMILIES)}.")
    family = import_module(f"trainer.families.{name}")
    quick_start.imported()
    return cast("Family", family)
