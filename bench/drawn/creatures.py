"""Who lives in the drawn world, and where: what can be seen of a creature and of its surroundings.

``known`` features are those that the demo base learns words for. The others belong to creatures
that it has never seen: what a LoRA has to teach it.
"""

import colorsys
import random
from dataclasses import dataclass, replace

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
ALL_COLOURS = COLOURS | NEW_COLOURS
SHAPES = ("round", "tall", "square", "pear")
PATTERNS = ("plain", "striped", "spotted", "belly")
NEW_PATTERNS = ("star", "zigzag")
EARS = ("no", "pointed", "round", "long", "horned")
NEW_EARS = ("antenna",)
WEARS = ("nothing", "hat", "scarf", "glasses", "bow")
NEW_WEARS = ("crown",)
# Seen, but never named: any colour at all, and what ``strange`` draws.
STRANGE_PATTERNS = ("heart", "diamond", "cross", "half", "bars")
STRANGE_EARS = ("bun", "unicorn", "tuft")
STRANGE_WEARS = ("tie", "belt")
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


def rgb(colour: str) -> Colour:
    """Of a colour's name, or of ``#rrggbb``."""
    if colour in ALL_COLOURS:
        return ALL_COLOURS[colour]
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


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


def stranger(draw: random.Random) -> Creature:
    """Somebody with a look that there are no words for, in part."""
    one = creature(draw)
    colour, second, cloth = (
        _any_colour(draw) if draw.random() < share else known
        for share, known in ((0.7, one.colour), (0.4, one.second), (0.3, one.cloth))
    )
    return replace(
        one,
        colour=colour,
        second=second,
        cloth=cloth,
        pattern=draw.choice(STRANGE_PATTERNS) if draw.random() < 0.5 else one.pattern,
        ears=draw.choice(STRANGE_EARS) if draw.random() < 0.45 else one.ears,
        wears=draw.choice(STRANGE_WEARS) if draw.random() < 0.3 else one.wears,
    )


def _any_colour(draw: random.Random) -> str:
    hue, light, full = draw.random(), draw.uniform(0.35, 0.75), draw.uniform(0.3, 0.9)
    parts = colorsys.hls_to_rgb(hue, light, full)
    return "#" + "".join(f"{round(255 * part):02x}" for part in parts)


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
    own = [one.shape] if draw.random() < 0.9 or one.colour not in COLOURS else []
    own += [one.colour] if one.colour in COLOURS else []
    with_ = []
    if one.pattern in PATTERN_WORDS:
        second = f"{one.second} " if one.second in COLOURS else ""
        with_.append(f"{second}{PATTERN_WORDS[one.pattern]}")
    if one.ears in EAR_WORDS:
        with_.append(EAR_WORDS[one.ears])
    about = f"a {' '.join(own)} character"
    if with_ and draw.random() < 0.9:
        about += " with " + " and ".join(with_)
    if one.wears in WEARS and one.wears != "nothing" and draw.random() < 0.92:
        cloth = f"{one.cloth} " if one.cloth in COLOURS else ""
        about += f", wearing a {cloth}{one.wears}"
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
