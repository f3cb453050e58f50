"""Facts that nobody has read yet. Most updates need few of them, and each costs a look into the
database: whoever uses one that is missing says so, and then it is read. Pure.
"""

from typing import Any, NoReturn

GROUPS = frozenset({"jobs", "taken", "preferences", "board", "senses", "exhibited"})


class UnreadError(Exception):
    """A fact is needed that was not read; ``what`` is its group."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was not read")
        self.what = what


class Unread:
    """Stands in a fact's place; any use of it raises."""

    __slots__ = ("_what",)
    __hash__ = None  # type: ignore[assignment]  # as what it stands for may have none

    def __init__(self, what: str) -> None:
        self._what = what

    def _refuse(self, *_: object) -> NoReturn:
        raise UnreadError(self._what)

    def __getattr__(self, _: str) -> NoReturn:
        raise UnreadError(self._what)

    __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = __eq__ = _refuse


def unread(what: str) -> Any:
    """For a fact of any type."""
    return Unread(what)
