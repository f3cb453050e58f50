"""The commands that Discord offers, in each language: those of the help texts. Pure."""

from typing import Any

from bot.discord.updates import ADMIN_GROUP
from bot.texts.catalog import DEFAULT, Catalog, languages

SLASH, MESSAGE = 1, 3
SUBCOMMAND, WORDS = 1, 3
MANAGE_SERVER = str(1 << 5)
INSTALLS = (0, 1)  # in servers, and by people for themselves
PLACES = (0, 1)  # in servers, and in direct messages with the bot
MOST_WORDS = 100  # characters of a description
MOST_NAME = 32

# What stands in no list of the help, by its own text.
OWN = {"start": "menu.start", "help": "menu.help"}
# What may follow a command: a model's name is suggested, other words are free.
NAMED = frozenset({"models"})
WORDED = frozenset(
    {
        *("start", "pause", "allow", "ban", "unban", "limit", "invite", "log", "announce"),
        *("admin", "unadmin", "audit"),
    }
)
# Discord's names of languages that differ from ours.
LOCALES = {"en": "en-US", "zh": "zh-CN"}

Raw = dict[str, Any]


def menu() -> list[Raw]:
    """All commands, as they are registered in one call. Who is an admin is decided when one is
    used; that `/lora` is hidden from others only keeps menus short.
    """
    catalog = Catalog.load(DEFAULT)
    everybody = [_common({"type": SLASH, **_command(name)}) for name in _listed(DEFAULT)]
    photos = _common({"type": MESSAGE, **_named("menu.add_photos")})
    admins = ["queue", *_help(DEFAULT, "help.admin")]
    group = {
        "type": SLASH,
        "name": ADMIN_GROUP,
        "description": catalog.text("menu.admin"),
        "default_member_permissions": MANAGE_SERVER,
        "options": [{"type": SUBCOMMAND, **_command(name)} for name in admins],
    }
    return [*everybody, photos, _common(group)]


def _common(command: Raw) -> Raw:
    return {**command, "integration_types": list(INSTALLS), "contexts": list(PLACES)}


def _command(name: str) -> Raw:
    words = {one: _listed(one) | _help(one, "help.admin") for one in languages()}
    command: Raw = {"name": name, "description": words[DEFAULT][name][:MOST_WORDS]}
    others = {
        _locale(one): known[name][:MOST_WORDS]
        for one, known in words.items()
        if one != DEFAULT and name in known
    }
    if others:
        command["description_localizations"] = others
    if name in NAMED:
        command["options"] = [{**_option("name", "form.name"), "autocomplete": True}]
    elif name in WORDED:
        command["options"] = [_option("words", "menu.words")]
    return command


def _option(name: str, key: str) -> Raw:
    hint = Catalog.load(DEFAULT).text(key)[:MOST_WORDS]
    return {"type": WORDS, "name": name, "description": hint, "required": False}


def _named(key: str) -> Raw:
    words = {one: Catalog.load(one).text(key)[:MOST_NAME] for one in languages()}
    others = {_locale(one): text for one, text in words.items() if one != DEFAULT}
    named: Raw = {"name": words[DEFAULT]}
    return {**named, "name_localizations": others} if others else named


def _listed(language: str) -> dict[str, str]:
    catalog = Catalog.load(language)
    return _help(language, "help.text") | {name: catalog.text(key) for name, key in OWN.items()}


def _help(language: str, key: str) -> dict[str, str]:
    """Commands and what they do, from a text that people read."""
    lines = Catalog.load(language).text(key).splitlines()
    parts = [line.removeprefix("/").partition(" – ") for line in lines if line.startswith("/")]
    return {name: words for name, _, words in parts}


def _locale(language: str) -> str:
    return LOCALES.get(language, language.replace("_", "-"))
