"""Words that describe what the trigger is to carry: with them in the captions it would carry less.

What a caption names goes into that word, what it leaves out into the trigger. Pure.
"""

import re
from collections.abc import Collection

COLOURS = (
    "black|blonde?|brown|dark|light|red|ginger|auburn|grey|gray|silver|white|golden|blue|green|hazel"
    "|pink|purple|orange|aqua|multicolored|two-tone|platinum"
)
SHAPES = (
    "long|short|medium|very long|shoulder-length|curly|wavy|straight|messy|thick|thin|shaved|bald"
    "|wide|narrow|big|small|large|round|almond"
)
LOOKS = f"(?:{COLOURS}|{SHAPES})"
AGES = "young|old|elderly|middle-aged|teenage|adult|mature"
PEOPLES = (
    "asian|african|caucasian|european|hispanic|latin[ao]?|indian|arab|black|white|chinese"
    "|japanese|korean"
)
BEAUTY = "beautiful|pretty|handsome|attractive|gorgeous|cute|lovely|stunning"
SKIN = "pale|fair|dark|tan|tanned|olive|brown|light|freckled"

# Whole tags (booru) that say what a person looks like.
PERSON_TAGS = re.compile(
    rf"(?:(?:{LOOKS}[ -])*(?:hair|eyes|eyebrows|eyelashes|skin|nose|lips|ears|cheekbones|jaw)"
    rf"|(?:{SKIN})[ -]skin(?:ned)?(?: (?:fe)?male)?"
    r"|(?:facial|chest|arm|leg) hair|beard|mustache|moustache|goatee|stubble|sideburns"
    r"|freckles|mole(?: under \w+)?|dimples?|wrinkles?|scar(?: on \w+)?"
    r"|bald(?: (?:fe)?male| man| woman)?"
    r"|(?:multicolored|streaked|gradient|two-tone|colored inner) hair"
    r"|bangs|blunt bangs|parted bangs|swept bangs|hair between eyes|hair intakes|ahoge|sidelocks"
    r"|heterochromia|thick eyebrows|thick lips|pointy ears"
    rf"|(?:{AGES})(?: (?:man|woman|person|male|female|boy|girl))?"
    rf"|(?:{PEOPLES})(?: (?:man|woman|person|male|female|boy|girl))?"
    rf"|{BEAUTY}|breasts|(?:small|medium|large|huge) breasts|muscular(?: (?:fe)?male)?|plump|slim)",
    re.IGNORECASE,
)
STYLE_TAGS = re.compile(
    r"(?:traditional media|(?:\w+ )?\(medium\)|painting|oil painting|watercolor|sketch|drawing"
    r"|line ?art|monochrome|greyscale|grayscale|sepia|illustration|anime(?: style)?|manga|comic"
    r"|cartoon|pixel art|3d(?: render)?|render|photorealistic|realistic|photo(?:graph)?"
    r"|flat colou?rs?|cel shading|ink|charcoal|pastel|impressionism|abstract|art"
    r"|artwork|digital art|\w+ style)",
    re.IGNORECASE,
)

# The same in running text: what may go without leaving a hole in the sentence.
_NOUNS = (
    "hair|eyes|eyebrows|skin|complexion|beard|mustache|moustache|goatee|stubble|freckles|features"
    "|face"
)
_ADJECTIVES = (
    rf"(?:(?:very |quite |slightly )?(?:{LOOKS}|{SKIN}|{BEAUTY}|trimmed|full|bushy)(?:,| and)? )*"
)
PERSON_PHRASES = (
    re.compile(
        rf",? (?:with|has|having|and) (?:a |an |his |her |their )?{_ADJECTIVES}(?:{_NOUNS})\b"
        rf"(?:(?:,| and|, and) (?:a |an )?{_ADJECTIVES}(?:{_NOUNS})\b)*",
        re.IGNORECASE,
    ),
    re.compile(rf"\b(?:{_ADJECTIVES})?(?:{LOOKS})-(?:haired|eyed|skinned)\b ?", re.IGNORECASE),
    re.compile(rf"\b(?:{AGES}|{BEAUTY}|bald|bearded|freckled)\b,? ?", re.IGNORECASE),
    re.compile(rf"\b(?:{PEOPLES}) (?=(?:man|woman|person|male|female|boy|girl)\b)", re.IGNORECASE),
)
STYLE_PHRASES = (
    re.compile(
        r"\b(?:an? |the )?(?:\w+ )?(?:painting|watercolou?r|sketch|drawing|illustration"
        r"|render(?:ing)?|photograph|photo|artwork) (?:of|showing|depicting) ",
        re.IGNORECASE,
    ),
    re.compile(r",? (?:in|with) (?:an? |the )?[\w -]{1,24} style\b", re.IGNORECASE),
)


def leaking_tags(tags: Collection[str], kind: str, class_word: str) -> frozenset[str]:
    """Those of the tags that say what the trigger is to carry."""
    pattern = {"style": STYLE_TAGS, "thing": _of_thing(class_word)}.get(kind, PERSON_TAGS)
    return frozenset(tag for tag in tags if pattern.fullmatch(tag))


def without_leaks(sentence: str, kind: str) -> tuple[str, tuple[str, ...]]:
    """The sentence without them, and what was taken out."""
    phrases = {"style": STYLE_PHRASES, "thing": ()}.get(kind, PERSON_PHRASES)
    removed: list[str] = []
    for pattern in phrases:
        removed += [found.group().strip(" ,") for found in pattern.finditer(sentence)]
        sentence = pattern.sub("", sentence)
    return tidy(sentence), tuple(one for one in removed if one)


def tidy(sentence: str) -> str:
    """What is left reads as a sentence: no doubled spaces or commas, the right article."""
    sentence = re.sub(r"\s+", " ", sentence)
    sentence = re.sub(r"\s+([,.;])", r"\1", sentence)
    sentence = re.sub(r"([,;])(?:\s*[,;])+", r"\1", sentence)
    sentence = re.sub(r"\b(a)n? (?=[aeiou])", r"\1n ", sentence, flags=re.IGNORECASE)
    sentence = re.sub(r"\b(a)n (?=[^aeiou\W])", r"\1 ", sentence, flags=re.IGNORECASE)
    return sentence.strip(" ,;")


def _of_thing(class_word: str) -> re.Pattern[str]:
    noun = re.escape(class_word)
    return re.compile(rf"(?:(?:{LOOKS})[ -])*{noun}s?", re.IGNORECASE)
