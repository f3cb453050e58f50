"""The panel of a draft that waits for its owner's consent. Pure."""

from bot.draft import Conversation
from bot.facts import Facts
from bot.screen import Button, Line

Part = tuple[tuple[Line, ...], tuple[tuple[Button, ...], ...]]


def question(conversation: Conversation, facts: Facts) -> Part:
    """The panel of such a draft."""
    draft, count = conversation.draft, len(conversation.photos)
    so_far = (Line(key="photos.so_far", n=count),) if count else ()
    where = "consent.leave" if facts.pictures_go_to else "consent.stay"
    lines = (
        *conversation.refused,
        *so_far,
        Line(key="consent.ask"),
        Line(key=where, args={"host": facts.pictures_go_to} if facts.pictures_go_to else {}),
        Line(key="consent.days", n=facts.retention_days),
        Line(key="consent.delete"),
    )
    policy = ((Button(label="button.policy", url=facts.policy_url),),) if facts.policy_url else ()
    rows = (
        (Button(label="button.agree", verb="agree", draft=draft),),
        *policy,
        (Button(label="button.not_now", verb="drop", draft=draft),),
    )
    return lines, rows
