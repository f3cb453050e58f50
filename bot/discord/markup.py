"""Our messages as Discord's components: escaped words, pictures, buttons, all within its limits.

Pure. A message holds 40 components, each row five buttons; more of them become a menu.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from bot.frontend import Message, OutFile, RenderedButton
from bot.screen import parse_data

MOST = 40  # components of a message, those inside of others counted
ROW = 5  # buttons
MENU = 25  # options
TEXT = 4000  # characters of a message
LABEL = 80
URL = 512
NONCE = 25  # characters
PICK = "pick"  # the verb of a menu; what was chosen is a button's data

# Component types.
ROWS, BUTTON, SELECT, WORDS, GALLERY, FILE = 1, 2, 3, 10, 12, 13
# Styles of buttons.
GREY, RED, LINK = 2, 4, 5
# Flags of messages.
EPHEMERAL, SILENT, LAYOUT = 1 << 6, 1 << 12, 1 << 15

KEPT = re.compile(r"`[^`\n]+`|\*\*.+?\*\*|https?://\S+")
SPECIAL = re.compile(r"([\\_~|<\[\]])")
AT_START = re.compile(r"^(\s*)([#>-])", re.MULTILINE)
ELLIPSIS = "…"

Component = dict[str, Any]


def to_markdown(text: str, most: int = TEXT) -> str:
    """Bold and backticks stay; whatever else Discord would read as markup is words."""
    parts, end = [], 0
    for found in KEPT.finditer(text):
        parts += [_escaped(text[end : found.start()]), _inside(found[0])]
        end = found.end()
    whole = "".join([*parts, _escaped(text[end:])])
    return whole if len(whole) <= most else whole[: most - 1].rstrip("\\") + ELLIPSIS


def _escaped(words: str) -> str:
    return AT_START.sub(r"\1\\\2", SPECIAL.sub(r"\\\1", words))


def _inside(marked: str) -> str:
    if not marked.startswith("**"):
        return marked
    return "**" + SPECIAL.sub(r"\\\1", marked[2:-2]) + "**"


def components(message: Message, *, typed: bool = False, veiled: bool = False) -> list[Component]:
    """``typed``: here people can only write or send photos through a form; a button opens it.
    ``veiled``: the picture shows itself only to those who press on it.
    """
    found: list[Component] = []
    if message.picture is not None:
        media = {"url": f"attachment://{message.picture.name}"}
        found.append({"type": GALLERY, "items": [{"media": media, "spoiler": veiled}]})
    if message.text:
        found.append({"type": WORDS, "content": to_markdown(message.text)})
    if message.file is not None:
        found.append({"type": FILE, "file": {"url": f"attachment://{message.file.name}"}})
    rows = [row for some in message.buttons if (row := _known(some))]
    if typed and message.asks is not None:
        rows.insert(0, (message.asks,))
    return [*found, *_fitting(_once(rows), MOST - len(found))]


def _known(row: Sequence[RenderedButton]) -> tuple[RenderedButton, ...]:
    """Discord has no clipboard for bots; the words stand in the message anyway."""
    return tuple(one for one in row if one.data or (one.url and len(one.url) <= URL))


def _once(rows: Iterable[tuple[RenderedButton, ...]]) -> list[tuple[RenderedButton, ...]]:
    """Two buttons of a message must not say the same."""
    seen: set[str] = set()
    kept = []
    for row in rows:
        fresh = []
        for one in row:
            if not one.data or one.data not in seen:
                fresh.append(one)
            seen.add(one.data)
        kept += [tuple(fresh[at : at + ROW]) for at in range(0, len(fresh), ROW)]
    return kept


Rows = list[tuple[RenderedButton, ...]]


def _fitting(rows: Rows, most: int) -> list[Component]:
    """As they are; else those that do the same as menus; else all of them."""
    for lay in (_buttons, _same_as_menus, _all_as_menus):
        found = lay(rows)
        if sum(len(one["components"]) + 1 for one in found) <= most:
            break
    return found


def _buttons(rows: Rows) -> list[Component]:
    return [_row(_button(one) for one in row) for row in rows]


def _same_as_menus(rows: Rows) -> list[Component]:
    found: list[Component] = []
    for verb, some in groupby(rows, key=_verb):
        same = list(some)
        together = [one for row in same for one in row]
        found += _menus(together, len(found)) if verb and len(together) > ROW else _buttons(same)
    return found


def _all_as_menus(rows: Rows) -> list[Component]:
    every = [one for row in rows for one in row]
    links = [one for one in every if one.url]
    lined = [tuple(links[at : at + ROW]) for at in range(0, len(links), ROW)]
    return _menus([one for one in every if not one.url], 0) + _buttons(lined)


def _verb(row: tuple[RenderedButton, ...]) -> str:
    """What all buttons of the row do; empty where they differ."""
    verbs = {parts[0] if (parts := parse_data(one.data)) else "" for one in row}
    return verbs.pop() if len(verbs) == 1 else ""


def _menus(buttons: list[RenderedButton], number: int) -> list[Component]:
    found = []
    for at in range(0, len(buttons), MENU):
        some = buttons[at : at + MENU]
        menu = {
            "type": SELECT,
            "custom_id": f"{PICK}::{number + at}",
            "placeholder": f"{some[0].label} {ELLIPSIS} {some[-1].label}"[:150],
            "options": [{"label": one.label[:LABEL], "value": one.data} for one in some],
        }
        found.append(_row([menu]))
    return found


def _row(inside: Iterable[Component]) -> Component:
    return {"type": ROWS, "components": list(inside)}


def _button(button: RenderedButton) -> Component:
    shown: Component = {"type": BUTTON, "label": button.label[:LABEL]}
    if button.url:
        return {**shown, "style": LINK, "url": button.url}
    return {**shown, "style": RED if button.danger else GREY, "custom_id": button.data}


def sent_once(body: Component, name: str) -> Component:
    """A new message that is one for some minutes, however often it is sent under this name."""
    nonce = hashlib.sha256(name.encode()).hexdigest()[:NONCE]
    return {**body, "nonce": nonce, "enforce_nonce": True}


def body_of(
    message: Message, *, typed: bool = False, veiled: bool = False
) -> tuple[Component, tuple[OutFile, ...]]:
    files = tuple(one for one in (message.picture, message.file) if one is not None)
    body: Component = {
        "flags": LAYOUT,
        "components": components(message, typed=typed, veiled=veiled),
        "allowed_mentions": {"parse": []},
        "attachments": [{"id": number, "filename": one.name} for number, one in enumerate(files)],
    }
    return body, files
