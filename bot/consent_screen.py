"""The panel of a draft that waits for its owner's consent. Pure."""

from bot.draft import Conversation
from bot.facts import Facts
from bot.screen import Button, Line

Part = tuple[tuple[Line, ...], tuple[tuple[Button, ...], ...]]


def question(conversation: Conversation, facts: Facts) -> Part:
    """The panel of such a draft."""
    draft, count = conversation.draft, len(conversation.photos)
    so_far = (Line(key="photos.so_far", n=count),) if count else ()
    lines = (*conversation.refused, *so_far, Line(key="consent.ask"), *terms(facts))
    rows = (
        (Button(label="button.agree", verb="agree", draft=draft),),
        *policy(facts),
        (Button(label="button.not_now", verb="drop", draft=draft),),
    )
    return lines, rows


def terms(facts: Facts) -> tuple[Line, ...]:
    """Where photos go, for how long, and how they are deleted."""
    host = facts.pictures_go_to
    where = Line(key="consent.leave", args={"host": host}) if host else Line(key="consent.stay")
    return where, Line(key="consent.days", n=facts.retention_days), Line(key="consent.delete")


def policy(facts: Facts) -> tuple[tuple[Button, ...], ...]:
    """The row with the whole policy, where the operator has one."""
    return ((Button(label="button.policy", url=facts.policy_url),),) if facts.policy_url else ()
