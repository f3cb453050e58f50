"""Which photos of a draft get a small sign under their message: those that need attention. Pure."""

from collections.abc import Mapping, Sequence

from bot.draft import Conversation, State
from bot.facts import Facts
from bot.review import review
from bot.screen import Mark
from storage.marked import Marked


def marks_of(
    marked: Sequence[Marked], conversation: Conversation, facts: Facts
) -> Mapping[str, Mark]:
    """By message, of those that brought a photo. Before its owner agreed nobody has looked at any,
    and none is marked.
    """
    if conversation.state in {State.IDLE, State.CONSENT} or facts.wants_consent:
        return {}
    known = _by_photo(conversation, facts)
    return {one.message: known.get(one.sha256, Mark.OUT) for one in marked}


def _by_photo(conversation: Conversation, facts: Facts) -> Mapping[str, Mark]:
    found = review(conversation, facts)
    asked = frozenset(found.undecided)
    pairs = zip(conversation.photos, found.verdicts, strict=True)
    return {photo.sha256: _mark(verdict.used, photo.number in asked) for photo, verdict in pairs}


def _mark(used: bool, asked: bool) -> Mark:  # noqa: FBT001  two of the same kind
    if not used:
        return Mark.OUT
    return Mark.LOOK if asked else Mark.NONE
