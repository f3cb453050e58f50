"""Names and trigger words: what is allowed, and what to offer instead. Pure."""

import re
import unicodedata

from trainer.params import TRIGGER

MAX_NAME = 32
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{1,31}")
# Windows opens devices under these names, whatever the extension.
_DEVICES = frozenset({"con", "prn", "aux", "nul", "clock$"}) | {
    f"{port}{digit}" for port in ("com", "lpt") for digit in range(10)
}
_CYRILLIC = dict(
    zip(
        "абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґў",
        [
            "a",
            "b",
            "v",
            "g",
            "d",
            "e",
            "e",
            "zh",
            "z",
            "i",
            "y",
            "k",
            "l",
            "m",
            "n",
            "o",
            "p",
            "r",
            "s",
            "t",
            "u",
            "f",
            "h",
            "ts",
            "ch",
            "sh",
            "sch",
            "",
            "y",
            "",
            "e",
            "yu",
            "ya",
            "i",
            "yi",
            "ye",
            "g",
            "u",
        ],
        strict=True,
    )
)


def is_good_name(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name.lower() not in _DEVICES


def is_good_trigger(word: str) -> bool:
    return TRIGGER.fullmatch(word) is not None


def is_taken(name: str, taken: frozenset[str]) -> bool:
    """Compared without case: on many disks `Mochi` and `mochi` are the same file."""
    return name.lower() in {one.lower() for one in taken}


def latin(text: str) -> str:
    """As close as plain letters come: accents dropped, Cyrillic spelled out."""
    spelled = "".join(_CYRILLIC.get(letter, letter) for letter in text.lower())
    if text[:1].isupper():
        spelled = spelled[:1].upper() + spelled[1:]
    decomposed = unicodedata.normalize("NFKD", spelled)
    return decomposed.encode("ascii", "ignore").decode()


def suggest_name(text: str, taken: frozenset[str] = frozenset()) -> str:
    """A free, allowed name as near to ``text`` as possible, or empty if nothing is left of it."""
    joined = re.sub(r"[^A-Za-z0-9_-]+", "_", latin(text.strip()))
    name = re.sub(r"_{2,}", "_", joined).strip("_-")[:MAX_NAME]
    if len(name) == 1 or name.lower() in _DEVICES:
        name += "_1"
    return free_name(name, taken) if is_good_name(name) else ""


def free_name(name: str, taken: frozenset[str]) -> str:
    """``name`` itself, or with the first free number behind it."""
    number = 2
    found = name
    while is_taken(found, taken):
        tail = f"_{number}"
        found = name[: MAX_NAME - len(tail)] + tail
        number += 1
    return found


def suggest_trigger(name: str) -> str:
    """The name and an x: short, and no word that the base model already knows."""
    return name[: MAX_NAME - 1].lower() + "x"
