"""What may stand in a message, a form and a command, by the component reference."""

import re
from collections.abc import Iterator
from typing import Any

from tests.discord_api.refusals import EMPTY, RefusedError, invalid

Json = dict[str, Any]

EPHEMERAL, SILENT, LAYOUT = 1 << 6, 1 << 12, 1 << 15
ROW, BUTTON, SELECT, INPUT = 1, 2, 3, 4
SECTION, WORDS, THUMBNAIL, GALLERY, FILE, SEPARATOR, CONTAINER = 9, 10, 11, 12, 13, 14, 17
LABEL, UPLOAD, RADIO, TICKS, TICK = 18, 19, 21, 22, 23
SELECTS = range(5, 9)
AT_TOP = {ROW, SECTION, WORDS, GALLERY, FILE, SEPARATOR, CONTAINER}
IN_LABEL = {INPUT, SELECT, *SELECTS, UPLOAD, RADIO, TICKS, TICK}
MOST_COMPONENTS, MOST_TEXT, MOST_PLAIN, MOST_ID = 40, 4000, 2000, 100
COMMAND_NAME = re.compile(r"[-_'\w]{1,32}")


def walk(parts: list[Json]) -> Iterator[Json]:
    for part in parts:
        yield part
        yield from walk(part.get("components", []))
        for key in ("accessory", "component"):
            if key in part:
                yield from walk([part[key]])


def message(body: Json, uploads: set[str], *, layout: bool) -> None:
    """``uploads`` are the names that come with it; ``layout``: its flag was set before."""
    layout = layout or bool(body.get("flags", 0) & LAYOUT)
    parts = body.get("components") or []
    if body.get("allowed_mentions", {}).get("parse") != []:
        raise AssertionError("the bot could call everybody")
    if not layout:
        if not (body.get("content") or parts or uploads or body.get("embeds")):
            raise RefusedError(EMPTY)
        _most(len(body.get("content") or ""), MOST_PLAIN, "content")
        _rows(parts)
        return
    if body.get("content") or body.get("embeds") or body.get("sticker_ids"):
        raise invalid("content", "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", "layout")
    if not parts:
        raise RefusedError(EMPTY)
    for part in parts:
        if part["type"] not in AT_TOP:
            raise invalid("components", "UNION_TYPE_CHOICES", f"{part['type']} at the top")
    every = list(walk(parts))
    _most(len(every), MOST_COMPONENTS, "components")
    _most(sum(len(one["content"]) for one in every if one["type"] == WORDS), MOST_TEXT, "content")
    _rows([one for one in every if one["type"] == ROW])
    _texts(every)
    _files(every, uploads)
    _different([one["custom_id"] for one in every if "custom_id" in one])


def _texts(every: list[Json]) -> None:
    for one in every:
        if one["type"] == WORDS and not one["content"].strip():
            raise invalid("content", "BASE_TYPE_BAD_LENGTH", "1 to 4000")


def _files(every: list[Json], uploads: set[str]) -> None:
    named = [one["file"]["url"] for one in every if one["type"] == FILE]
    for one in every:
        if one["type"] == GALLERY:
            if not 1 <= len(one["items"]) <= 10:
                raise invalid("items", "BASE_TYPE_BAD_LENGTH", "1 to 10")
            named += [item["media"]["url"] for item in one["items"]]
    for url in named:
        name = url.removeprefix("attachment://")
        if name != url and name not in uploads:
            raise invalid("url", "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND", name)
    shown = {url.removeprefix("attachment://") for url in named}
    if uploads - shown:
        raise AssertionError("a file that no component shows is invisible")


def _rows(rows: list[Json]) -> None:
    for row in rows:
        inside = row["components"]
        buttons = [one for one in inside if one["type"] == BUTTON]
        if not inside or (buttons and len(buttons) != len(inside)) or len(buttons) > 5:
            raise invalid("components", "BASE_TYPE_BAD_LENGTH", "1 to 5 buttons, or a menu")
        for one in buttons:
            _button(one)
        for one in inside:
            if one["type"] == SELECT:
                _select(one)


