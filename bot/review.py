"""The draft's photos judged with all that is known of them now. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.draft import Conversation
from bot.facts import Facts
from pictures.captions import Described, Plan, compose
from pictures.frame import Shape
from pictures.seen import UNSEEN
from pictures.variety import Variety, variety
from pictures.verdict import PERSON, Choice, Shot, Verdict, judge
from storage.bases import Base
from storage.job import CLASS_WORDS, Photo
from trainer.presets import resolution_of

USUAL_RESOLUTION = 512  # while the base is not chosen yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """In the order of the photos. ``waiting`` counts those that a network has yet to see."""

    shots: tuple[Shot, ...]
    verdicts: tuple[Verdict, ...]
    variety: Variety
    waiting: int

    @property
    def used(self) -> int:
        return sum(verdict.used for verdict in self.verdicts)

    def of(self, number: int) -> tuple[Shot, Verdict] | None:
        pairs = zip(self.shots, self.verdicts, strict=True)
        return next((pair for pair in pairs if pair[0].number == number), None)

    @property
    def undecided(self) -> tuple[int, ...]:
        """Numbers of photos with a question that the person has not answered."""
        return tuple(
            verdict.number
            for shot, verdict in zip(self.shots, self.verdicts, strict=True)
            if verdict.is_open and shot.choice is Choice.OPEN and not shot.face
        )


def review(conversation: Conversation, facts: Facts) -> Review:
    photos = conversation.photos
    shots = tuple(
        Shot(
            number=photo.number,
            look=facts.seen.get(photo.sha256, UNSEEN).look,
            faces=facts.seen.get(photo.sha256, UNSEEN).faces,
            choice=Choice(photo.choice),
            face=photo.face,
        )
        for photo in photos
    )
    shape = shape_of(facts.bases, facts.base(conversation.base))
    # Before the first answer it is most likely a person; asking early costs nothing.
    kind = conversation.kind or PERSON
    verdicts = judge(shots, kind, shape, facts.limits)
    return Review(
        shots=shots,
        verdicts=verdicts,
        variety=variety(shots, verdicts, kind, shape),
        waiting=sum(photo.sha256 in facts.waiting for photo in photos),
    )


def shape_of(bases: Sequence[Base], base: Base | None) -> Shape:
    if base is None and len(bases) == 1:
        base = bases[0]
    if base is None:
        return Shape(resolution=USUAL_RESOLUTION)
    return Shape(resolution=resolution_of(base.family, base.overrides), square=base.square)


def captions_of(conversation: Conversation, facts: Facts) -> tuple[tuple[Photo, str], ...]:
    """The photos in use, each with the caption that it would be trained with."""
    judged = review(conversation, facts).verdicts
    used = [
        photo for photo, verdict in zip(conversation.photos, judged, strict=True) if verdict.used
    ]
    base = facts.base(conversation.base)
    plan = Plan(
        trigger=conversation.trigger,
        class_word=CLASS_WORDS[conversation.kind],
        kind=conversation.kind,
        style=base.captions if base else "sentence",
    )
    described = [facts.seen.get(photo.sha256, UNSEEN).described or Described() for photo in used]
    texts = compose(plan, conversation.wishes, described, [photo.caption for photo in used])
    return tuple(zip(used, texts, strict=True))
