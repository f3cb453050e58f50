"""What became of each photo, for people and programs: a dataset's `report.json`. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from pictures.box import Box
from pictures.frame import Cut
from pictures.variety import Variety
from pictures.verdict import Level, Shot, Verdict
from storage.job import Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One photo. ``picture`` is the file that it became, empty if it was left out; ``cut`` is its
    part of the upload, in upright pixels of ``size``. ``content`` (without borders) and ``faces``
    are in shares, the largest face first; ``people`` says who is who, -1 for nobody known.
    """

    number: int
    picture: str
    reasons: tuple[str, ...]
    sharpness: float | None
    likeness: float | None
    size: tuple[int, int] | None
    content: Box | None
    faces: tuple[Box, ...] | None
    people: tuple[int, ...]
    face: int | None
    cut: Cut | None
    caption: str


COUNTED = [one.name for one in fields(Variety)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """``photos`` counts all, used or not; ``seconds`` are by step, ``networks`` what ran where."""

    digest: str
    kept: tuple[int, ...]
    rejections: tuple[Rejection, ...]
    photos: int = 0
    lines: tuple[Line, ...] = ()
    variety: Variety = field(default_factory=Variety)
    seconds: Mapping[str, float] = field(default_factory=dict)
    networks: tuple[str, ...] = ()

    def to_json(self) -> str:
        said = asdict(self)
        reasons = [reason for line in self.lines for reason in line.reasons]
        said["counts"] = {
            "photos": self.photos,
            "kept": len(self.kept),
            **{reason: reasons.count(reason) for reason in sorted(set(reasons))},
        }
        said["variety"]["grade"] = self.variety.grade
        return json.dumps(said, indent=1, ensure_ascii=False)


def summary_of(text: str) -> Report:
    """Only what decides whether a dataset is the wanted one, and what was told of it."""
    raw: dict[str, Any] = json.loads(text)
    return Report(
        digest=raw["digest"],
        kept=tuple(raw["kept"]),
        rejections=tuple(Rejection(**one) for one in raw["rejections"]),
        photos=raw["photos"],
        variety=Variety(**{name: raw["variety"][name] for name in COUNTED}),
    )


def rejections_of(verdicts: Sequence[Verdict]) -> tuple[Rejection, ...]:
    return tuple(
        Rejection(number=one.number, code=one.worst.code, args=one.worst.args)
        for one in verdicts
        if not one.used and one.worst is not None and one.worst.level is Level.OUT
    )


def line_of(shot: Shot, verdict: Verdict, cut: Cut | None, picture: str, caption: str) -> Line:
    return Line(
        number=shot.number,
        picture=picture,
        reasons=tuple(remark.code for remark in verdict.remarks),
        sharpness=None if shot.look is None else round(shot.look.sharpness, 2),
        likeness=None if verdict.likeness is None else round(verdict.likeness, 3),
        size=None if shot.look is None else (shot.look.width, shot.look.height),
        content=None if shot.look is None else shot.look.content,
        faces=None if shot.faces is None else tuple(face.box for face in shot.faces.faces),
        people=verdict.people,
        face=verdict.face,
        cut=cut,
        caption=caption,
    )
