"""Booru's words in plain ones, for text encoders that have read sentences. Pure."""

import re
from collections.abc import Mapping, Sequence

# Empty: nothing that a sentence would say.
PLAIN: Mapping[str, str] = {
    **dict.fromkeys(("solo", "solo focus", "no humans", "realistic", "photorealistic"), ""),
    **dict.fromkeys(("photo (medium)", "highres", "male focus", "female focus"), ""),
    **dict.fromkeys(("closed mouth", "depth of field", "head out of frame", "multiple views"), ""),
    "looking at viewer": "looking at the camera",
    "facing viewer": "facing the camera",
    "looking away": "looking away from the camera",
    "looking to the side": "looking to the side",
    "upper body": "half body",
    "cowboy shot": "from the knees up",
    "from side": "from the side",
    "simple background": "plain background",
    "blurry background": "blurred background",
    "blurry foreground": "blurred foreground",
    "open mouth": "mouth open",
    "parted lips": "lips parted",
    "head tilt": "head tilted",
    "arms up": "arms raised",
    "hand up": "one hand raised",
    "hands up": "hands raised",
    "own hands together": "hands clasped",
    "one eye closed": "winking",
    "closed eyes": "eyes closed",
    "v": "peace sign",
    "day": "daylight",
    "night": "at night",
    "^_^": "smiling with closed eyes",
    ":d": "laughing",
    ":o": "surprised",
    ":p": "tongue out",
    ";)": "winking",
    ">_<": "eyes squeezed shut",
}
COUNTS = re.compile(r"\d\+?(?:girls?|boys?|others?)|multiple (?:girls|boys|others)")


def plain(names: Sequence[str]) -> list[str]:
    found = [PLAIN.get(name.casefold(), name) for name in names if not COUNTS.fullmatch(name)]
    return list(dict.fromkeys(word for word in found if word))
