"""What a text encoder will read of each picture: the trigger, then what is to be seen. Pure."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pictures.booru import plain
from pictures.leaks import leaking_tags
from pictures.phrases import tidy, without_leaks
from pictures.subject import continued

TAGS, SENTENCE = "tags", "sentence"
MOST_WORDS = 55  # a text encoder of SD reads 75 tokens
MOST_TAGS = 24
WORD_CHARS, CAPTION_CHARS = 60, 400
DANGLING = re.compile(
    r"(?:[ ,;]+(?:an?|the|and|or|with|of|in|on|at|by|to|for|from|her|his|their))+$", re.IGNORECASE
)


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
            found
            for pair in (pairs if isinstance(pairs, list) else [])
            if (found := _tag(pair)) is not None
        )
        said = raw.get("says")
        return cls(tags, said if isinstance(said, str) else "")


def _tag(pair: Any) -> tuple[str, float] | None:
    match pair:
        case [str(name), int() | float() as share] if name and abs(share) <= 1:
            return name, float(share)
        case _:
            return None


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
        except (ValueError, RecursionError):
            return cls()


def _words(raw: Any) -> tuple[str, ...]:
    texts = [one for one in raw if isinstance(one, str)] if isinstance(raw, list) else []
    return tuple(word for one in texts if (word := clean_word(one)) is not None)


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
    leaking = _leaking(plan, wishes, described)
    texts = []
    for at, one in enumerate(described):
        written = own[at].strip() if at < len(own) else ""
        if written:
            texts.append(_with_trigger(plan, written))
        else:
            texts.append(_caption(plan, wishes, one, leaking))
    return tuple(texts)


def pruned(plan: Plan, wishes: Wishes, described: Sequence[Described]) -> tuple[str, ...]:
    """What the lint takes out of the captions, tags and phrases, each once, in their order."""
    leaking = _leaking(plan, wishes, described)
    found: list[str] = []
    for one in described:
        if not _speaks(plan, one):
            found += [name for name, _ in one.tags if name in leaking]
        elif not wishes.keep_identity:
            found += without_leaks(one.sentence, plan.kind, plan.class_word)[1]
    return tuple(dict.fromkeys(found))


def _leaking(plan: Plan, wishes: Wishes, described: Sequence[Described]) -> frozenset[str]:
    if wishes.keep_identity:
        return frozenset()
    counts = Counter(name for one in described for name in {name for name, _ in one.tags})
    return leaking_tags(counts, len(described), plan.kind, plan.class_word)


def _speaks(plan: Plan, one: Described) -> bool:
    return plan.style == SENTENCE and bool(tidy(one.sentence))


def _caption(plan: Plan, wishes: Wishes, one: Described, leaking: frozenset[str]) -> str:
    head = f"{plan.trigger}, {plan.class_word}"
    if plan.style == SENTENCE:
        head = f"{plan.trigger} {plan.class_word}"
    said = {plan.trigger.casefold(), plan.class_word.casefold(), head.casefold()}
    added = _once(wishes.added, said)
    parts = _parts(plan, wishes, one, leaking)
    return _short(head, _once(parts, said | {word.casefold() for word in added}), added)


def _parts(plan: Plan, wishes: Wishes, one: Described, leaking: frozenset[str]) -> Sequence[str]:
    unwanted = _unwanted(wishes)
    if _speaks(plan, one):
        return (_without(_sentence(plan, wishes, one.sentence), unwanted),)
    ranked = sorted(one.tags, key=lambda tag: -tag[1])
    names = [name for name, _ in ranked if name not in leaking]
    found = plain(names) if plan.style == SENTENCE else names
    return [tag for tag in found if not any(word.search(tag) for word in unwanted)][:MOST_TAGS]


def _once(words: Sequence[str], said: set[str]) -> list[str]:
    """Each once, and none that is said already."""
    first: dict[str, str] = {}
    for word in words:
        first.setdefault(word.casefold(), word)
    return [word for key, word in first.items() if key and key not in said]


def _unwanted(wishes: Wishes) -> list[re.Pattern[str]]:
    pieces = [" ".join(one.split()) for word in wishes.removed for one in word.split(",")]
    return [
        re.compile(rf"(?<!\w){re.escape(piece)}(?!\w)", re.IGNORECASE) for piece in pieces if piece
    ]


def _sentence(plan: Plan, wishes: Wishes, sentence: str) -> str:
    said = sentence
    if not wishes.keep_identity:
        said = without_leaks(said, plan.kind, plan.class_word)[0]
    return continued(said, plan.kind, plan.trigger, plan.class_word)


def _without(said: str, unwanted: Sequence[re.Pattern[str]]) -> str:
    """Again, because what is left may meet and be the word once more."""
    before = ""
    while said != before:
        before = said
        for word in unwanted:
            said = tidy(word.sub("", said))
    return said


def _short(head: str, parts: Sequence[str], added: Sequence[str]) -> str:
    """As much as an encoder reads; what the person added is never cut off, a tag is whole."""
    left = MOST_WORDS - len(" ".join([head, *added]).split())
    if len(parts) == 1 and left > 0:
        parts = [_first_words(parts[0], left)]
    kept = []
    for part in parts:
        count = len(part.split())
        if 0 < count <= left:
            kept.append(part)
            left -= count
    return ", ".join([head, *kept, *added])


def _first_words(text: str, most: int) -> str:
    words = text.split()
    return text if len(words) <= most else DANGLING.sub("", " ".join(words[:most])).strip(" ,;")


def _with_trigger(plan: Plan, written: str) -> str:
    """The trigger in its own spelling, which is what will call the subject."""
    found = re.match(rf"{re.escape(plan.trigger)}(?![\w-])", written, re.IGNORECASE)
    rest = written[found.end() :] if found else f" {written}"
    return f"{plan.trigger}{rest}"


def clean_word(text: str, most: int = WORD_CHARS) -> str | None:
    """What a person typed, in one line; None where it is empty, too long or not text."""
    cleaned = " ".join(text.split()).strip(" ,")
    if not cleaned or len(cleaned) > most:
        return None
    printable = all(unicodedata.category(sign)[0] != "C" for sign in cleaned)
    return cleaned if printable else None
