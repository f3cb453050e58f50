"""What is shown for a conversation and for a job: keys, arguments, buttons, no sentences. Pure."""

import math
from collections.abc import Callable

from bot import caption_screens, consent_screen, photo_screens
from bot.asks import asks
from bot.draft import Conversation, State
from bot.facts import Facts
from bot.pausing import paused
from bot.review import Review, review
from bot.screen import Button, Line, Picture, Screen, Slot
from trainer.presets import SHARES, Quality, steps_for

TRAIN = Button(label="button.train", verb="train")
MODELS = Button(label="button.models", verb="models")
HELP = Button(label="button.help", verb="help")
KINDS = ("person", "character", "style", "thing")
BAR = 20  # characters
MEGABYTE = 1_000_000


def toast(*lines: Line, buttons: tuple[tuple[Button, ...], ...] = ()) -> Screen:
    return Screen(slot=Slot.TOAST, lines=lines, buttons=buttons)


def bar(done: float) -> str:
    full = round(max(0.0, min(1.0, done)) * BAR)
    return "▓" * full + "░" * (BAR - full)


def minutes(seconds: float) -> int:
    """Rounded as people say it: up, from ten minutes on to the next five."""
    whole = max(1, math.ceil(seconds / 60))
    return whole if whole < 10 else math.ceil(whole / 5) * 5


def megabytes(file_bytes: int) -> str:
    size = file_bytes / MEGABYTE
    return f"{size:.0f}" if size >= 10 else f"{max(size, 0.1):.1f}"


# --- the draft -----------------------------------------------------------------------------------


def panel(conversation: Conversation, facts: Facts) -> Screen | None:
    """The draft's one message, or None where there is no draft."""
    if conversation.state is State.IDLE:
        return None
    if conversation.asking:
        return _ask_drop(conversation)
    lines, buttons = PANELS[conversation.state](conversation, facts)
    note = (conversation.note,) if conversation.note else ()
    picture = PICTURES.get(conversation.state, _no_picture)(conversation, facts)
    return Screen(
        slot=Slot.PANEL,
        lines=(*note, *lines),
        buttons=buttons,
        picture=picture,
        asks=asks(conversation),
    )


def _no_picture(_: Conversation, __: Facts) -> Picture | None:
    return None


Part = tuple[tuple[Line, ...], tuple[tuple[Button, ...], ...]]


def _kind(conversation: Conversation, _: Facts) -> Part:
    row = [
        Button(label=f"kind.{kind}", verb="kind", draft=conversation.draft, argument=kind)
        for kind in KINDS
    ]
    return (*_so_far(conversation), Line(key="ask.kind")), (tuple(row[:2]), tuple(row[2:]))


def _name(conversation: Conversation, _: Facts) -> Part:
    suggestion = conversation.suggestion
    lines = (*_so_far(conversation), Line(key="ask.name"))
    return lines, _words("name", conversation.draft, suggestion)


def _trigger(conversation: Conversation, _: Facts) -> Part:
    lines = (*_so_far(conversation), Line(key="ask.trigger", args={"name": conversation.name}))
    return lines, _words("word", conversation.draft, conversation.suggestion)


def _words(verb: str, draft: str, *words: str) -> tuple[tuple[Button, ...], ...]:
    row = tuple(
        Button(label="button.word", args={"word": word}, verb=verb, draft=draft, argument=word)
        for word in words
        if word
    )
    return (row,) if row else ()


def _base(conversation: Conversation, facts: Facts) -> Part:
    missing = tuple(
        Line(key="base.not_installed", args={"title": base.title})
        for base in facts.bases
        if not base.installed
    )
    rows = tuple(
        (
            Button(
                label="button.base",
                args={
                    "title": base.title,
                    "minutes": minutes(facts.seconds.get(base.id, base.minutes * 60)),
                },
                verb="base",
                draft=conversation.draft,
                argument=base.id,
            ),
        )
        for base in facts.bases
        if base.installed
    )
    return (*_so_far(conversation), Line(key="ask.base"), *missing), rows


def _so_far(conversation: Conversation) -> tuple[Line, ...]:
    """Photos may come before the questions are answered; say that they arrived."""
    count = len(conversation.photos)
    counted = (Line(key="photos.so_far", n=count),) if count else ()
    return conversation.refused + counted


