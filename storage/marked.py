"""A message of a person's that brought a photo, and the mark under it. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """``sha256`` is empty where the message brought nothing that is used; ``shown`` is the mark."""

    message: str
    sha256: str
    shown: str
