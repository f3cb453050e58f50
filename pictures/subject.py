"""A sentence about a picture, as it goes on after trigger and class word. Pure."""

import re

from pictures.leaks import PEOPLE
from pictures.phrases import tidy

_PEOPLE_KINDS = frozenset({"person", "character"})
_FRAMED = re.compile(
    rf"^(?:(?:an?|the) )?(?P<frame>(?:(?!(?:an?|the|of|{PEOPLE})\b)[\w-]+,? ){{0,3}}"
    r"(?:shot|photo|photograph|picture|image|portrait|close-up|view|selfie)) of (?=(?:an?|the) )",
    re.IGNORECASE,
)
_SAYS_NOTHING = re.compile(r"\b(?:shot|photo|photograph|picture|image|view)$", re.IGNORECASE)


def continued(sentence: str, kind: str, trigger: str, class_word: str) -> str:
    """Without the subject at its beginning: trigger and class word have named it."""
    said = tidy(re.sub(rf"(?<!\w){re.escape(trigger)}(?!\w),?", "", sentence)).rstrip(".")
    if kind != "style":
        said = _without_subject(_frame_last(said), kind, class_word)
    said = tidy(said)
    return said if said[1:2].isupper() else said[:1].lower() + said[1:]


def _frame_last(said: str) -> str:
    # a close-up portrait of a woman smiling -> a woman smiling, close-up portrait
    found = _FRAMED.match(said)
    if found is None:
        return said
    return tidy(f"{said[found.end() :]}, {_SAYS_NOTHING.sub('', found['frame'])}")


def _without_subject(said: str, kind: str, class_word: str) -> str:
    own = re.escape(class_word)
    names = f"{own}|{PEOPLE}" if kind in _PEOPLE_KINDS else own
    leading = re.compile(
        r"^(?:an?|the|this|one) (?P<how>(?:(?!(?:an?|the|of|in|on|at|with|by|for|from|and|to)\b)"
        rf"[\w-]+,? ){{0,3}}?)(?:{names})\b(?![-']| and\b),? ?(?:(?:who|that) )?(?:(?:is|are) )?",
        re.IGNORECASE,
    )
    if found := leading.match(said):
        how, rest = found["how"].strip(" ,"), said[found.end() :]
        joint = ", " if rest.startswith(("with ", "wearing ", "and ", "in ")) else " "
        said = f"{how}{joint}{rest}" if how else rest
    it = "the subject" if kind in _PEOPLE_KINDS else "it"
    its = "their" if kind in _PEOPLE_KINDS else "its"
    said = re.sub(rf"\b(?:the|this) {own}'s\b", its, said, flags=re.IGNORECASE)
    return re.sub(rf"\b(?:the|this) {own}\b(?!-)", it, said, flags=re.IGNORECASE)
