"""What a dataset is made for. Pure."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pictures.captions import Plan, Wishes
from pictures.frame import Shape
from pictures.limits import DEFAULT, Limits
from pictures.verdict import Level, Verdict
from storage.bases import Base
from storage.job import Job, Photo

VERSION = 3  # of the way in which datasets are made: another one is made anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    plan: Plan
    shape: Shape
    wishes: Wishes = field(default_factory=Wishes)
    limits: Limits = DEFAULT
    least: int = 1  # photos that are kept, as long as they can be used at all

    def digest(self, photos: Sequence[Photo], networks: str) -> str:
        """Whatever changes the result: the uploads, what was said of them, and who looks."""
        told = (VERSION, tuple(photos), self, networks)
        return hashlib.sha256(repr(told).encode()).hexdigest()


def recipe_of(job: Job, base: Base | None, limits: Limits, least: int) -> Recipe:
    params = job.params
    style = base.captions if base else "sentence"
    return Recipe(
        plan=Plan(trigger=params.trigger, class_word=params.class_word, kind=job.kind, style=style),
        shape=Shape(resolution=params.resolution, square=base.square if base else False),
        wishes=Wishes.from_text(job.wishes),
        limits=limits,
        least=least,
    )


def enough(verdicts: tuple[Verdict, ...], least: int) -> tuple[Verdict, ...]:
    """What only a network doubts is used after all where too few photos would be left: the person
    was told another number, and to fail now would help nobody.
    """
    short = least - sum(verdict.used for verdict in verdicts)
    found = []
    for verdict in verdicts:
        codes = {remark.code for remark in verdict.remarks if remark.level is Level.OUT}
        if short > 0 and codes and codes <= {"photo.other", "photo.faces", "photo.face_blurred"}:
            verdict = replace(verdict, used=True)  # noqa: PLW2901  the same one, in use
            short -= 1
        found.append(verdict)
    return tuple(found)
