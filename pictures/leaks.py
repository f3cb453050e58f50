"""Tags that describe what the trigger is to carry: with them in captions it would carry less.

What a caption names goes into that word, what it leaves out into the trigger. Pure.
"""

import re
from collections.abc import Mapping

COMMON = 0.8  # the share of pictures from which on something belongs to the subject
FEW = 4  # of so few pictures nothing is common

COLOURS = (
    "black|blonde?|brown|dark|light|red|ginger|auburn|grey|gray|silver|white|golden|blue|green|hazel"
    "|pink|purple|orange|yellow|aqua|multicolou?red|two-tone|platinum|chestnut|rainbow|colou?red"
)
SHAPES = (
    "long|short|medium|shoulder-length|chin-length|waist-length|curly|wavy|straight|messy|thick"
    "|thin|shaved|bald|wide|narrow|big|small|large|huge|round|almond-shaped|almond|deep|bright"
)
SKINS = "pale|fair|tan|tanned|olive|freckled|smooth"
BEAUTY = "beautiful|pretty|handsome|attractive|gorgeous|cute|lovely|stunning"
AGES = "young|old|older|elderly|middle-aged|teenaged?|adult|mature|aged"
PEOPLES = (
    "asian|east asian|south asian|african|african-american|caucasian|european|hispanic|latin[ao]?"
    "|indian|arab|middle-eastern|chinese|japanese|korean"
)
BUILDS = "slim|slender|petite|muscular|plump|chubby|curvy|athletic|tall|stocky|skinny"
# One word stands in one list only: two ways to read it would double the work with each of them.
LOOKS = f"(?:(?:very |dark |light )?(?:{COLOURS}|{SHAPES}))"
PEOPLE = "man|woman|person|male|female|boy|girl|lady|guy|gentleman|child|kid|model|character"
MARKS = (
    "beard|mustache|moustache|goatee|stubble|sideburns|facial hair|chest hair|freckles|wrinkles"
    "|dimples?|cheekbones|jawline"
)

_WORD_OF_LOOKS = f"(?:very |dark |light )*(?:{COLOURS}|{SHAPES}|{SKINS})"
_OF_PEOPLE = f"(?: (?:{PEOPLE}))?"
PERSON_TAGS = re.compile(
    rf"(?:(?:{_WORD_OF_LOOKS}[ -])*+(?:hair|eyes|eyebrows|eyelashes|skin|nose|lips|ears|jaw)"
    rf"|(?:{_WORD_OF_LOOKS})[ -](?:skin|hair|eye)(?:ned|ed){_OF_PEOPLE}"
    rf"|(?:(?:{_WORD_OF_LOOKS}|full) )?(?:{MARKS})|(?:arm|leg) hair"
    r"|mole(?: (?:under|on|above) \w+)?|scar(?: (?:on|across) \w+)?"
    rf"|bald{_OF_PEOPLE}|(?:streaked|gradient|colou?red inner|split-color) hair"
    r"|(?:blunt |parted |swept |crossed )?bangs|hair between eyes|hair intakes|hair over one eye"
    r"|ahoge|sidelocks|short hair with long locks|widow's peak|blonde|brunette|redhead"
    r"|(?:bob|hime|pixie|buzz|crew) cut|afro|dreadlocks|mohawk|undercut|cornrows"
    r"|heterochromia|pointy ears|fangs?|crow's feet"
    rf"|(?:{AGES}|{PEOPLES}|{BUILDS}|black|white){_OF_PEOPLE}|(?:wo)?man|aged (?:up|down)"
    rf"|(?:very |so )?(?:{BEAUTY}){_OF_PEOPLE}"
    r"|(?:(?:small|medium|large|huge) )?breasts|flat chest|thick thighs|wide hips|narrow waist)",
    re.IGNORECASE,
)
# These are worn one day and not the next: they belong to a subject that always has them.
HABITS = re.compile(
    r"^(?:(?:low|high|side|short|long|single|twin|double|french) )*+"
    r"(?:ponytail|twintails|pigtails|braids?|hair buns?|bun|drills|horns?|wings|tail|hair down"
    r"|hair up|piercing|tattoo|\w+ (?:ears|horns?|tail|wings|tattoo|piercing))$",
    re.IGNORECASE,
)
MEDIA = (
    "painting|watercolou?r|sketch|drawing|line ?art|illustration|manga|comic|cartoon|pixel art"
    "|render|rendering|charcoal|pastel|gouache|impressionism|artwork|digital art|concept art"
    "|official art|fan ?art|engraving|woodcut|collage"
)
STYLE_TAGS = re.compile(
    rf"(?:traditional media|[\w -]+ \((?:medium|style)\)|(?:[\w-]+ )?(?:{MEDIA})"
    r"|monochrome|greyscale|grayscale|black and white|sepia|anime|3d|photorealistic|realistic"
    r"|photo(?:graph)?|flat colou?rs?|cel shading|ink|halftone|chibi|abstract|art|impressionist"
    r"|colou?red pencil|limited palette|spot colou?r|[\w-]+ (?:style|artstyle|coloring))",
    re.IGNORECASE,
)


def leaking_tags(
    counts: Mapping[str, int], pictures: int, kind: str, class_word: str
) -> frozenset[str]:
    """Those of the tags that say what the trigger is to carry; ``counts`` say how often."""
    always = {"style": STYLE_TAGS, "thing": of_thing(class_word)}.get(kind, PERSON_TAGS)
    common = _if_common(kind, class_word)
    return frozenset(
        tag
        for tag, count in counts.items()
        if always.fullmatch(tag)
        or (common and pictures >= FEW and count >= COMMON * pictures and common.search(tag))
    )


def of_thing(class_word: str) -> re.Pattern[str]:
    return re.compile(rf"(?:{LOOKS}[ -])*+{re.escape(class_word)}s?", re.IGNORECASE)


def _if_common(kind: str, class_word: str) -> re.Pattern[str] | None:
    if kind == "style":
        return None
    if kind == "thing":
        # A thing's own parts have no list; what names it on nearly all pictures is part of it.
        return re.compile(rf"\b{re.escape(class_word)}\b", re.IGNORECASE)
    return HABITS
