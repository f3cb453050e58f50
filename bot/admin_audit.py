"""What admins did, for admins: page by page, the newest first. Pure."""

from collections.abc import Mapping

from bot import screens
from bot.clock import span
from bot.draft import Conversation
from bot.events import Event, Show
from bot.facts import Facts
from bot.moves import Step
from bot.screen import Button, Line
from storage.access import Act

ACTS_ON_A_PAGE = 10


def audit(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """/audit [page], and its buttons."""
    ledger = facts.office.ledger
    if not ledger.count:
        return conversation, (Show(screens.toast(Line(key="audit.none"))),)
    lines = [Line(key="audit.title", n=ledger.count)]
    lines += [_line(one, facts) for one in ledger.acts]
    turn = []
    if ledger.number:
        turn.append(_page("button.newer", ledger.number - 1))
    if (ledger.number + 1) * ACTS_ON_A_PAGE < ledger.count:
        turn.append(_page("button.older", ledger.number + 1))
    rows = (tuple(turn),) if turn else ()
    return conversation, (Show(screens.toast(*lines, buttons=rows)),)


def _page(label: str, number: int) -> Button:
    return Button(label=label, verb="audit", argument=str(number))


def _line(act: Act, facts: Facts) -> Line:
    """``what`` is the command's own name, which is the same in every language."""
    names = facts.office.ledger.names
    more = " ".join(part for part in (_named(act.whom, names), act.detail) if part)
    args = {
        "ago": span(max(0.0, facts.now - act.at)),
        "who": _named(act.who, names) or "–",
        "what": act.what,
        "more": more,
    }
    return Line(key="audit.one", args=args)


def _named(person: str, names: Mapping[str, str]) -> str:
    known = names.get(person, "")
    return f"{known} ({person})" if known else person
