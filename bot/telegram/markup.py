"""Our two kinds of markup as Telegram's HTML, cut to what a message may hold. Pure."""

import html
import re

from telegram import CopyTextButton, InlineKeyboardButton, InlineKeyboardMarkup
from telegram.constants import KeyboardButtonStyle

from bot.frontend import RenderedButton

MARKED = re.compile(r"\*\*(?P<b>.+?)\*\*|`(?P<code>[^`\n]+)`")
ELLIPSIS = "…"


def to_html(text: str, most: int) -> str:
    """``most`` counts as Telegram does: UTF-16 units of what is read, without the markup."""
    runs = _runs(text)
    left = most
    if sum(units(words) for _, words in runs) > most:
        left -= units(ELLIPSIS)
        runs = [*_first(runs, left), ("", ELLIPSIS)]
    return "".join(_tagged(tag, words) for tag, words in runs)


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def keyboard(rows: tuple[tuple[RenderedButton, ...], ...]) -> InlineKeyboardMarkup | None:
    if not rows:
        return None
    return InlineKeyboardMarkup([[_button(button) for button in row] for row in rows])


def _button(button: RenderedButton) -> InlineKeyboardButton:
    return InlineKeyboardButton(
        button.label,
        url=button.url or None,
        copy_text=CopyTextButton(button.copy) if button.copy else None,
        callback_data=None if button.url or button.copy else button.data,
        style=KeyboardButtonStyle.DANGER if button.danger else None,
    )


def _runs(text: str) -> list[tuple[str, str]]:
    """Tag and words, one after another; words without a tag have an empty one."""
    runs = []
    end = 0
    for found in MARKED.finditer(text):
        runs.append(("", text[end : found.start()]))
        tag = found.lastgroup or ""
        runs.append((tag, found[tag]))
        end = found.end()
    return [*runs, ("", text[end:])]


def _first(runs: list[tuple[str, str]], left: int) -> list[tuple[str, str]]:
    kept = []
    for tag, words in runs:
        # Half of a character that takes two units is dropped.
        kept.append((tag, words.encode("utf-16-le")[: 2 * left].decode("utf-16-le", "ignore")))
        left = max(0, left - units(words))
    return kept


def _tagged(tag: str, words: str) -> str:
    escaped = html.escape(words, quote=False)
    return f"<{tag}>{escaped}</{tag}>" if tag and words else escaped
