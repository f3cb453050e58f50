"""People in an admin's hands: who may come, who may not, and how much. Pure."""

from dataclasses import dataclass

from bot import access, screens
from bot.clock import size, span
from bot.draft import Conversation
from bot.events import Action, CancelJob, Choice, Command, Event, Show
from bot.facts import Facts
from bot.moves import Step
from bot.orders import Decide, MakeInvites, Note, SetLimits, Tell
from bot.screen import Button, Line, Screen
from storage.access import PERSON, Standing
from storage.roster import Profile

MOST_INVITES = 20
MOST_JOBS = 1000
PEOPLE_ON_A_PAGE = 8
Args = dict[str, str | int | float]


def named(argument: str, platform: str) -> str:
    """The person that an admin means: ``tg:123``, or ``123`` on the admin's own network."""
    said = argument.split(maxsplit=1)[0].strip("<>@") if argument.strip() else ""
    whole = said if ":" in said else f"{platform}:{said}"
    return whole if said and PERSON.fullmatch(whole) else ""


def users(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """One line and one button each; who asks to be let in comes first."""
    roster = facts.office.roster
    lines = [Line(key="users.title", n=roster.count)]
    lines += [_line(one, facts) for one in roster.people]
    buttons = [(_card_button(one),) for one in roster.people]
    pages = []
    if roster.number:
        pages.append(_page("button.newer", roster.number - 1))
    if (roster.number + 1) * PEOPLE_ON_A_PAGE < roster.count:
        pages.append(_page("button.older", roster.number + 1))
    rows = (*buttons, tuple(pages)) if pages else tuple(buttons)
    return conversation, (Show(screens.toast(*lines, buttons=rows)),)


def _page(label: str, number: int) -> Button:
    return Button(label=label, verb="users", argument=str(number))


def _card_button(one: Profile) -> Button:
    return Button(
        label="button.person", args={"name": shown_name(one)}, verb="who", argument=one.id
    )


def shown_name(one: Profile) -> str:
    return one.name or one.id


def _line(one: Profile, facts: Facts) -> Line:
    args: Args = {
        "name": shown_name(one),
        "person": one.id,
        "size": size(one.file_bytes),
        "ago": span(facts.now - one.seen_at) if one.seen_at else "–",
    }
    return Line(key=_standing(one, "users.one"), args=args, n=one.jobs)


def _standing(one: Profile, plain: str) -> str:
    if one.member.is_admin:
        return "users.admin"
    match one.member.standing:
        case Standing.ASKED:
            return "users.asks"
        case Standing.BANNED:
            return "users.banned"
        case Standing.DENIED:
            return "users.denied"
    return plain


def who(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    return conversation, (Show(card(facts.office.whom, facts)),)


def card(one: Profile, facts: Facts) -> Screen:
    """One person, and what can be decided about them."""
    lines = [_line(one, facts), Line(key="users.live", n=one.live), _limits(one)]
    if one.decided_by:
        lines.append(Line(key="users.decided_by", args={"name": one.decided_by}))
    lines.append(Line(key="users.limit_how", args={"person": one.id}))
    return screens.toast(*lines, buttons=_decisions(one))


def _limits(one: Profile) -> Line:
    own = (one.member.at_once, one.member.a_day)
    if own == (None, None):
        return Line(key="users.limits_usual")
    at_once, a_day = ("–" if most is None else str(most) for most in own)
    return Line(key="users.limits_own", args={"at_once": at_once, "a_day": a_day})


def _decisions(one: Profile) -> tuple[tuple[Button, ...], ...]:
    if one.member.is_admin:
        return ()
    if one.member.standing is Standing.BANNED:
        return ((Button(label="button.unban", verb="unban", argument=one.id),),)
    if one.member.standing is Standing.ASKED:
        return (access.decisions(one.id),)
    ban = Button(label="button.ban", verb="ban", argument=one.id, danger=True)
    allow = Button(label="button.allow", verb="allow", argument=one.id)
    return ((ban,),) if one.member.standing is Standing.ALLOWED else ((allow, ban),)


# --- decisions -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Decision:
    """``said`` to the admin, ``told`` to the person; empty: they hear nothing."""

    standing: Standing
    what: str
    said: str
    told: str = ""


ALLOW = Decision(Standing.ALLOWED, "allow", "users.allowed", "access.allowed")
DENY = Decision(Standing.DENIED, "deny", "users.refused", "access.denied")
BLOCK = Decision(Standing.BANNED, "block", "users.blocked")
UNBAN = Decision(Standing.ALLOWED, "unban", "users.unbanned", "access.allowed")


def allow(conversation: Conversation, event: Event, facts: Facts) -> Step:
    return _decide(conversation, event, facts, ALLOW)


def deny(conversation: Conversation, event: Event, facts: Facts) -> Step:
    return _decide(conversation, event, facts, DENY)


def block(conversation: Conversation, event: Event, facts: Facts) -> Step:
    return _decide(conversation, event, facts, BLOCK)


def unban(conversation: Conversation, event: Event, facts: Facts) -> Step:
    return _decide(conversation, event, facts, UNBAN)


def _decide(conversation: Conversation, event: Event, facts: Facts, made: Decision) -> Step:
    one = facts.office.whom
    if (stopped := _hindered(event, facts, made)) is not None:
        return conversation, (Show(stopped),)
    tell: tuple[Action, ...] = ()
    if made.told and one.seen_at and facts.person != one.id:
        buttons = ((screens.TRAIN, screens.HELP),) if made.standing is Standing.ALLOWED else ()
        news = screens.toast(Line(key=made.told), buttons=buttons)
        tell = (
            Tell(one.id, Screen(slot=news.slot, lines=news.lines, buttons=buttons, notify=True)),
        )
    said = screens.toast(Line(key=made.said, args={"name": shown_name(one), "person": one.id}))
    decided = (Decide(one.id, made.standing), Note(made.what, one.id))
    return conversation, (*decided, *_end_jobs(facts, made), *tell, Show(said))


def _hindered(event: Event, facts: Facts, made: Decision) -> Screen | None:
    """Nobody is named, an admin is, or another admin was faster."""
    one = facts.office.whom
    if not one.id:
        return screens.toast(Line(key="users.how"))
    if one.member.is_admin and made.standing is not Standing.ALLOWED:
        return screens.toast(Line(key="users.is_admin", args={"name": shown_name(one)}))
    late = isinstance(event, Choice) and event.draft == "asked"
    if one.member.standing is made.standing or (late and one.member.standing is not Standing.ASKED):
        args = {"name": shown_name(one), "by": one.decided_by or "–"}
        return screens.toast(Line(key="users.decided", args=args), buttons=((_card_button(one),),))
    return None


def _end_jobs(facts: Facts, made: Decision) -> tuple[Action, ...]:
    """Whoever is banned trains nothing more."""
    if made.standing is not Standing.BANNED:
        return ()
    return tuple(CancelJob(job.id) for job in facts.office.whose)


def ban(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """Asks once, and says what is lost."""
    if (stopped := _hindered(event, facts, BLOCK)) is not None:
        return conversation, (Show(stopped),)
    one = facts.office.whom
    line = Line(key="users.ask_ban", args={"name": shown_name(one), "person": one.id}, n=one.live)
    yes = Button(label="button.ban", verb="block", argument=one.id, danger=True)
    no = Button(label="button.keep", verb="who", argument=one.id)
    return conversation, (Show(screens.toast(line, buttons=((yes, no),))),)


# --- limits and invites --------------------------------------------------------------------------


def limit(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """``/limit tg:1 2 5``: two at once, five a day; ``/limit tg:1 usual`` ends it."""
    one = facts.office.whom
    words = event.argument.split()[1:] if isinstance(event, Command) else []
    if not one.id or not words:
        shown = card(one, facts) if one.id else screens.toast(Line(key="users.limit_usage"))
        return conversation, (Show(shown),)
    wanted = limits_of(words)
    if wanted is None:
        return conversation, (Show(screens.toast(Line(key="users.limit_usage"))),)
    at_once, a_day = wanted
    args: Args = {"name": shown_name(one), "person": one.id}
    if wanted == (None, None):
        said = Line(key="users.limit_ended", args=args)
    else:
        numbers: Args = {"at_once": _most(at_once), "a_day": _most(a_day)}
        said = Line(key="users.limit_set", args=args | numbers)
    note = Note("limit", one.id, " ".join(words))
    return conversation, (SetLimits(one.id, at_once, a_day), note, Show(screens.toast(said)))


def _most(number: int | None) -> str:
    return "–" if number is None else str(number)


def limits_of(words: list[str]) -> tuple[int | None, int | None] | None:
    """At once and a day; None: it makes no sense."""
    if words == ["usual"]:
        return None, None
    if not all(word.isdecimal() and len(word) < 5 for word in words) or len(words) > 2:
        return None
    numbers = [int(word) for word in words]
    if max(numbers) > MOST_JOBS:
        return None
    return numbers[0], numbers[1] if len(numbers) > 1 else None


def invite(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """``/invite 3``: three codes for one person each, as links where there are such."""
    said = event.argument.strip() if isinstance(event, Command) else ""
    many = int(said) if said.isdecimal() and len(said) < 4 else (0 if said else 1)
    if not 1 <= many <= MOST_INVITES:
        how = Line(key="users.invite_how", args={"most": MOST_INVITES})
        return conversation, (Show(screens.toast(how)),)
    codes, link = facts.office.codes[:many], facts.office.start_link
    lines = [Line(key="users.invites", n=len(codes))]
    key = "users.invite_link" if link else "users.invite_code"
    lines += [Line(key=key, args={"code": code, "link": f"{link}{code}"}) for code in codes]
    done = (MakeInvites(codes), Note("invite", "", str(many)))
    return conversation, (*done, Show(screens.toast(*lines)))
