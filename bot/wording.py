"""Handlers of captions: read them, write one, add or remove a word everywhere. Pure."""

from dataclasses import replace

from bot.caption_screens import PAGE
from bot.draft import Conversation, State
from bot.events import Choice, Event, Text
from bot.facts import Facts
from bot.moves import Step, unexpected
from bot.review import review
from bot.screen import Line
from pictures.captions import clean_word

MOST_WISHES = 20
WORD_CHARS, CAPTION_CHARS = 60, 400


def show(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """The argument is the page."""
    pages = -(-review(conversation, facts).used // PAGE)
    argument = event.argument if isinstance(event, Choice) else ""
    page = int(argument) if argument.isdecimal() and len(argument) < 4 else conversation.page
    page = max(0, min(page, pages - 1))
    return replace(conversation, state=State.CAPTIONS, page=page, at=0), ()


def back(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return replace(conversation, state=State.SUMMARY, at=0), ()


def ask_caption(conversation: Conversation, event: Event, facts: Facts) -> Step:
    argument = event.argument if isinstance(event, Choice) else ""
    numbers = {str(photo.number): photo.number for photo in conversation.photos}
    if argument not in numbers:
        return unexpected(conversation, event, facts)
    return replace(conversation, state=State.CAPTION, at=numbers[argument]), ()


def ask_word_in(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return replace(conversation, state=State.WORD_IN), ()


def ask_word_out(conversation: Conversation, _event: Event, _facts: Facts) -> Step:
    return replace(conversation, state=State.WORD_OUT), ()


def write_caption(conversation: Conversation, event: Event, facts: Facts) -> Step:
    text = clean_word(_said(event), CAPTION_CHARS)
    if text is None:
        note = Line(key="caption.bad", args={"most": CAPTION_CHARS})
        return replace(conversation, note=note), ()
    photos = tuple(
        replace(one, caption=text) if one.number == conversation.at else one
        for one in conversation.photos
    )
    return show(replace(conversation, photos=photos), event, facts)


def own_words_again(conversation: Conversation, event: Event, facts: Facts) -> Step:
    """The person's caption of this photo goes, the one that is made comes back."""
    photos = tuple(
        replace(one, caption="") if one.number == conversation.at else one
        for one in conversation.photos
    )
    return show(replace(conversation, photos=photos), event, facts)


def add_word(conversation: Conversation, event: Event, facts: Facts) -> Step:
    word = clean_word(_said(event), WORD_CHARS)
    wishes = conversation.wishes
    if word is None or len(wishes.added) >= MOST_WISHES:
        return _bad_word(conversation)
    kept = tuple(one for one in wishes.added if one != word)
    removed = tuple(one for one in wishes.removed if one != word)
    wishes = replace(wishes, added=(*kept, word), removed=removed)
    return show(replace(conversation, wishes=wishes), event, facts)


def remove_word(conversation: Conversation, event: Event, facts: Facts) -> Step:
    word = clean_word(_said(event), WORD_CHARS)
    wishes = conversation.wishes
    if word is None or len(wishes.removed) >= MOST_WISHES:
        return _bad_word(conversation)
    added = tuple(one for one in wishes.added if one != word)
    kept = tuple(one for one in wishes.removed if one != word)
    wishes = replace(wishes, added=added, removed=(*kept, word))
    return show(replace(conversation, wishes=wishes), event, facts)


def switch_lint(conversation: Conversation, event: Event, facts: Facts) -> Step:
    wishes = replace(conversation.wishes, keep_identity=not conversation.wishes.keep_identity)
    return show(replace(conversation, wishes=wishes), event, facts)


def _bad_word(conversation: Conversation) -> Step:
    note = Line(key="word.bad", args={"most": WORD_CHARS})
    return replace(conversation, note=note), ()


def _said(event: Event) -> str:
    return event.text if isinstance(event, Text) else ""
