"""Handlers of photos: each upload is counted, used or refused with its reason. Pure."""

from dataclasses import replace

from bot import screens
from bot.answers import ask_next
from bot.draft import Conversation, State
from bot.events import DropPhotos, Event, FileRefused, PhotoReceived, Show
from bot.facts import Facts
from bot.moves import Step, begin, move_below
from bot.review import review
from bot.screen import Line
from storage.job import MAX_PHOTOS, MIN_PHOTOS

MAX_KEPT = 60  # also photos that are not used: somebody may want one of them after all
MAX_REFUSALS = 5  # the panel tells the latest ones; more would push the tally out of sight


def first_photo(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """A photo without a draft starts one: nothing that a person sends is thrown away."""
    return add_photo(begin(conversation, event, facts)[0], event, facts)


def add_photo(conversation: Conversation, event: Event, facts: Facts) -> Step:
    assert isinstance(event, PhotoReceived)  # noqa: S101  the table says so
    number = conversation.uploads + 1
    counted = replace(conversation, uploads=number)
    same = [one.number for one in conversation.photos if one.sha256 == event.photo.sha256]
    if same:
        args: dict[str, str | int | float] = {"number": number, "other": same[0]}
        return _refuse(counted, Line(key="photo.duplicate", args=args)), ()
    if len(conversation.photos) >= MAX_KEPT or review(conversation, facts).used >= MAX_PHOTOS:
        args = {"number": number, "most": MAX_PHOTOS}
        drop = DropPhotos("", (event.photo,))
        return _refuse(counted, Line(key="photo.many", args=args)), (drop,)
    photo = replace(event.photo, number=number)
    return _under_photos(replace(counted, photos=(*counted.photos, photo))), ()


def take_samples(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    """The demo's photos come as photos do, by themselves; only where there are none yet."""
    key = "old.button" if conversation.photos else "sample.comes"
    return replace(conversation, note=Line(key=key)), ()


def refuse_file(conversation: Conversation, event: Event, _facts: Facts) -> Step:
    assert isinstance(event, FileRefused)  # noqa: S101  the table says so
    number = conversation.uploads + 1
    line = Line(key=event.code, args={**event.args, "number": number})
    return _refuse(replace(conversation, uploads=number), line), ()


def refuse_without_draft(conversation: Conversation, event: Event, _facts: Facts) -> Step:
    assert isinstance(event, FileRefused)  # noqa: S101  the table says so
    line = Line(key=event.code, args={**event.args, "number": 1})
    return conversation, (Show(screens.toast(line)),)


def _refuse(conversation: Conversation, line: Line) -> Conversation:
    refused = (*conversation.refused, line)[-MAX_REFUSALS:]
    return _under_photos(replace(conversation, refused=refused))


def _under_photos(conversation: Conversation) -> Conversation:
    """The tally belongs below the first photo, and stays there while more come."""
    if conversation.closed or conversation.state in {State.FIX, State.SHEET}:
        conversation = replace(conversation, state=State.PHOTOS, closed=False, at=0)
    return conversation if conversation.below else replace(move_below(conversation), below=True)


def close_photos(conversation: Conversation, _event: Event, facts: Facts) -> Step:
    used = review(conversation, facts).used
    if used < MIN_PHOTOS:
        note = Line(key="photos.too_few", args={"needed": MIN_PHOTOS}, n=MIN_PHOTOS - used)
        return replace(conversation, note=note), ()
    if used > MAX_PHOTOS:
        note = Line(key="photos.too_many", args={"most": MAX_PHOTOS}, n=used - MAX_PHOTOS)
        return replace(conversation, note=note), ()
    closed = replace(conversation, closed=True, refused=())
    return ask_next(closed, facts), ()


def reopen_photos(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return replace(conversation, state=State.PHOTOS, closed=False), ()