def _summary(conversation: Conversation, facts: Facts) -> Part:
    base = facts.base(conversation.base)
    seconds = facts.seconds.get(conversation.base, 60 * base.minutes if base else 0)
    draft, found = conversation.draft, review(conversation, facts)
    lines = [
        Line(key="summary.title", args={"name": conversation.name}),
        Line(
            key="summary.facts",
            args={
                "photos": found.used,
                "base": base.title if base else conversation.base,
                "trigger": conversation.trigger,
                "minutes": minutes(seconds * SHARES[Quality(conversation.quality)]),
            },
        ),
        *_reason(conversation, facts, found.used),
        *_left_out(found),
        _soon(facts),
    ]
    buttons = (
        (Button(label="button.start", verb="start", draft=draft),),
        tuple(
            Button(
                label=f"quality.{one}.chosen" if one == conversation.quality else f"quality.{one}",
                args={"minutes": minutes(seconds * SHARES[one])},
                verb="quality",
                draft=draft,
                argument=one,
            )
            for one in Quality
        ),
        (
            Button(label="button.add", verb="add", draft=draft),
            Button(label="button.trigger", verb="edit", draft=draft, argument="trigger"),
            Button(label="button.name", verb="edit", draft=draft, argument="name"),
        ),
        (Button(label="button.captions", verb="captions", draft=draft, argument="0"),),
        (Button(label="button.cancel", verb="drop", draft=draft, danger=True),),
    )
    return tuple(lines), buttons


def _reason(conversation: Conversation, facts: Facts, used: int) -> tuple[Line, ...]:
    """Why the training takes as many steps as it does."""
    base = facts.base(conversation.base)
    if base is None:
        return ()
    quality = Quality(conversation.quality)
    why = steps_for(base.family, used, quality, base.overrides)
    args = {"photos": why.photos, "each": why.per_photo, "steps": why.steps}
    return (Line(key=f"reason.{why.bound or 'photos'}", args=args),)


def _left_out(found: Review) -> tuple[Line, ...]:
    """Nothing is dropped without a word."""
    numbers = ", ".join(f"#{one.number}" for one in found.verdicts if not one.used)
    return (Line(key="summary.left_out", args={"numbers": numbers}),) if numbers else ()


def _soon(facts: Facts) -> Line:
    board = facts.board
    return paused(board.pause) if board.pause else when(board.next_in, board.online)


def when(starts_in_s: float, online: int, *, able: bool = True) -> Line:
    if not online:
        return Line(key="start.nobody")
    if not able:
        return Line(key="start.unable")
    if starts_in_s < 1:
        return Line(key="start.now")
    return Line(key="start.in", args={"minutes": minutes(starts_in_s)})


def _ask_drop(conversation: Conversation) -> Screen:
    draft, count = conversation.draft, len(conversation.photos)
    buttons = (
        Button(label="button.delete", verb="drop", draft=draft, danger=True),
        Button(label="button.keep", verb="keep", draft=draft),
    )
    line = Line(key="cancel.draft", n=count)
    return Screen(slot=Slot.PANEL, lines=(line,), buttons=(buttons,))


PANELS: dict[State, Callable[[Conversation, Facts], Part]] = {
    State.CONSENT: consent_screen.question,
    State.KIND: _kind,
    State.NAME: _name,
    State.TRIGGER: _trigger,
    State.BASE: _base,
    State.PHOTOS: photo_screens.tally,
    State.FIX: photo_screens.one_photo,
    State.SHEET: photo_screens.contact_sheet,
    State.SUMMARY: _summary,
    State.CAPTIONS: caption_screens.captions,
    State.CAPTION: lambda draft, _: caption_screens.asks_words(draft, "ask.caption"),
    State.WORD_IN: lambda draft, _: caption_screens.asks_words(draft, "ask.word_in"),
    State.WORD_OUT: lambda conversation, _: caption_screens.asks_words(
        conversation, "ask.word_out"
    ),
}
PICTURES: dict[State, Callable[[Conversation, Facts], Picture | None]] = {
    State.FIX: photo_screens.photo_picture,
    State.SHEET: photo_screens.sheet_picture,
}
