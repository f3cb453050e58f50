"""Which saved step is the best: the earliest that holds the identity. Pure, but for its file.

More steps make a LoRA stiffer: it repeats its pictures, and follows prompts less. So of those that
are as good as the best one the earliest is recommended.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from trainer import outside

NAME = "scores.jsonl"
NEAR = 0.02  # of likeness: a difference that nobody sees
NEAR_FACES = 0.03  # the same for faces
RECOGNISED = 0.15  # a cosine of faces below it is that of strangers
DISOBEYS = 0.3  # of what prompts ask for, less than another step as like
BURNT = 0.2  # a share of pixels in the loudest colours beyond what the photos have
NEAR_LOSS = 0.01  # the same for a held-out loss, as a share of it
SPOILT = 0.25  # a share of spoilt samples beyond that of the best


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A saved step. ``likeness`` -1..1 of the samples to the photos, ``spoilt`` the share of
    samples that are no picture, ``burnt`` how many more of their pixels than of the photos' are as
    loud as can be, ``held_out`` the loss on pictures that were not trained on; the rest as in
    `outside.Seen`. None: was not measured.
    """

    step: int
    likeness: float | None = None
    spoilt: float | None = None
    held_out: float | None = None
    burnt: float | None = None
    faces: float | None = None
    among: float | None = None
    obeys: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """``by`` is what decided: "faces", "likeness", "held_out", or "last" where nothing was
    measured.
    """

    step: int
    by: str


def choose(scored: Sequence[Scored]) -> Choice | None:
    """None where no step was saved."""
    if not scored:
        return None
    ordered = sorted(scored, key=lambda one: one.step)
    drawn = [one for one in ordered if one.likeness is not None]
    if alike := [one for one in drawn if not _is_spoilt(one)]:
        if recognised(drawn):
            return Choice(step=_by_faces(alike), by="faces")
        best = max(one.likeness or -1.0 for one in alike)
        like = [one for one in alike if (one.likeness or -1.0) >= best - NEAR]
        return Choice(step=_obedient(like), by="likeness")
    if kept := [one for one in ordered if one.held_out is not None]:
        least = min(one.held_out or 0.0 for one in kept)
        first = next(one for one in kept if (one.held_out or 0.0) <= least * (1 + NEAR_LOSS))
        return Choice(step=first.step, by="held_out")
    return Choice(step=ordered[-1].step, by="last")


def recognised(drawn: Sequence[Scored]) -> bool:
    """Faces were looked for after each of these steps, and the person was found."""
    found = [one.faces for one in drawn if one.faces is not None]
    return len(found) == len(drawn) and max(found, default=0.0) >= RECOGNISED


def _by_faces(alike: Sequence[Scored]) -> int:
    """As like as the best of them, or as the photos are among each other: more is not wanted."""
    best = max(one.faces or 0.0 for one in alike)
    enough = min([best - NEAR_FACES, *(one.among for one in alike if one.among is not None)])
    return _obedient([one for one in alike if (one.faces or 0.0) >= enough])


def _obedient(like: Sequence[Scored]) -> int:
    """The earliest, except for those that follow the prompts much less than another."""
    most = max((one.obeys for one in like if one.obeys is not None), default=0.0)
    return next(one.step for one in like if one.obeys is None or one.obeys >= most - DISOBEYS)


def _is_spoilt(one: Scored) -> bool:
    return (one.spoilt or 0.0) > SPOILT or (one.burnt or 0.0) > BURNT


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
    """By step, with what others measured; what a resumed run measured again counts, and a line that
    a kill tore does not.
    """
    found: dict[int, Scored] = {}
    with suppress(FileNotFoundError):
        for line in (work / NAME).read_text(encoding="ascii").splitlines():
            with suppress(ValueError, TypeError):
                one = Scored(**json.loads(line))
                found[one.step] = one
    others = outside.read(work)
    return [
        replace(found[step], **asdict(others.get(step, outside.Seen()))) for step in sorted(found)
    ]


def curve(scored: Sequence[Scored]) -> tuple[str, list[tuple[int, float]]]:
    """What a chart shows beside the loss: its name, and a value for each step that has one."""
    drawn = [one for one in scored if one.likeness is not None]
    if drawn and recognised(drawn):
        return "likeness of the face", [(one.step, one.faces or 0.0) for one in drawn]
    if drawn:
        return "likeness", [(one.step, one.likeness or 0.0) for one in drawn]
    values = [(one.step, one.held_out) for one in scored if one.held_out is not None]
    return "held-out loss", values
