"""What a person sees on a terminal."""

import re
from dataclasses import dataclass, field

PIECE = re.compile(r"\x1b\[(\d*)([A-Za-z])|\x1b([78])|([^\x1b])")
NUMBERED = re.compile(r"\[(\d+)\] (.+?)(?=  \[\d+\] |$)")
LINKED = re.compile(r"(.+): https?://\S+")


@dataclass
class Glass:
    """What a person sees: it obeys the few control sequences that we write."""

    lines: list[str] = field(default_factory=lambda: [""])
    row: int = 0
    column: int = 0
    kept: tuple[int, int] = (0, 0)

    def write(self, written: str) -> None:
        for count, order, saved, letter in PIECE.findall(written):
            if letter:
                self._letter(letter)
            elif saved == "7":
                self.kept = (self.row, self.column)
            elif saved == "8":
                self.row, self.column = self.kept
            else:
                self._order(order, int(count or 1))

    def _letter(self, letter: str) -> None:
        if letter == "\r":
            self.column = 0
        elif letter == "\n":
            self.row, self.column = self.row + 1, 0
            self.lines += [""] * (self.row + 1 - len(self.lines))
        else:
            line = self.lines[self.row].ljust(self.column)
            self.lines[self.row] = line[: self.column] + letter + line[self.column + 1 :]
            self.column += 1

    def _order(self, order: str, count: int) -> None:
        if order == "F":
            self.row, self.column = self.row - count, 0
            assert self.row >= 0, "above the first line"
        elif order in "KJ":
            self.lines[self.row] = self.lines[self.row][: self.column]
            if order == "J":
                del self.lines[self.row + 1 :]

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.lines).strip()

    @property
    def blocks(self) -> list[list[str]]:
        """Messages, a free line between them."""
        return [block.split("\n") for block in re.split(r"\n\n+", self.text) if block]


def words_of(block: list[str]) -> str:
    """A message without its picture's place and its buttons."""
    marked = (NUMBERED.match(one) or LINKED.fullmatch(one) for one in block)
    shown = zip(block, marked, strict=True)
    return "\n".join(one for one, mark in shown if not mark and not one.startswith("[picture: "))


def buttons_of(block: list[str]) -> dict[str, str]:
    """What to type for each button; for a link nothing."""
    found: dict[str, str] = {}
    for line in block:
        found |= {label: number for number, label in NUMBERED.findall(line)}
        if link := LINKED.fullmatch(line):
            found[link[1]] = ""
    return found
