"""What a text encoder will read of each picture: the trigger, then what is to be seen. Pure."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pictures.leaks import leaking_tags, tidy, without_leaks

TAGS, SENTENCE = "tags", "sentence"
MOST_WORDS = 55  # a text encoder of SD reads 75 tokens
MOST_TAGS = 24
COMMON = 0.8  # what is true of so many pictures belongs to the subject
WORD_CHARS, CAPTION_CHARS = 60, 400
# Booru's words in plain ones; empty: nothing that a sentence would say.
PLAIN: Mapping[str, str] = {
    **dict.fromkeys(
        ("1girl", "1boy", "1other", "solo", "solo focus", "no humans", "realistic"), ""
    ),
    **dict.fromkeys(("photo (medium)", "multiple girls", "multiple boys", "highres"), ""),
    "looking at viewer": "looking at the camera",
    "looking away": "looking away from the camera",
    "upper body": "half body",
    "full body": "full body",
    "cowboy shot": "from the knees up",
    "portrait": "portrait",
    "close-up": "close-up",
    "from side": "from the side",
    "from behind": "from behind",
    "from above": "from above",
    "from below": "from below",
    "simple background": "plain background",
    "blurry background": "blurred background",
    "depth of field": "",
    "^_^": "smiling with closed eyes",
    ":d": "laughing",
}
COUNTS = re.compile(r"\d\+?(?:girls?|boys?|others?)")


@dataclass(frozen=True, slots=True)
class Described:
    """What a tagger or a vision server said of one picture; tags with their probability."""

    tags: tuple[tuple[str, float], ...] = ()
    sentence: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "tags": [[name, round(share, 3)] for name, share in self.tags],
            "says": self.sentence,
        }

    @classmethod
    def from_json(cls, raw: Any) -> "Described":
        """What cannot be read is not said."""
        if not isinstance(raw, dict):
            return cls()
        pairs = raw.get("tags")
        tags = tuple(
            (str(pair[0]), float(pair[1]))
            for pair in (pairs if isinstance(pairs, list) else [])
            if isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], int | float)
        )
        said = raw.get("says")
        return cls(tags, said if isinstance(said, str) else "")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person wants for all captions of a set; ``keep_identity`` turns the pruning off."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    keep_identity: bool = False

    def to_json(self) -> dict[str, Any]:
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "keep_identity": self.keep_identity,
        }

    @classmethod
    def from_json(cls, raw: Any) -> "Wishes":
        if not isinstance(raw, dict):
            return cls()
        return cls(
            added=_words(raw.get("added")),
            removed=_words(raw.get("removed")),
            keep_identity=raw.get("keep_identity") is True,
        )

    @classmethod
    def from_text(cls, text: str) -> "Wishes":
        try:
            return cls.from_json(json.loads(text)) if text else cls()
        except ValueError:
            return cls()


def _words(raw: Any) -> tuple[str, ...]:
    return tuple(one for one in raw if isinstance(one, str)) if isinstance(raw, list) else ()


@dataclass(frozen=True, slots=True)
class Plan:
    """``kind`` is person, character, style or thing; ``style`` tags or sentence."""

    trigger: str
    class_word: str
    kind: str
    style: str


def compose(
    plan: Plan, wishes: Wishes, described: Sequence[Described], own: Sequence[str] = ()
) -> tuple[str, ...]:
    """A caption for each picture; ``own`` are the person's, empty where there is none."""
    leaking = pruned(plan, wishes, described)
    texts = []
    for at, one in enumerate(described):
        written = own[at] if at < len(own) else ""
        if written:
            texts.append(_with_trigger(plan, written))
        else:
            texts.append(_caption(plan, wishes, one, leaking))
    return tuple(texts)


def pruned(plan: Plan, wishes: Wishes, described: Sequence[Described]) -> frozenset[str]:
    """Tags that are left out everywhere: they describe what the trigger is to carry."""
    if wishes.keep_identity:
        return frozenset()
    counts = Counter(name for one in described for name, _ in one.tags)
    leaking = leaking_tags(counts, plan.kind, plan.class_word)
    if plan.kind != "thing" or len(described) < 4:
        return leaking
    # A thing's own parts have no list; what is on nearly all of its pictures is part of it.
    noun = re.compile(rf"\b{re.escape(plan.class_word)}\b", re.IGNORECASE)
    common = {name for name, count in counts.items() if count >= COMMON * len(described)}
    return leaking | {name for name in common if noun.search(name)}


def _caption(plan: Plan, wishes: Wishes, one: Described, leaking: frozenset[str]) -> str:
    head = f"{plan.trigger} {plan.class_word}"
    unwanted = {word.casefold() for word in wishes.removed}
    if plan.style == SENTENCE and one.sentence:
        said = _sentence(plan, wishes, one.sentence)
        parts = [said] if said else []
    else:
        names = [name for name, _ in one.tags if name not in leaking]
        parts = names if plan.style == TAGS else _plain(names)
        if plan.style == TAGS:
            head = f"{plan.trigger}, {plan.class_word}"
    parts = [part for part in parts if part.casefold() not in unwanted][:MOST_TAGS]
    added = [word for word in wishes.added if word not in parts]
    return _short(head, parts, added)


def _plain(names: Sequence[str]) -> list[str]:
    """Booru's tags in words that an encoder of sentences knows."""
    found = [PLAIN.get(name, name) for name in names if not COUNTS.fullmatch(name)]
    return list(dict.fromkeys(word for word in found if word))


def _sentence(plan: Plan, wishes: Wishes, sentence: str) -> str:
    """The server's sentence as it goes on after trigger and class word."""
    said = sentence.strip().rstrip(".")
    if not wishes.keep_identity:
        said = without_leaks(said, plan.kind)[0]
    for word in wishes.removed:
        said = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "", said, flags=re.IGNORECASE)
    subject = rf"(?:an? |the )?(?:{re.escape(plan.class_word)}|man|woman|person|girl|boy|child)\b"
    if plan.kind in {"person", "character"}:
        said = re.sub(rf"^{subject}\s*(?:is |who is )?", "", said, flags=re.IGNORECASE)
    said = tidy(re.sub(rf"(?<!\w){re.escape(plan.trigger)}(?!\w),?", "", said))
    return said[:1].lower() + said[1:]


def _short(head: str, parts: Sequence[str], added: Sequence[str]) -> str:
    """As many parts as an encoder reads; what the person added is never cut off."""
    left = MOST_WORDS - len(" ".join([head, *added]).split())
    kept = []
    for part in parts:
        words = part.split()
        if left <= 0:
            break
        kept.append(" ".join(words[:left]))
        left -= len(words)
    return ", ".join([head, *kept, *added])


def _with_trigger(plan: Plan, written: str) -> str:
    first = re.split(r"[\s,]", written, maxsplit=1)[0]
    return written if first == plan.trigger else f"{plan.trigger} {written}"


def clean_word(text: str, most: int = WORD_CHARS) -> str | None:
    """What a person typed, in one line; None where it is empty, too long or not text."""
    cleaned = " ".join(text.split()).strip(" ,")
    if not cleaned or len(cleaned) > most:
        return None
    printable = all(unicodedata.category(sign)[0] != "C" for sign in cleaned)
    return cleaned if printable else None
