"""What is true of a drawn picture, and what the benchmark asks for: no networks here."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.drawn import creatures
from bench.drawn.creatures import Creature, Scene
from bench.drawn.draw import draw

SIDE = 128
PHOTOS = 12
TRIGGER = "mochix"
CLASS = "character"
SIZES = (0.62, 0.7, 0.78, 0.86)

ANY_COLOUR = (*creatures.COLOURS, *creatures.NEW_COLOURS)
CHOICES: dict[str, tuple[str, ...]] = {
    "shape": creatures.SHAPES,
    "colour": ANY_COLOUR,
    "pattern": (*creatures.PATTERNS, *creatures.NEW_PATTERNS),
    "second": ANY_COLOUR,
    "ears": (*creatures.EARS, *creatures.NEW_EARS),
    "wears": (*creatures.WEARS, *creatures.NEW_WEARS),
    "cloth": ANY_COLOUR,
    "place": creatures.PLACES,
    "pose": creatures.POSES,
    "mood": creatures.MOODS,
}
OWN = ("shape", "colour", "pattern", "second", "ears", "wears", "cloth")
# Of these combinations the base has seen every part, but never named or put together.
MIXED = {
    "lumo": Creature(
        shape="pear",
        colour="pink",
        pattern="striped",
        second="green",
        ears="long",
        wears="hat",
        cloth="blue",
    )
}
HEROES = creatures.NEW | MIXED


def truth(one: Creature, where: Scene) -> dict[str, str]:
    """What can be seen: a colour of what is not there is left out."""
    return look_of(one) | {"place": where.place, "pose": where.pose, "mood": where.mood}


def look_of(one: Creature) -> dict[str, str]:
    seen = {name: getattr(one, name) for name in OWN}
    if one.pattern == "plain" and one.ears != "antenna":
        del seen["second"]
    if one.wears == "nothing":
        del seen["cloth"]
    return seen


def anybody(dice: random.Random) -> Creature:
    """Any look at all, with what the base has no words for."""
    picked = {name: dice.choice(CHOICES[name]) for name in OWN}
    others = [c for c in ANY_COLOUR if c != picked["colour"]]
    return Creature(**(picked | {"second": dice.choice(others), "cloth": dice.choice(others)}))


def photos(dice_seed: str) -> Iterator[Scene]:
    """Twelve scenes, as somebody would photograph it: near and far, in every place and mood."""
    for n in range(PHOTOS):
        yield replace(
            creatures.scene(random.Random(f"{dice_seed} {n}")),
            place=creatures.PLACES[n % len(creatures.PLACES)],
            pose=creatures.POSES[(n + n // 4) % len(creatures.POSES)],
            mood=creatures.MOODS[n % len(creatures.MOODS)],
            size=SIZES[n % len(SIZES)],
        )


def dataset(folder: Path, hero: str, captions: str) -> Path:
    """Its twelve pictures with captions: ``scene`` says where it is, ``class`` and ``trigger`` do
    not.
    """
    if (folder / f"{PHOTOS:04}.txt").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    for n, where in enumerate(photos(f"photo {hero}"), start=1):
        draw(HEROES[hero], where, SIDE).save(folder / f"{n:04}.png")
        about = {
            "scene": f"{TRIGGER} {CLASS}, {place_words(where.place)}, {where.pose}, {where.mood}",
            "class": f"{TRIGGER} {CLASS}",
            "trigger": TRIGGER,
        }
        (folder / f"{n:04}.txt").write_text(about[captions])
    return folder


def place_words(place: str) -> str:
    return "grey background" if place == "grey" else f"in the {place}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A prompt and what it names; ``group``: with the trigger, the class word alone, or a full
    description of somebody else.
    """

    text: str
    group: str
    seed: int
    named: dict[str, str]


def prompts() -> tuple[Asked, ...]:
    """The same ones for every base and every LoRA."""
    asked = []
    for n, place in enumerate(creatures.PLACES * 2):
        pose = creatures.POSES[(n + n // 4) % len(creatures.POSES)]
        scene = f"{place_words(place)}, {pose}"
        named = {"place": place, "pose": pose}
        asked.append(
            Asked(text=f"{TRIGGER} {CLASS}, {scene}", group="trigger", seed=n, named=named)
        )
        if n >= len(creatures.PLACES):
            continue
        asked.append(Asked(text=f"a {CLASS}, {scene}", group="class", seed=n, named=named))
        other = creatures.creature(random.Random(f"other {n}"))
        other = replace(other, pattern="spotted", ears="pointed", wears="scarf")
        text = (
            f"a {other.shape} {other.colour} {CLASS} with {other.second} spots and pointed ears, "
            f"wearing a {other.cloth} scarf, {scene}"
        )
        own = {name: getattr(other, name) for name in OWN}
        asked.append(Asked(text=text, group="other", seed=n, named=named | own))
    return tuple(asked)
