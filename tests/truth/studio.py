"""Where a person is photographed, and what is known of each photo."""

import random
from dataclasses import dataclass, replace
from pathlib import Path

from tests.truth import people, photos
from tests.truth.figures import Light, Shot, draw
from tests.truth.people import Identity, Outfit, Person, Pose
from tests.truth.photos import Edges, Photo
from tests.truth.scenes import DARK_KINDS, KINDS, Scene

MAIN = 0  # the number of the person whom the set is of
BRIGHT_KINDS = tuple(kind for kind in KINDS if kind not in DARK_KINDS)
SHAPES = ((3, 4), (3, 4), (4, 3), (1, 1), (9, 16))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """How many of each kind, and how strong. Blurs in pixels at a long side of 1024."""

    good: int = 20
    night: int = 2
    vignette: int = 2
    bokeh: int = 3
    bursts: int = 3
    burst_frames: int = 3
    duplicates: int = 12
    blurred: int = 8
    grey: int = 3
    bordered: int = 6
    other_person: int = 6
    several: int = 4
    no_face: int = 4
    small: int = 3
    dark: int = 3
    bright: int = 3
    sizes: tuple[int, int] = (1100, 1600)  # long sides, pixels
    small_sizes: tuple[int, int] = (90, 124)
    noise: tuple[float, float] = (1.0, 4.0)  # grey levels
    gain: tuple[float, float] = (0.8, 1.12)
    cast: float = 0.07
    turn: float = 1.0  # how far heads turn and lean
    crop: float = 0.08  # most that a duplicate lacks on a side
    quality: tuple[int, int] = (78, 95)
    blur: tuple[float, float] = (5.0, 9.0)
    grey_blur: tuple[float, float] = (1.4, 2.0)
    motion: tuple[float, float] = (36.0, 56.0)
    border: tuple[float, float] = (0.04, 0.2)  # shares of the side
    vignette_depth: tuple[float, float] = (0.5, 0.8)
    dark_mean: tuple[float, float] = (6.0, 18.0)
    bright_mean: tuple[float, float] = (242.0, 251.0)
    turned: float = 0.4  # share of JPEG files that are not upright


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """``kind`` is what must become of the file, ``how`` in which way. ``size``, ``content`` and
    faces in upright pixels; persons are numbered from `MAIN`. Files of one ``group`` are the same
    shot, ``original`` the one that the others were made of; files of one ``scene`` were taken at
    the same place. ``blur`` in pixels at a long side of 1024.
    """

    name: str
    kind: str
    how: str
    size: tuple[int, int]
    content: Edges
    faces: tuple[tuple[int, Edges], ...]
    scene: int
    group: int | None = None
    original: bool = True
    orientation: int = 1
    blur: float = 0.0


@dataclass(frozen=True, slots=True)
class Item:
    """A photo on its way to a file."""

    photo: Photo
    kind: str
    how: str
    scene: int
    group: int | None = None
    original: bool = True
    blur: float = 0.0


class Studio:
    """Where one person is photographed: throws the dice, and remembers which places were used."""

    def __init__(self, seed: int, spec: Spec) -> None:
        self.dice = random.Random(f"truth {seed}")
        self.spec = spec
        self.cast = people.cast(seed, 1 + spec.other_person + 2 * spec.several)
        self.outfits = [people.outfit(self.dice) for _ in range(3)]
        self.scenes: list[Scene] = []

    def between(self, bounds: tuple[float, float]) -> float:
        return self.dice.uniform(*bounds)

    def place(self, *kinds: str) -> Scene:
        kind = self.dice.choice(kinds or BRIGHT_KINDS)
        self.scenes.append(Scene(self.dice.randrange(10**9), kind))
        return self.scenes[-1]

    def light(self) -> Light:
        cast = self.dice.uniform(-self.spec.cast, self.spec.cast)
        return Light(
            gain=self.between(self.spec.gain), cast=cast, noise=self.between(self.spec.noise)
        )

    def size(self) -> tuple[int, int]:
        across, down = self.dice.choice(SHAPES)
        long = self.dice.randint(*self.spec.sizes)
        scale = long / max(across, down)
        return round(across * scale), round(down * scale)

    def person(self, who: Identity, pose: Pose) -> Person:
        outfit = self.dice.choice(self.outfits)
        return Person(identity=who, pose=pose, outfit=outfit)

    def pose(self, framing: str, size: tuple[int, int]) -> Pose:
        return fitted(people.pose(self.dice, framing, turn=self.spec.turn), size)

    def shot(self, scene: Scene, *persons: Person) -> Shot:
        return Shot(
            people=persons, scene=scene, light=self.light(), seed=self.dice.randrange(10**9)
        )

    def portrait(self, scene: Scene, framing: str = "") -> tuple[Shot, tuple[int, int]]:
        size = self.size()
        framing = framing or self.dice.choice(people.FRAMINGS)
        return self.shot(scene, self.person(self.cast[MAIN], self.pose(framing, size))), size

    def taken(self, shot: Shot, size: tuple[int, int]) -> Photo:
        picture, faces = draw(shot, *size)
        numbers = {who.number: number for number, who in enumerate(self.cast)}
        named = [replace(face, person=numbers[face.person]) for face in faces]
        return Photo.of(picture, named)

    def number(self, scene: Scene) -> int:
        return self.scenes.index(scene)


def fitted(pose: Pose, size: tuple[int, int]) -> Pose:
    """The whole face on the picture, whatever its shape."""
    width, height = size
    head = min(pose.head, 0.58 * width / height)
    half_x, half_y = 0.5 * head * height / width, 0.56 * head
    return replace(
        pose,
        head=head,
        x=min(max(pose.x, half_x), 1 - half_x),
        y=min(max(pose.y, half_y), 1 - half_y),
    )


def together(studio: Studio, scene: Scene, group: tuple[Identity, ...]) -> Photo:
    """Side by side, in any order, nobody in front of another's face."""
    dice, spec = studio.dice, studio.spec
    long = dice.randint(*spec.sizes)
    size = long, round(long * 0.75)
    order = list(group)
    dice.shuffle(order)
    persons = []
    for number, who in enumerate(order):
        pose = people.pose(dice, "half", turn=spec.turn)
        pose = replace(
            pose,
            x=(number + 0.5) / len(order) + dice.uniform(-0.02, 0.02),
            y=dice.uniform(0.34, 0.42),
            head=dice.uniform(0.16, 0.24 if len(order) == 2 else 0.18),
            arms=dice.choice(["down", "folded"]),
        )
        mine: Outfit = dice.choice(studio.outfits) if who is group[0] else people.outfit(dice)
        persons.append(Person(identity=who, pose=pose, outfit=mine))
    return studio.taken(studio.shot(scene, *persons), size)


def written(folder: Path, name: str, item: Item, studio: Studio) -> Truth:
    dice = studio.dice
    suffix = dice.choice([".jpg"] * 8 + [".png", ".webp"])
    turned = suffix == ".jpg" and dice.random() < studio.spec.turned
    orientation = dice.randint(2, 8) if turned else photos.UPRIGHT
    path = folder / (name + suffix)
    quality = dice.randint(*studio.spec.quality)
    located = suffix == ".jpg" and dice.random() < 0.3
    photos.save(item.photo, path, quality=quality, orientation=orientation, located=located)
    return Truth(
        name=path.name,
        kind=item.kind,
        how=item.how,
        size=item.photo.size,
        content=item.photo.content,
        faces=tuple((face.person, face.box) for face in item.photo.faces),
        scene=item.scene,
        group=item.group,
        original=item.original,
        orientation=orientation,
        blur=item.blur,
    )