def _button(one: Json) -> None:
    _most(len(one.get("label", "")), 80, "label")
    if not one.get("label") and not one.get("emoji"):
        raise invalid("label", "BUTTON_COMPONENT_INVALID", "a label or an emoji")
    if one["style"] == 5:
        if "custom_id" in one or not one.get("url", "").startswith(
            ("http://", "https://", "discord://")
        ):
            raise invalid("url", "URL_TYPE_INVALID_SCHEME", "http, https, discord")
        _most(len(one["url"]), 512, "url")
    else:
        _id(one)


def _select(one: Json) -> None:
    _id(one)
    options = one["options"]
    if not 1 <= len(options) <= 25:
        raise invalid("options", "BASE_TYPE_BAD_LENGTH", "1 to 25")
    for option in options:
        for key in ("label", "value"):
            if not 1 <= len(option[key]) <= 100:
                raise invalid(key, "BASE_TYPE_BAD_LENGTH", "1 to 100")
    _most(len(one.get("placeholder", "")), 150, "placeholder")
    _different([option["value"] for option in options])


def form(data: Json) -> None:
    _most(len(data["title"]), 45, "title")
    _id(data)
    parts = data["components"]
    if not 1 <= len(parts) <= 5:
        raise invalid("components", "BASE_TYPE_BAD_LENGTH", "1 to 5")
    for part in parts:
        if part["type"] not in {LABEL, WORDS}:
            raise invalid("components", "UNION_TYPE_CHOICES", "a label or words")
        if part["type"] == LABEL:
            _label(part)
    _different([part["component"]["custom_id"] for part in parts if part["type"] == LABEL])


def _label(part: Json) -> None:
    if not 1 <= len(part["label"]) <= 45:
        raise invalid("label", "BASE_TYPE_BAD_LENGTH", "1 to 45")
    _most(len(part.get("description", "")), 100, "description")
    field = part["component"]
    _id(field)
    if field["type"] not in IN_LABEL:
        raise invalid("component", "UNION_TYPE_CHOICES", str(field["type"]))
    if field["type"] == SELECT:
        _select(field)
    if field["type"] == RADIO and not 2 <= len(field["options"]) <= 10:
        raise invalid("options", "BASE_TYPE_BAD_LENGTH", "2 to 10")
    if (
        field["type"] == UPLOAD
        and not 0 <= field.get("min_values", 1) <= field.get("max_values", 1) <= 10
    ):
        raise invalid("max_values", "NUMBER_TYPE_MAX", "0 to 10")
    if field["type"] == INPUT:
        _most(field.get("max_length", 4000), 4000, "max_length")
        _most(len(field.get("placeholder", "")), 100, "placeholder")
        _most(len(field.get("value", "")), field.get("max_length", 4000), "value")


def commands(every: list[Json]) -> None:
    for one in every:
        if one.get("type", 1) == 1:
            _command(one)
        elif not 1 <= len(one["name"]) <= 32 or one.get("description"):
            raise invalid("name", "APPLICATION_COMMAND_INVALID_NAME", one["name"])
    _different([f"{one.get('type', 1)} {one['name']}" for one in every])


def _command(one: Json) -> None:
    if not COMMAND_NAME.fullmatch(one["name"]) or one["name"] != one["name"].lower():
        raise invalid("name", "APPLICATION_COMMAND_INVALID_NAME", one["name"])
    if not 1 <= len(one["description"]) <= 100:
        raise invalid("description", "BASE_TYPE_BAD_LENGTH", "1 to 100")
    _most(len(one.get("options", [])), 25, "options")
    for option in one.get("options", []):
        _command(option)


def _id(one: Json) -> None:
    if not 1 <= len(one.get("custom_id", "")) <= MOST_ID:
        raise invalid("custom_id", "BASE_TYPE_BAD_LENGTH", "1 to 100")


def _most(count: int, most: int, where: str) -> None:
    if count > most:
        raise invalid(where, "BASE_TYPE_MAX_LENGTH", f"{count} is above {most}")


def _different(values: list[str]) -> None:
    if len(set(values)) != len(values):
        raise invalid("components", "COMPONENT_CUSTOM_ID_DUPLICATED", "twice the same")
