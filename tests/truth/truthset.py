"""Sets of photos of which everything is known: what is on them, and what was done to them."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.truth import people, photos
from tests.truth.copies import BORDERS, WAYS, copy_of, framed
from tests.truth.figures import Light
from tests.truth.people import Person, Pose
from tests.truth.studio import MAIN, Item, Spec, Studio, Truth, fitted, together, written

BLURS = ("gaussian", "motion", "misfocus")

__all__ = ["MAIN", "Spec", "Truth", "make", "sessions"]


def make(folder: Path, seed: int, *, spec: Spec | None = None) -> list[Truth]:
    """Write the files of one person's set, in no order."""
    folder.mkdir(parents=True, exist_ok=True)
    studio = Studio(seed, spec or Spec())
    items = list(_items(studio))
    studio.dice.shuffle(items)
    return [written(folder, f"IMG_{n:04d}", item, studio) for n, item in enumerate(items, start=1)]


def sessions(
    folder: Path,
    seed: int,
    *,
    each: tuple[int, ...] = (8, 6, 5),
    strays: int = 2,
    spec: Spec | None = None,
) -> list[Truth]:
    """Photos of several people in one folder, so many of each, and strangers with one photo."""
    folder.mkdir(parents=True, exist_ok=True)
    studio = Studio(seed, replace(spec or Spec(), other_person=len(each) + strays, several=0))
    items = []
    for person, count in enumerate((*each, *(1 for _ in range(strays)))):
        for _ in range(count):
            scene, size = studio.place(), studio.size()
            pose = studio.pose(studio.dice.choice(people.FRAMINGS), size)
            shot = studio.shot(scene, studio.person(studio.cast[person], pose))
            items.append(Item(studio.taken(shot, size), "good", "plain", studio.number(scene)))
    studio.dice.shuffle(items)
    return [written(folder, f"IMG_{n:04d}", item, studio) for n, item in enumerate(items, start=1)]


def _items(studio: Studio) -> Iterator[Item]:
    good = list(_good(studio))
    yield from _copied(studio, good)
    yield from _bursts(studio)
    yield from _special(studio)
    yield from _blurred(studio)
    yield from _bordered(studio)
    yield from _others(studio)
    yield from _unfit(studio)


def _good(studio: Studio) -> Iterator[Item]:
    """Two in three at a place of their own, the others where somebody has stood already."""
    for number in range(studio.spec.good):
        scene = studio.dice.choice(studio.scenes) if number % 3 == 2 else studio.place()
        shot, size = studio.portrait(scene)
        yield Item(studio.taken(shot, size), "good", "plain", studio.number(scene))


