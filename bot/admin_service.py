"""The service in an admin's hands: pause, numbers, cards, doctor, announcements. Pure."""

import re

from bot import screens
from bot.clock import MINUTE_S, clock, size, span
from bot.draft import Conversation
from bot.events import Choice, Command, Event, Show
from bot.facts import Facts
from bot.moves import Step
from bot.orders import (
    BeginPause,
    DraftLetter,
    DropLetter,
    EndPause,
    Note,
    PostLetter,
    RunDoctor,
)
from bot.screen import Button, Line, Screen
from storage.roster import Card, Computer

MOST_PAUSE_MIN = 14 * 24 * 60
MOST_REASON = 120  # characters
MOST_LETTER = 1500
LETTERS_EVERY_S = 10 * MINUTE_S
PAUSE = re.compile(r"(?P<minutes>[0-9]{1,6})?(?:\s+|^|$)(?P<reason>.*)", re.DOTALL)
Args = dict[str, str | int | float]


# --- the pause -----------------------------------------------------------------------------------


def pause(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """``/pause 30 driver update``: both parts may be left out; said again, it takes the place."""
    said = event.argument.strip() if isinstance(event, Command) else ""
    found = PAUSE.fullmatch(said)
    minutes = int(found["minutes"]) if found and found["minutes"] else None
    reason = " ".join(found["reason"].split()) if found else said
    if (minutes is not None and not 1 <= minutes <= MOST_PAUSE_MIN) or len(reason) > MOST_REASON:
        how = Line(key="pause.how", args={"most": MOST_PAUSE_MIN, "letters": MOST_REASON})
        return conversation, (Show(screens.toast(how)),)
    until = None if minutes is None else facts.now + minutes * MINUTE_S
    waiting = facts.board.waiting
    if until is None:
        line = Line(key="pause.begun", n=waiting)
    else:
        line = Line(key="pause.begun_until", args={"time": clock(until, facts.now)}, n=waiting)
    resume_button = Button(label="button.resume", verb="resume")
    note = Note("pause", "", said[:MOST_REASON])
    shown = Show(screens.toast(line, buttons=((resume_button,),)))
    return conversation, (BeginPause(until, reason), note, shown)


def resume(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    if facts.board.pause is None:
        return conversation, (Show(screens.toast(Line(key="pause.none"))),)
    return conversation, (EndPause(), Note("resume"), Show(screens.toast(Line(key="pause.ended"))))


# --- what there is -------------------------------------------------------------------------------


def stats(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    tally, office = facts.office.tally, facts.office
    success = "–" if tally.success is None else f"{100 * tally.success:.0f} %"
    lines = (
        Line(key="stats.title", args={"days": tally.days}),
        Line(
            key="stats.jobs",
            args={
                "done": tally.done,
                "failed": tally.failed,
                "cancelled": tally.cancelled,
                "success": success,
            },
        ),
        Line(key="stats.now", args={"waiting": tally.waiting, "running": tally.running}),
        Line(key="stats.times", args={"wait": _span(tally.wait_s), "train": _span(tally.train_s)}),
        Line(key="stats.people", args={"people": tally.people, "active": tally.active}),
        Line(
            key="stats.disk",
            args={"free": size(office.disk_free), "all": size(office.disk_all)},
        ),
    )
    return conversation, (Show(screens.toast(*lines)),)


def _span(seconds: float | None) -> str:
    return "–" if seconds is None else span(seconds)


def gpu(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    """Each training computer with its cards, as its last heartbeat told."""
    computers = facts.office.computers
    if not computers:
        return conversation, (Show(screens.toast(Line(key="queue.nobody"))),)
    lines = [line for one in computers for line in _computer(one)]
    return conversation, (Show(screens.toast(*lines)),)


def _computer(one: Computer) -> list[Line]:
    key = "gpu.busy" if one.job else "gpu.idle"
    lines = [Line(key=key, args={"host": one.host, "code": one.job})]
    lines += [_card(card) for card in one.cards]
    return lines if one.cards else [*lines, Line(key="gpu.none")]


def _card(card: Card) -> Line:
    memory = "–"
    if card.used_bytes is not None and card.all_bytes is not None:
        memory = f"{card.used_bytes / 2**30:.1f} / {card.all_bytes / 2**30:.1f} GiB"
    warm = "–" if card.celsius is None else f"{card.celsius} °C"
    busy = "–" if card.busy_percent is None else f"{card.busy_percent} %"
    args: Args = {"number": card.number, "name": card.name, "memory": memory}
    return Line(key="gpu.card", args=args | {"warm": warm, "busy": busy})


def doctor(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return conversation, (RunDoctor(), Show(screens.toast(Line(key="doctor.looking"))))


# --- announcements -------------------------------------------------------------------------------


def announce(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """Shown as it will be, and sent only when its author says so."""
    text = event.argument.strip() if isinstance(event, Command) else ""
    if not text or len(text) > MOST_LETTER:
        how = Line(key="announce.how", args={"most": MOST_LETTER})
        return conversation, (Show(screens.toast(how)),)
    draft = facts.new_id
    send = Button(
        label="button.announce",
        args={"n": facts.office.readers},
        verb="letter",
        draft=draft,
        argument="send",
    )
    drop = Button(label="button.announce_not", verb="letter", draft=draft, argument="drop")
    preview = letter(text)
    asked = Line(key="announce.preview", n=facts.office.readers)
    shown = screens.toast(asked, *preview.lines, buttons=((send, drop),))
    return conversation, (DraftLetter(draft, text), Show(shown))


def letter(text: str) -> Screen:
    """As people get it."""
    return screens.toast(Line(key="announce.title"), Line(words=text))


def confirm(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """Once, by whichever admin is first; not too soon after the last one."""
    if not isinstance(event, Choice) or not facts.office.letter:
        return conversation, (Show(screens.toast(Line(key="announce.gone"))),)
    if event.argument != "send":
        dropped = Show(screens.toast(Line(key="announce.dropped")))
        return conversation, (DropLetter(event.draft), dropped)
    last = facts.office.announced_at
    wait_s = 0.0 if last is None else last + LETTERS_EVERY_S - facts.now
    if wait_s > 0:
        line = Line(key="announce.too_soon", args={"time": span(wait_s)})
        return conversation, (Show(screens.toast(line)),)
    readers = facts.office.readers
    said = Show(screens.toast(Line(key="announce.sent", n=readers)))
    return conversation, (PostLetter(event.draft), Note("announce", "", str(readers)), said)
