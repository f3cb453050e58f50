"""Forms (Discord's modals) as the library's network takes them. Pure."""

from collections.abc import Sequence
from typing import Any

from bot.screens import KINDS
from bot.texts.catalog import Catalog
from storage.bases import Base

# Component types.
LABEL, INPUT, SELECT, UPLOAD, RADIO, TICK = 18, 4, 3, 19, 21, 23
SHORT, LONG = 1, 2
TITLE = 45  # characters of titles and labels
HINT = 100
MENU = 25  # options
PHOTOS = 10  # files in one form
WORDS = 1000  # characters; a caption is the longest answer

Part = dict[str, Any]


def train(catalog: Catalog, bases: Sequence[Base], name: str = "") -> Part:
    """All questions at once. ``name`` is the answer that was given with the command."""
    installed = [base for base in bases if base.installed][:MENU]
    options = [
        {"label": base.title[:HINT], "value": base.id, "default": number == 0}
        for number, base in enumerate(installed)
    ]
    kinds = [{"label": catalog.text(f"kind.{one}"), "value": one} for one in KINDS]
    text = {"type": INPUT, "style": SHORT, "min_length": 2, "max_length": 32}
    parts = [
        _label(
            catalog,
            "name",
            {**text, "custom_id": "name", "placeholder": "mochi", "value": name, "required": True},
        ),
        _label(
            catalog,
            "kind",
            {"type": RADIO, "custom_id": "kind", "options": kinds, "required": True},
        ),
        _label(
            catalog,
            "base",
            {"type": SELECT, "custom_id": "base", "options": options, "required": True},
        ),
        _label(catalog, "photos", _photos(least=0)),
        _label(catalog, "agree", {"type": TICK, "custom_id": "agree", "default": False}),
    ]
    return _form("train::", catalog, parts)


def photos(catalog: Catalog, draft: str) -> Part:
    return _form(f"photos:{draft}:", catalog, [_label(catalog, "photos", _photos(least=1))])


def words(catalog: Catalog, draft: str) -> Part:
    text = {"type": INPUT, "custom_id": "words", "style": LONG, "required": True}
    label = _label(catalog, "answer", {**text, "max_length": WORDS})
    return _form(f"words:{draft}:", catalog, [label])


def _photos(*, least: int) -> Part:
    return {
        "type": UPLOAD,
        "custom_id": "photos",
        "min_values": least,
        "max_values": PHOTOS,
        "required": least > 0,
    }


LABELS = {
    "name": ("form.name", "form.name_hint"),
    "kind": ("form.kind", ""),
    "base": ("form.base", "form.base_hint"),
    "photos": ("form.photos", "form.photos_hint"),
    "agree": ("form.agree", "form.agree_hint"),
    "answer": ("form.answer", ""),
}


def _label(catalog: Catalog, what: str, component: Part) -> Part:
    label, hint = LABELS[what]
    shown: Part = {"type": LABEL, "label": catalog.text(label)[:TITLE], "component": component}
    return {**shown, "description": catalog.text(hint)[:HINT]} if hint else shown


def _form(name: str, catalog: Catalog, parts: list[Part]) -> Part:
    title = catalog.text("form.title")[:TITLE]
    return {"custom_id": name, "title": title, "components": parts}
