"""Who steers the bot, in the hands of those who do: another admin, and one less. Pure."""

from bot import screens
from bot.admin_people import shown_name
from bot.draft import Conversation
from bot.events import Action, Event, Show
from bot.facts import Facts
from bot.moves import Step
from bot.orders import Appoint, Dismiss, Note, Tell
from bot.screen import Button, Line, Screen
from storage.roster import Profile


def ask_appoint(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """/admin tg:1: asked once, because an admin can do everything."""
    one = facts.office.whom
    if (stopped := _nobody_or(one, admin=True)) is not None:
        return conversation, (Show(stopped),)
    lines = [Line(key="roles.ask", args=_args(one))]
    if not one.seen_at:
        lines.append(Line(key="roles.stranger", args=_args(one)))
    yes = Button(label="button.appoint", verb="appoint", argument=one.id, danger=True)
    no = Button(label="button.appoint_not", verb="who", argument=one.id)
    return conversation, (Show(screens.toast(*lines, buttons=((yes, no),))),)


def appoint(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    one = facts.office.whom
    if (stopped := _nobody_or(one, admin=True)) is not None:
        return conversation, (Show(stopped),)
    said = Show(screens.toast(Line(key="roles.appointed", args=_args(one))))
    told = _tell(one, facts, "access.admin_now")
    return conversation, (Appoint(one.id), Note("admin", one.id), *told, said)


def dismiss(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """/unadmin tg:1. The last one stays: without any, nobody could be made one."""
    one = facts.office.whom
    if (stopped := _nobody_or(one, admin=False)) is not None:
        return conversation, (Show(stopped),)
    if facts.office.fixed:
        return conversation, (Show(screens.toast(Line(key="roles.fixed", args=_args(one)))),)
    if len(facts.door.admins) < 2:
        return conversation, (Show(screens.toast(Line(key="roles.last"))),)
    said = Show(screens.toast(Line(key="roles.dismissed", args=_args(one))))
    told = _tell(one, facts, "roles.over")
    return conversation, (Dismiss(one.id), Note("unadmin", one.id), *told, said)


def _nobody_or(one: Profile, *, admin: bool) -> Screen | None:
    """Why there is nothing to do: nobody is named, or they are what they should become."""
    if not one.id:
        return screens.toast(Line(key="users.how"))
    if one.member.is_admin == admin:
        key = "roles.is_already" if admin else "roles.is_not"
        return screens.toast(Line(key=key, args=_args(one)))
    return None


def _tell(one: Profile, facts: Facts, key: str) -> tuple[Action, ...]:
    if not one.seen_at or one.id == facts.person:
        return ()
    news = screens.toast(Line(key=key))
    return (Tell(one.id, Screen(slot=news.slot, lines=news.lines, notify=True)),)


def _args(one: Profile) -> dict[str, str | int | float]:
    return {"name": shown_name(one), "person": one.id}
