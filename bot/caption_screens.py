"""Panels about captions: pages of them, and the question for a new one. Pure."""

from bot.draft import Conversation
from bot.facts import Facts
from bot.photo_screens import Part, in_rows
from bot.review import captions_of
from bot.screen import Button, Line
from storage.job import Args

PAGE = 5  # captions


def captions(conversation: Conversation, facts: Facts) -> Part:
    pairs = captions_of(conversation, facts)
    draft, first = conversation.draft, conversation.page * PAGE
    shown = pairs[first : first + PAGE]
    lines = [Line(key="captions.title", args={"page": conversation.page + 1}, n=len(pairs))]
    lines += [
        Line(key="captions.one", args={"number": photo.number, "caption": text})
        for photo, text in shown
    ]
    lines += _wishes(conversation)
    edit = [
        Button(
            label="button.caption",
            args={"number": photo.number},
            verb="caption",
            draft=draft,
            argument=str(photo.number),
        )
        for photo, _ in shown
    ]
    lint = Button(
        label="button.lint_on" if conversation.wishes.keep_identity else "button.lint_off",
        args={"trigger": conversation.trigger},
        verb="lint",
        draft=draft,
    )
    words = (
        Button(label="button.word_in", verb="wordin", draft=draft),
        Button(label="button.word_out", verb="wordout", draft=draft),
    )
    turning = _turning(conversation, len(pairs))
    rows = [*in_rows(edit), words, (lint,)]
    rows += [turning] if turning else []
    return tuple(lines), (*rows, (Button(label="button.back", verb="summary", draft=draft),))


def _turning(conversation: Conversation, count: int) -> tuple[Button, ...]:
    pages = {"button.earlier": conversation.page - 1, "button.later": conversation.page + 1}
    return tuple(
        Button(label=label, verb="captions", draft=conversation.draft, argument=str(page))
        for label, page in pages.items()
        if 0 <= page * PAGE < count
    )


def _wishes(conversation: Conversation) -> list[Line]:
    wishes, lines = conversation.wishes, []
    if wishes.added:
        lines.append(Line(key="captions.added", args={"words": ", ".join(wishes.added)}))
    if wishes.removed:
        lines.append(Line(key="captions.removed", args={"words": ", ".join(wishes.removed)}))
    return lines


def asks_words(conversation: Conversation, key: str) -> Part:
    draft = conversation.draft
    row = [Button(label="button.back", verb="captions", draft=draft)]
    if key == "ask.caption":
        row.insert(0, Button(label="button.own_again", verb="again", draft=draft))
    args: Args = {"number": conversation.at, "trigger": conversation.trigger}
    return (Line(key=key, args=args),), (tuple(row),)
