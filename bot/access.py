"""The door: who is let into the conversation, and what everybody else hears. Pure."""

import hmac

from bot import screens
from bot.draft import Conversation
from bot.events import Action, Choice, Command, Event, Show, Text
from bot.facts import Facts
from bot.moves import Step
from bot.office import LIST
from bot.orders import Decide, MakeAdmin, Note, Tell, UseInvite
from bot.screen import Button, Line, Screen
from storage.access import CLAIM, INVITE, Standing

HAVE_CODE = Button(label="button.have_code", verb="code")
# What the law gives everybody: to read what is stored, and to have it deleted.
ALWAYS = frozenset({"privacy", "delete", "export", "language"})
ALWAYS_VERBS = frozenset({"export", "dropphotos", "forget", "forgetnow", "forgetnot"})


def code_of(event: Event, prefix: str) -> str:
    """The code that an event brings: behind /start, as a deep link does it, or written alone."""
    match event:
        case Command(name="start", argument=word) | Text(text=word):
            said = word.strip()
            return said if said.lower().startswith(prefix) and len(said) < 64 else ""
    return ""


def gate(conversation: Conversation, event: Event, facts: Facts) -> Step | None:
    """None: come in. Whatever is at the door, the conversation stays as it was."""
    door = facts.door
    if _claims(event, door.claim):
        known = (MakeAdmin(), Note("claim", facts.person))
        return conversation, (*known, Show(_welcome("access.admin_now")))
    if facts.in_group:
        # Whoever is not let in is told so in private.
        return None if door.admits else (conversation, ())
    if door.admits or _is_always_possible(event):
        return None
    if door.standing is Standing.BANNED:
        return conversation, _say("access.banned")
    if door.invited:
        code = code_of(event, INVITE)
        return conversation, (UseInvite(code), Note("invited"), Show(_welcome("access.code")))
    return conversation, _outside(event, facts)


def _claims(event: Event, claim: str) -> bool:
    """The one-time code of the log, compared in constant time."""
    said = code_of(event, CLAIM).upper().encode()
    return bool(claim and said) and hmac.compare_digest(said, claim.upper().encode())


def _is_always_possible(event: Event) -> bool:
    match event:
        case Command(name=name):
            return name in ALWAYS
        case Choice(verb=verb):
            return verb in ALWAYS_VERBS
    return False


def _outside(event: Event, facts: Facts) -> tuple[Action, ...]:
    """Somebody who is not let in yet."""
    if isinstance(event, Choice) and event.verb == HAVE_CODE.verb:
        return _say("access.code_how")
    if code_of(event, INVITE):
        return _say("access.code_bad")
    if facts.door.mode == LIST:
        return (Show(screens.toast(Line(key="access.list", args={"person": facts.person}))),)
    match facts.door.standing:
        case Standing.ASKED:
            return _say("access.waiting", HAVE_CODE)
        case Standing.DENIED:
            return _say("access.closed", HAVE_CODE)
    # In a crowd nobody is called any more: /users shows who asks.
    called = () if facts.door.crowded else facts.door.admins
    asked = tuple(Tell(admin, request(facts)) for admin in called)
    return (Decide(facts.person, Standing.ASKED), *asked, *_say("access.ask", HAVE_CODE))


def request(facts: Facts) -> Screen:
    """What each admin reads when somebody knocks. ``asked`` in a button: only while it is open."""
    line = Line(key="access.admin", args={"name": facts.first_name, "person": facts.person})
    return Screen(
        slot=screens.toast(line).slot,
        lines=(line,),
        buttons=(decisions(facts.person, asked="asked"),),
        notify=True,
    )


def decisions(person: str, *, asked: str = "") -> tuple[Button, ...]:
    return (
        Button(label="button.allow", verb="allow", draft=asked, argument=person),
        Button(label="button.deny", verb="deny", draft=asked, argument=person),
        Button(label="button.block", verb="block", draft=asked, argument=person, danger=True),
    )


def _say(key: str, *buttons: Button) -> tuple[Action, ...]:
    return (Show(screens.toast(Line(key=key), buttons=(buttons,) if buttons else ())),)


def _welcome(key: str) -> Screen:
    return screens.toast(Line(key=key), buttons=((screens.TRAIN, screens.HELP),))
