"""Handlers of single photos: look at one, use it or leave it out, which face, the contact sheet.

Pure.
"""

from dataclasses import replace

from bot.draft import Conversation, State
from bot.events import Choice, Event
from bot.facts import Facts
from bot.moves import Step, unexpected
from bot.review import review
from pictures import verdict


def look_at(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """The photo that was named, else the first one with an open question."""
    undecided = review(conversation, facts).undecided
    named = _number(event)
    known = {photo.number for photo in conversation.photos}
    number = named if named in known else next(iter(undecided), 0)
    if not number:
        return back(conversation, event, facts)
    return replace(conversation, state=State.FIX, at=number), ()


def next_one(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """The next open question after this photo, round the set; else back to the tally."""
    undecided = [one for one in review(conversation, facts).undecided if one != conversation.at]
    later = [one for one in undecided if one > conversation.at]
    if not undecided:
        return back(conversation, event, facts)
    return replace(conversation, state=State.FIX, at=(later or undecided)[0]), ()


def use(conversation: Conversation, event: Event, facts: Facts) -> Step:
    return _choose(conversation, event, facts, verdict.Choice.USE)


def leave_out(conversation: Conversation, event: Event, facts: Facts) -> Step:
    return _choose(conversation, event, facts, verdict.Choice.LEAVE)


def pick_face(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """The argument is the photo's number and the face's, like ``9.2``."""
    photo, _, face = _argument(event).partition(".")
    found = review(conversation, facts).of(int(photo) if photo.isdecimal() else 0)
    if found is None or found[0].faces is None or not face.isdecimal():
        return unexpected(conversation, event, facts)
    if not 0 < int(face) <= len(found[0].faces.faces):
        return unexpected(conversation, event, facts)
    chosen = _with(conversation, int(photo), verdict.Choice.USE, int(face))
    return next_one(chosen, event, facts)


def toggle(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """On the contact sheet: in becomes out, out becomes in."""
    found = review(conversation, facts).of(_number(event))
    if found is None:
        return unexpected(conversation, event, facts)
    choice = verdict.Choice.LEAVE if found[1].used else verdict.Choice.USE
    return _with(conversation, found[0].number, choice, found[0].face), ()


def show_sheet(conversation: Conversation, event: Event, facts: Facts) -> Step:
    if not conversation.photos:
        return unexpected(conversation, event, facts)
    return replace(conversation, state=State.SHEET), ()


def back(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return replace(conversation, state=State.PHOTOS, at=0), ()


def _choose(conversation: Conversation, event: Event, facts: Facts, choice: verdict.Choice) -> Step:
    found = review(conversation, facts).of(_number(event))
    if found is None:
        return unexpected(conversation, event, facts)
    chosen = _with(conversation, found[0].number, choice, found[0].face)
    return next_one(chosen, event, facts)


def _with(
    conversation: Conversation, number: int, choice: verdict.Choice, face: int
) -> Conversation:
    photos = tuple(
        replace(one, choice=choice.value, face=face) if one.number == number else one
        for one in conversation.photos
    )
    return replace(conversation, photos=photos)


def _argument(event: Event) -> str:
    return event.argument if isinstance(event, Choice) else ""


def _number(event: Event) -> int:
    argument = _argument(event)
    return int(argument) if argument.isdecimal() and len(argument) < 5 else 0
