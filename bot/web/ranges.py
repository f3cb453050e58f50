"""Which part of a file a request wants: RFC 9110, sections 13 and 14. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

ONE_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.IGNORECASE)
TAG = re.compile(r'(W/)?("[^"]*")')


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes ``first`` up to and with ``last``."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first + 1


class Whole(Enum):
    """What else the answer can be."""

    ALL = 200
    SAME = 304  # the client has it already
    CHANGED = 412  # the client goes on with a file that is another one by now
    OUTSIDE = 416  # the file has no such bytes


def wanted(method: str, headers: Mapping[str, str], etag: str, size: int) -> Part | Whole:
    """``headers`` by lower-case names; ``etag`` is strong and quoted; ``size`` in bytes.

    Several ranges in one request get the whole file, which a server may always answer.
    """
    if (match := headers.get("if-match")) is not None and not _lists(match, etag, weak=False):
        return Whole.CHANGED
    if (none := headers.get("if-none-match")) is not None and _lists(none, etag, weak=True):
        return Whole.SAME
    asked = ONE_RANGE.fullmatch(headers.get("range", ""))
    if method != "GET" or asked is None or headers.get("if-range", etag) != etag:
        return Whole.ALL
    return _part(asked[1], asked[2], size)


def _part(first: str, last: str, size: int) -> Part | Whole:
    if not first and not last:
        return Whole.ALL
    if not first:
        # The last so many bytes.
        return Part(max(0, size - int(last)), size - 1) if int(last) and size else Whole.OUTSIDE
    if last and int(last) < int(first):
        return Whole.ALL
    if int(first) >= size:
        return Whole.OUTSIDE
    return Part(int(first), min(int(last), size - 1) if last else size - 1)


def _lists(header: str, etag: str, *, weak: bool) -> bool:
    """The list names this very tag; where ``weak`` is enough, a weak mark does not matter."""
    if header.strip() == "*":
        return True
    return any(tag == etag and (weak or not mark) for mark, tag in TAG.findall(header))
