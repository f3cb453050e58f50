"""The operator's least age: what the face network's estimates mean for a set. Pure.

An estimate is off by years, either way: it never decides about a person, it calls an admin, or asks
for other photos. Where there is no estimate at all an admin looks, too.
"""

from dataclasses import dataclass, replace

from bot.draft import Conversation, State
from bot.facts import Facts
from bot.moves import Step
from bot.review import review
from bot.screen import Line
from pictures.seen import UNSEEN
from storage.job import Args


@dataclass(frozen=True, slots=True, kw_only=True)
class Ages:
    """Numbers of photos in use: with a face that is taken for too young, and without an estimate;
    ``waiting`` counts those that a network has yet to see.
    """

    young: tuple[int, ...] = ()
    unknown: tuple[int, ...] = ()
    waiting: int = 0


def ages_of(conversation: Conversation, facts: Facts) -> Ages:
    """All faces count, not the subject's alone."""
    if not facts.min_age:
        return Ages()
    young, unknown, waiting = [], [], 0
    verdicts = review(conversation, facts).verdicts
    for photo, verdict in zip(conversation.photos, verdicts, strict=True):
        if not verdict.used:
            continue
        faces = facts.seen.get(photo.sha256, UNSEEN).faces
        guesses = [face.age for face in faces.faces] if faces is not None else [None]
        known = [age for age in guesses if age is not None]
        waiting += photo.sha256 in facts.waiting
        if known and min(known) < facts.min_age:
            young.append(photo.number)
        elif len(known) < len(guesses):
            unknown.append(photo.number)
    return Ages(young=tuple(young), unknown=tuple(unknown), waiting=waiting)


def refuse(conversation: Conversation, ages: Ages, facts: Facts) -> Step | None:
    """None: nothing stands against an order, though an admin may have to look."""
    if ages.waiting:
        note = Line(key="age.looking", n=ages.waiting)
        return replace(conversation, note=note), ()
    if not ages.young or not facts.refuses_young:
        return None
    args: Args = {"numbers": _named(ages.young), "age": facts.min_age}
    back = replace(conversation, state=State.PHOTOS, closed=False)
    return replace(back, note=Line(key="age.refused", args=args)), ()


def doubts(ages: Ages, facts: Facts) -> tuple[Line, ...]:
    """What an admin reads beside the photos."""
    if ages.young:
        args: Args = {"numbers": _named(ages.young), "age": facts.min_age}
        return (Line(key="review.young", args=args),)
    return (Line(key="review.age_unknown"),) if ages.unknown else ()


def _named(numbers: tuple[int, ...]) -> str:
    return ", ".join(f"#{number}" for number in numbers)
