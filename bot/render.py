"""A screen in one language, fit for one network. Pure."""

import unicodedata

from bot.frontend import Limits, Message, OutFile, RenderedButton
from bot.screen import Button, Line, Screen, Shelved
from bot.texts.catalog import Catalog
from storage.job import Args

MARKUP = str.maketrans("", "", "*`")
MAX_ARGUMENT = 200  # characters of a person's own words in one of our sentences
MAX_LABEL = 64
ELLIPSIS = "…"
UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs"})
JOINERS = "\u200c\u200d"
CHOSEN = "● "


def render(
    screen: Screen,
    catalog: Catalog,
    limits: Limits,
    file: OutFile | None = None,
    picture: OutFile | None = None,
) -> Message:
    paragraphs = [_line(line, catalog) for line in screen.lines]
    return Message(
        text=_cut("\n".join(paragraphs), limits.caption if file or picture else limits.text),
        buttons=_rows(screen, catalog, limits),
        file=file,
        picture=picture,
        drawn_by=screen.picture.base if isinstance(screen.picture, Shelved) else "",
        notify=screen.notify,
        slot=screen.slot,
        asks=_button(screen.asks, catalog, limits) if screen.asks else None,
    )


def _line(line: Line, catalog: Catalog) -> str:
    if line.words:
        return line.words.translate(MARKUP)
    return catalog.text(line.key, _plain(line.args), line.n)


def _plain(args: Args) -> Args:
    return {name: plain(value) for name, value in args.items()}


def plain(value: str | float) -> str | int | float:
    """Words of people must not become markup of ours, nor push our sentence away."""
    if not isinstance(value, str):
        return value
    seen = "".join(sign for sign in value.translate(MARKUP) if is_seen(sign))
    return _cut(" ".join(seen.split()), MAX_ARGUMENT)


def is_seen(sign: str) -> bool:
    """Neither a control sign nor one that turns around or hides what stands beside it; those two
    that join letters and emoji stay.
    """
    return sign in JOINERS or sign.isspace() or unicodedata.category(sign) not in UNSEEN


def _rows(
    screen: Screen, catalog: Catalog, limits: Limits
) -> tuple[tuple[RenderedButton, ...], ...]:
    """Without those that this network cannot have; a row of none is no row."""
    fit = (
        tuple(_button(one, catalog, limits) for one in row if _can(one, limits))
        for row in screen.buttons
    )
    return tuple(row for row in fit if row)


def _can(button: Button, limits: Limits) -> bool:
    return (
        (limits.copies or not button.copy)
        and (limits.gallery or not button.public)
        and bool(limits.start_link or not button.private)
    )


def _button(button: Button, catalog: Catalog, limits: Limits) -> RenderedButton:
    label = catalog.text(button.label, _plain(button.args))
    label = CHOSEN + label if button.chosen else label
    return RenderedButton(
        label=_cut(label, MAX_LABEL),
        data=button.data,
        url=limits.start_link + button.private if button.private else button.url,
        copy=button.copy,
        danger=button.danger,
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + ELLIPSIS
