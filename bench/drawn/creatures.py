"""Who lives in the drawn world, and where: what can be seen of a creature and of its surroundings.

``known`` features are those that the demo base learns words for. The others belong to creatures
that it has never seen: what a LoRA has to teach it.
"""

import random
from dataclasses import dataclass

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "red": (214, 64, 58),
    "orange": (236, 142, 52),
    "yellow": (243, 207, 74),
    "green": (96, 168, 84),
    "blue": (70, 116, 202),
    "purple": (138, 88, 178),
    "pink": (238, 146, 178),
    "brown": (140, 96, 66),
    "white": (240, 238, 232),
}
NEW_COLOURS: dict[str, Colour] = {"teal": (32, 160, 160), "lime": (178, 214, 60)}
SHAPES = ("round", "tall", "square", "pear")
PATTERNS = ("plain", "striped", "spotted", "belly")
NEW_PATTERNS = ("star", "zigzag")
EARS = ("no", "pointed", "round", "long", "horned")
NEW_EARS = ("antenna",)
WEARS = ("nothing", "hat", "scarf", "glasses", "bow")
NEW_WEARS = ("crown",)
PLACES = ("meadow", "desert", "snow", "night", "sea", "room", "grey")
POSES = ("standing", "waving", "jumping", "leaning")
MOODS = ("smiling", "surprised", "sleepy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Creature:
    """What stays the same in every picture of it."""

    shape: str
    colour: str
    pattern: str
    second: str  # colour of the pattern
    ears: str
    wears: str
    cloth: str  # colour of what it wears


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What differs. ``size`` is the creature's height, ``x`` and ``y`` its middle, all in shares of
    the picture; ``tilt`` in degrees; ``light`` multiplies all colours.
    """

    place: str
    pose: str
    mood: str
    size: float
    x: float
    y: float
    tilt: float
    light: float
    seed: int


MOCHI = Creature(
    shape="round",
    colour="teal",
    pattern="star",
    second="yellow",
    ears="antenna",
    wears="glasses",
    cloth="red",
)
NEW = {
    "mochi": MOCHI,
    "zibbo": Creature(
        shape="tall",
        colour="lime",
        pattern="zigzag",
        second="purple",
        ears="horned",
        wears="crown",
        cloth="yellow",
    ),
    "puku": Creature(
        shape="pear",
        colour="white",
        pattern="zigzag",
        second="red",
        ears="antenna",
        wears="glasses",
        cloth="blue",
    ),
}


def creature(draw: random.Random) -> Creature:
    """Anybody that the demo base knows."""
    colours = list(COLOURS)
    colour = draw.choice(colours)
    second, cloth = (draw.choice([c for c in colours if c != colour]) for _ in range(2))
    return Creature(
        shape=draw.choice(SHAPES),
        colour=colour,
        pattern=draw.choice(PATTERNS),
        second=second,
        ears=draw.choice(EARS),
        wears=draw.choice(WEARS),
        cloth=cloth,
    )


def scene(draw: random.Random) -> Scene:
    size = draw.uniform(0.6, 0.9)
    return Scene(
        place=draw.choice(PLACES),
        pose=draw.choice(POSES),
        mood=draw.choice(MOODS),
        size=size,
        x=draw.uniform(0.4, 0.6),
        y=draw.uniform(0.5, 0.62),
        tilt=draw.uniform(-6, 6),
        light=draw.uniform(0.88, 1.08),
        seed=draw.randrange(2**31),
    )


def caption(one: Creature, where: Scene, draw: random.Random, name: str = "") -> str:
    """What is said of a picture: some of what is there, in words that are always the same.

    With ``name`` the creature's own look is left out, as in a dataset for a LoRA: the name alone
    is to mean it.
    """
    around = [
        f"in the {where.place}" if where.place != "grey" else "grey background",
        where.pose,
        where.mood,
    ]
    draw.shuffle(around)
    around = [words for words in around if draw.random() < 0.85]
    if name:
        return ", ".join([f"{name} character", *around])
    if draw.random() < 0.1:
        return ", ".join(["a character", *around])
    own = [f"{one.shape} {one.colour}" if draw.random() < 0.9 else one.colour]
    with_ = []
    if one.pattern != "plain":
        with_.append(f"{one.second} {PATTERN_WORDS[one.pattern]}")
    if one.ears != "no":
        with_.append(EAR_WORDS[one.ears])
    about = f"a {own[0]} character"
    if with_ and draw.random() < 0.9:
        about += " with " + " and ".join(with_)
    if one.wears != "nothing" and draw.random() < 0.92:
        about += f", wearing a {one.cloth} {one.wears}"
    return ", ".join([about, *around])


PATTERN_WORDS = {"striped": "stripes", "spotted": "spots", "belly": "belly"}
EAR_WORDS = {
    "pointed": "pointed ears",
    "round": "round ears",
    "long": "long ears",
    "horned": "horns",
}
WORDS = sorted(
    {
        *COLOURS,
        *SHAPES,
        *PLACES,
        *POSES,
        *MOODS,
        *WEARS,
        *PATTERN_WORDS.values(),
        *[
            "a",
            "character",
            "with",
            "and",
            "wearing",
            "in",
            "the",
            "background",
            "pointed",
            "round",
            "long",
            "ears",
            "horns",
        ],
        *[
            "photo",
            "picture",
            "portrait",
            "drawing",
            "of",
            "person",
            "object",
            "style",
            "at",
            "city",
            "sks",
        ],
        ",",
    }
)


def made_up(draw: random.Random) -> str:
    """A name that nobody has: unknown words have to be harmless to the base."""
    count = draw.randint(2, 3)
    return "".join(draw.choice("bdfgklmnprstvz") + draw.choice("aeiou") for _ in range(count))
