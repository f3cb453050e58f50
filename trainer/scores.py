"""Which saved step is the best: the earliest that holds the identity. Pure, but for its file.

More steps make a LoRA stiffer: it repeats its pictures, and follows prompts less. So of those that
are as good as the best one the earliest is recommended.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "scores.jsonl"
NEAR = 0.02  # of likeness: a difference that nobody sees
NEAR_LOSS = 0.01  # the same for a held-out loss, as a share of it
SPOILT = 0.25  # a share of spoilt samples beyond that of the best


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A saved step. ``likeness`` -1..1 of the samples to the photos, ``spoilt`` the share of
    samples that are no picture, ``held_out`` the loss on pictures that were not trained on. None:
    was not measured.
    """

    step: int
    likeness: float | None = None
    spoilt: float | None = None
    held_out: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """``by`` is what decided: "likeness", "held_out", or "last" where nothing was measured."""

    step: int
    by: str


def choose(scored: Sequence[Scored]) -> Choice | None:
    """None where no step was saved."""
    if not scored:
        return None
    ordered = sorted(scored, key=lambda one: one.step)
    if alike := [one for one in ordered if one.likeness is not None and not _is_spoilt(one)]:
        best = max(one.likeness or -1.0 for one in alike)
        first = next(one for one in alike if (one.likeness or -1.0) >= best - NEAR)
        return Choice(step=first.step, by="likeness")
    if kept := [one for one in ordered if one.held_out is not None]:
        least = min(one.held_out or 0.0 for one in kept)
        first = next(one for one in kept if (one.held_out or 0.0) <= least * (1 + NEAR_LOSS))
        return Choice(step=first.step, by="held_out")
    return Choice(step=ordered[-1].step, by="last")


def _is_spoilt(one: Scored) -> bool:
    return (one.spoilt or 0.0) > SPOILT


def plateau(scored: Sequence[Scored], patience: int) -> bool:
    """The last ``patience`` measured steps were no better than one before them."""
    values = [
        value
        for one in sorted(scored, key=lambda one: one.step)
        if (value := _value(one)) is not None
    ]
    if len(values) <= patience:
        return False
    return max(values[-patience:]) <= max(values[:-patience]) + NEAR / 2


def _value(one: Scored) -> float | None:
    """More is better."""
    if one.likeness is not None or one.held_out is None:
        return one.likeness
    return -one.held_out


def append(work: Path, one: Scored) -> None:
    with (work / NAME).open("a", encoding="ascii") as file:
        file.write(json.dumps(asdict(one)) + "\n")


def read(work: Path) -> list[Scored]:
    """By step; what a resumed run measured again counts, and a line that a kill tore does not."""
    found: dict[int, Scored] = {}
    with suppress(FileNotFoundError):
        for line in (work / NAME).read_text(encoding="ascii").splitlines():
            with suppress(ValueError, TypeError):
                one = Scored(**json.loads(line))
                found[one.step] = one
    return [found[step] for step in sorted(found)]
