"""What is said of each photo of a set, and whether it is used. The person's choice always wins.

A function of what is known now: while more photos come and networks answer, verdicts change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pictures import twins
from pictures.faces import Face, Faces
from pictures.frame import Cut, Shape, place
from pictures.identity import NOISE, Place, Who, recognise
from pictures.limits import DEFAULT, Limits
from pictures.look import Look
from trainer.buckets import nearest

PERSON = "person"
BYSTANDER = 0.4  # of the largest face's side: smaller ones stand in the background
FULL = 0.75  # of the best bucket's area; less is noticeably softer

Args = Mapping[str, str | int | float]


class Level(StrEnum):
    NOTE = "note"  # told, nothing to decide
    ASK = "ask"  # used, unless the person leaves it out
    OUT = "out"  # not used, unless the person wants it


class Choice(StrEnum):
    OPEN = ""
    USE = "use"
    LEAVE = "out"


@dataclass(frozen=True, slots=True)
class Remark:
    """``code`` is a text key of `photo.*`."""

    code: str
    level: Level
    args: Args


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One photo and what is known of it so far; ``face`` is the one that the person chose, from 1.

    ``faces`` is None where no network has looked (yet).
    """

    number: int
    look: Look | None
    faces: Faces | None = None
    choice: Choice = Choice.OPEN
    face: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``face`` is the subject's place among the faces, ``likeness`` its cosine to the subject;
    ``people`` says for each face who it is, numbered from 0, -1 where it is alone.
    """

    number: int
    remarks: tuple[Remark, ...]
    used: bool
    face: int | None = None
    likeness: float | None = None
    people: tuple[int, ...] = ()

    @property
    def worst(self) -> Remark | None:
        order = (Level.OUT, Level.ASK, Level.NOTE)
        return min(self.remarks, key=lambda one: order.index(one.level), default=None)

    @property
    def is_open(self) -> bool:
        """There is something to decide."""
        worst = self.worst
        return worst is not None and worst.level is not Level.NOTE


def judge(
    shots: Sequence[Shot], kind: str, shape: Shape, limits: Limits = DEFAULT
) -> tuple[Verdict, ...]:
    who = _who(shots, kind, limits)
    subjects = [_subject(at, shot, who, limits) for at, shot in enumerate(shots)]
    said = [
        [
            *_of_light(shot, subject, limits),
            *_of_size(shot, shape),
            *(_of_faces(at, shot, subject, who, limits) if kind == PERSON else ()),
        ]
        for at, (shot, subject) in enumerate(zip(shots, subjects, strict=True))
    ]
    for at, remark in _of_twins(shots, said, subjects, limits).items():
        said[at].append(remark)
    return tuple(
        Verdict(
            number=shot.number,
            remarks=tuple(remarks),
            used=_is_used(shot, remarks),
            face=subject,
            likeness=None if subject is None else who.likeness.get(Place(at, subject)),
            people=_people(at, shot, who),
        )
        for at, (shot, remarks, subject) in enumerate(zip(shots, said, subjects, strict=True))
    )


def _people(at: int, shot: Shot, who: Who) -> tuple[int, ...]:
    count = len(shot.faces.faces) if shot.faces else 0
    return tuple(who.clusters.get(Place(at, face), NOISE) for face in range(count))


def _is_used(shot: Shot, remarks: Sequence[Remark]) -> bool:
    if shot.choice is not Choice.OPEN:
        return shot.choice is Choice.USE
    return all(remark.level is not Level.OUT for remark in remarks)


def cut_of(shot: Shot, verdict: Verdict, shape: Shape) -> Cut | None:
    """Where the photo is cut. One that is too small is scaled up only if the person wants it."""
    if shot.look is None:
        return None
    look = shot.look
    width, height = look.width, look.height
    content = look.content.scaled(width, height)
    boxes = [face.box.scaled(width, height) for face in shot.faces.faces] if shot.faces else []
    face = boxes[verdict.face] if verdict.face is not None else None
    strangers = [box for at, box in enumerate(boxes) if at != verdict.face] if face else []
    found = place(content, look.focus, shape, face, strangers)
    if found is None and shot.choice is Choice.USE:
        size = nearest(
            int(content.width), int(content.height), shape.resolution, square=shape.square,
            upscale=True,
        )  # fmt: skip
        assert size is not None  # noqa: S101  enlarged, any bucket is covered
        found = place(content, look.focus, shape, face, strangers, size=size)
    return found


# --- light, sharpness, size ----------------------------------------------------------------------


def _of_light(shot: Shot, subject: int | None, limits: Limits) -> list[Remark]:
    look = shot.look
    if look is None:
        return []
    found = _of_exposure(look, limits)
    if look.animated:
        found.append(Remark("photo.animated", Level.NOTE, {}))
    face = shot.faces.faces[subject] if shot.faces and subject is not None else None
    on_face = face is not None and _side(face, look) >= limits.face_side
    if look.sharpness < limits.blurred:
        found.append(Remark("photo.blurred", Level.OUT, {}))
    elif face is not None and on_face and face.sharpness < limits.face_blurred:
        found.append(Remark("photo.face_blurred", Level.OUT, {}))
    elif look.sharpness < limits.blurry or (
        face is not None and on_face and face.sharpness < limits.face_blurry
    ):
        found.append(Remark("photo.blurry", Level.ASK, {}))
    return found


def _of_exposure(look: Look, limits: Limits) -> list[Remark]:
    if look.mean < limits.black:
        return [Remark("photo.black", Level.OUT, {})]
    if look.mean > limits.white:
        return [Remark("photo.white", Level.OUT, {})]
    if look.mean < limits.dark or look.black > limits.clipped:
        return [Remark("photo.dark", Level.ASK, {})]
    if look.mean > limits.bright or look.white > limits.clipped:
        return [Remark("photo.bright", Level.ASK, {})]
    return []


def _of_size(shot: Shot, shape: Shape) -> list[Remark]:
    if shot.look is None:
        return []
    width, height = (int(value) for value in shot.look.content_size)
    args: Args = {"width": width, "height": height}
    got = nearest(width, height, shape.resolution, square=shape.square)
    if got is None:
        return [Remark("photo.small", Level.OUT, {**args, "needed": shape.resolution // 2})]
    best = nearest(width, height, shape.resolution, square=shape.square, upscale=True)
    if best is not None and got[0] * got[1] < FULL * best[0] * best[1]:
        return [Remark("photo.soft", Level.ASK, args)]
    return []


# --- the same shot again -------------------------------------------------------------------------


def _of_twins(
    shots: Sequence[Shot],
    said: Sequence[Sequence[Remark]],
    subjects: Sequence[int | None],
    limits: Limits,
) -> dict[int, Remark]:
    """Of the same shots the best is kept; what is out anyway neither wins nor is told twice."""
    fit = [
        at
        for at, shot in enumerate(shots)
        if shot.look is not None
        and shot.choice is not Choice.LEAVE
        and (shot.choice is Choice.USE or all(one.level is not Level.OUT for one in said[at]))
    ]
    looks = [look for at in fit if (look := shots[at].look) is not None]
    found = {}
    faces = [_face_thumb(shots[at], subjects[at]) for at in fit]
    for best, members in twins.groups(looks, faces, limits).items():
        kept = [at for at in members if shots[fit[at]].choice is Choice.USE]
        best_of = best if not kept or best in kept else kept[0]
        for member in members:
            if member != best_of:
                args = {"other": shots[fit[best_of]].number}
                found[fit[member]] = Remark("photo.twin", Level.OUT, args)
    return found


def _face_thumb(shot: Shot, subject: int | None) -> bytes:
    return shot.faces.faces[subject].thumb if shot.faces and subject is not None else b""


# --- faces ---------------------------------------------------------------------------------------


def _who(shots: Sequence[Shot], kind: str, limits: Limits) -> Who:
    if kind != PERSON:
        return Who(likeness={}, clusters={}, subject=frozenset())
    faces = [
        shot.faces.faces if shot.faces and shot.choice is not Choice.LEAVE else () for shot in shots
    ]
    confirmed = {
        at: shot.face - 1 if shot.face else 0
        for at, shot in enumerate(shots)
        if shot.choice is Choice.USE and shot.faces and (shot.face or len(shot.faces.faces) == 1)
    }
    return recognise(faces, confirmed, limits)


def _seen(shot: Shot, limits: Limits) -> list[int]:
    """Places of the faces that count: large enough, and no bystanders."""
    if shot.faces is None or shot.look is None:
        return []
    look = shot.look
    sides = [_side(face, look) for face in shot.faces.faces]
    least = max(limits.face_side, BYSTANDER * max(sides, default=0.0))
    return [at for at, side in enumerate(sides) if side >= least]


def _side(face: Face, look: Look) -> float:
    """Pixels of the upload."""
    return min(face.box.width * look.width, face.box.height * look.height)


def _subject(at: int, shot: Shot, who: Who, limits: Limits) -> int | None:
    """Which face is the subject's: the chosen one, else the only one, else the only alike one."""
    count = len(shot.faces.faces) if shot.faces else 0
    if 0 < shot.face <= count:
        return shot.face - 1
    seen = _seen(shot, limits)
    if len(seen) == 1:
        return seen[0]
    alike = [one for one in seen if who.likeness.get(Place(at, one), -1.0) >= limits.same_person]
    return alike[0] if len(alike) == 1 else None


def _of_faces(at: int, shot: Shot, subject: int | None, who: Who, limits: Limits) -> list[Remark]:
    if shot.faces is None or shot.face:
        return []
    seen = _seen(shot, limits)
    if not seen:
        return [Remark("photo.noface", Level.ASK, {"most": limits.backs})]
    if subject is None:
        likeness = [who.likeness.get(Place(at, one)) for one in seen]
        strangers = [one for one in likeness if one is not None and one < limits.other_person]
        code = "photo.other" if len(strangers) == len(seen) else "photo.faces"
        return [Remark(code, Level.OUT, {"count": len(seen)})]
    found = _of_likeness(who.likeness.get(Place(at, subject)), limits)
    if len(seen) > 1 and not found:
        return [Remark("photo.picked", Level.NOTE, {"count": len(seen), "face": subject + 1})]
    return found


def _of_likeness(likeness: float | None, limits: Limits) -> list[Remark]:
    if likeness is None or likeness >= limits.same_person:
        return []
    if likeness < limits.other_person:
        return [Remark("photo.other", Level.OUT, {})]
    return [Remark("photo.maybe", Level.ASK, {})]