def _copied(studio: Studio, good: list[Item]) -> Iterator[Item]:
    """The good ones, and the copies of some of them."""
    copies: dict[int, list[Item]] = {}
    for number in range(studio.spec.duplicates if good else 0):
        group = studio.dice.randrange(min(len(good), max(1, studio.spec.duplicates * 2 // 3)))
        way = WAYS[number % len(WAYS)]
        photo = copy_of(studio, good[group].photo, way)
        copy = replace(good[group], photo=photo, kind="duplicate", how=way, original=False)
        copies.setdefault(group, []).append(replace(copy, group=group))
    for group, item in enumerate(good):
        yield replace(item, group=group if group in copies else None)
        yield from copies.get(group, [])


def _bursts(studio: Studio) -> Iterator[Item]:
    """One place and light, another look and pose in each frame: no duplicates."""
    for _ in range(studio.spec.bursts):
        scene = studio.place()
        first, size = studio.portrait(scene, studio.dice.choice(["close", "half"]))
        for pose in _frames(studio, first.people[0].pose):
            person = replace(first.people[0], pose=fitted(pose, size))
            shot = replace(first, people=(person,), seed=studio.dice.randrange(10**9))
            yield Item(studio.taken(shot, size), "burst", "burst", studio.number(scene))


def _frames(studio: Studio, pose: Pose) -> Iterator[Pose]:
    """Each with a mouth of its own; the head moves by a part of itself."""
    dice = studio.dice
    mouths = dice.sample(people.MOUTHS, min(studio.spec.burst_frames, len(people.MOUTHS)))
    angle = dice.uniform(0, 2 * math.pi)
    for number, mouth in enumerate(mouths):
        far = 0.16 * pose.head * number
        moved = replace(
            pose, x=pose.x + far * math.cos(angle), y=pose.y + far * math.sin(angle) / 2
        )
        yield replace(
            people.expression(dice, moved),
            mouth=mouth,
            roll=pose.roll + dice.uniform(-5, 5),
            arms=dice.choice(people.ARMS),
        )


def _special(studio: Studio) -> Iterator[Item]:
    """Good ones that look as if they were not."""
    dice, spec = studio.dice, studio.spec
    for _ in range(spec.night):
        scene = studio.place("city")
        shot, size = studio.portrait(scene, dice.choice(["close", "half"]))
        light = Light(gain=dice.uniform(0.6, 0.75), noise=dice.uniform(7, 10))
        photo = studio.taken(replace(shot, light=light), size)
        yield Item(photo, "good", "night", studio.number(scene))
    for _ in range(spec.vignette):
        scene = studio.place()
        photo = studio.taken(*studio.portrait(scene))
        photo = photos.vignetted(photo, studio.between(spec.vignette_depth))
        yield Item(photo, "good", "vignette", studio.number(scene))
    for _ in range(spec.bokeh):
        scene = studio.place()
        shot, size = studio.portrait(scene, dice.choice(["close", "half"]))
        soft = replace(scene, blur=dice.uniform(0.008, 0.014))
        photo = studio.taken(replace(shot, scene=soft), size)
        yield Item(photo, "good", "bokeh", studio.number(scene))


def _blurred(studio: Studio) -> Iterator[Item]:
    spec = studio.spec
    for number in range(spec.blurred):
        scene, way = studio.place(), BLURS[number % len(BLURS)]
        shot, size = studio.portrait(scene, studio.dice.choice(["close", "half"]))
        blur = studio.between(spec.motion if way == "motion" else spec.blur)
        if way == "misfocus":
            # As soft as the same blur looks on a face that fills a fifth of the picture.
            blur *= 1.25 * max(1.0, shot.people[0].pose.head / 0.2)
            shot = replace(shot, misfocus=blur / photos.REFERENCE)
        photo = studio.taken(shot, size)
        if way == "gaussian":
            photo = photos.blurred(photo, blur)
        elif way == "motion":
            photo = photos.shaken(photo, blur, studio.dice.uniform(0, math.pi))
        yield Item(photo, "blurred", way, studio.number(scene), blur=blur)
    for _ in range(spec.grey):
        scene, blur = studio.place(), studio.between(spec.grey_blur)
        photo = photos.blurred(studio.taken(*studio.portrait(scene)), blur)
        yield Item(photo, "grey", "gaussian", studio.number(scene), blur=blur)


def _bordered(studio: Studio) -> Iterator[Item]:
    for number in range(studio.spec.bordered):
        scene, way = studio.place(), BORDERS[number % len(BORDERS)]
        photo = studio.taken(*studio.portrait(scene))
        yield Item(framed(studio, photo, way), "bordered", way, studio.number(scene))


def _others(studio: Studio) -> Iterator[Item]:
    """Somebody else, several people, nobody."""
    spec, cast = studio.spec, studio.cast
    for number in range(spec.other_person):
        scene, size = studio.place(), studio.size()
        pose = studio.pose(studio.dice.choice(people.FRAMINGS), size)
        other = Person(identity=cast[1 + number], pose=pose, outfit=people.outfit(studio.dice))
        photo = studio.taken(studio.shot(scene, other), size)
        yield Item(photo, "other_person", "alone", studio.number(scene))
    for number in range(spec.several):
        scene, first = studio.place(), 1 + spec.other_person + 2 * number
        beside = cast[first : first + 1 + number % 2]
        photo = together(studio, scene, (cast[MAIN], *beside))
        yield Item(photo, "several", f"{1 + len(beside)} people", studio.number(scene))
    for _ in range(spec.no_face):
        scene = studio.place()
        photo = studio.taken(studio.shot(scene), studio.size())
        yield Item(photo, "no_face", "nobody", studio.number(scene))


def _unfit(studio: Studio) -> Iterator[Item]:
    """Too small, too dark, too bright."""
    spec = studio.spec
    for _ in range(spec.small):
        scene = studio.place()
        photo = studio.taken(*studio.portrait(scene))
        factor = studio.dice.randint(*spec.small_sizes) / max(photo.size)
        yield Item(photos.resized(photo, factor), "small", "small", studio.number(scene))
    for kind, count, means in (
        ("dark", spec.dark, spec.dark_mean),
        ("bright", spec.bright, spec.bright_mean),
    ):
        for _ in range(count):
            scene = studio.place()
            photo = photos.exposed(studio.taken(*studio.portrait(scene)), studio.between(means))
            yield Item(photo, kind, kind, studio.number(scene))
