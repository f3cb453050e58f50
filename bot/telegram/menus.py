"""The menus of commands: everybody's, and a longer one in the chats of admins.

Who is an admin stands in the database and may change while the bot runs, so it is looked at again
and again; a menu is only a comfort, and each command asks anew who may say it.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import cache

from sqlalchemy.exc import DBAPIError
from telegram import Bot, BotCommand, BotCommandScopeChat
from telegram.error import TelegramError

from bot.telegram.updates import PLATFORM, chat_id
from bot.texts.catalog import DEFAULT, Catalog, languages
from storage import access_store
from storage.database import Database

log = logging.getLogger(__name__)

LOOK_S = 5.0


@cache
def commands(language: str, key: str = "help.text") -> Mapping[str, str]:
    """Names and what they do, from the help that people read."""
    lines = Catalog.load(language).text(key).splitlines()
    parts = [line.removeprefix("/").partition(" – ") for line in lines if line.startswith("/")]
    return {name: words for name, _, words in parts}


class Menus:
    """``named`` are admins by the settings."""

    def __init__(self, bot: Bot, database: Database, named: Collection[str] = ()) -> None:
        self._bot = bot
        self._database = database
        self._named = frozenset(named)
        self._shown: set[str] = set()

    async def run(self) -> None:
        await self._introduce()
        while True:
            with suppress(DBAPIError):
                await self._look()
            await asyncio.sleep(LOOK_S)

    async def _introduce(self) -> None:
        """Everybody's, in each language. Without it the bot works all the same."""
        with suppress(TelegramError):
            for language in languages():
                menu = [BotCommand(*one) for one in commands(language).items()]
                await self._bot.set_my_commands(menu, language_code=_code(language))

    async def _look(self) -> None:
        async with self._database.read() as tx:
            admins = self._named | await access_store.admins(tx)
        ours = {one for one in admins if one.startswith(f"{PLATFORM}:")}
        for admin in ours - self._shown:
            self._shown.add(admin)
            await self._show(admin)
        for former in self._shown - ours:
            self._shown.remove(former)
            await self._hide(former)

    async def _show(self, admin: str) -> None:
        """A chat that the bot has never met is refused; the menu comes with the next start."""
        scope = BotCommandScopeChat(chat_id(admin))
        try:
            for language in languages():
                every = {**commands(language), **commands(language, "help.admin")}
                menu = [BotCommand(*one) for one in every.items()]
                code = _code(language)
                await self._bot.set_my_commands(menu, scope=scope, language_code=code)
        except TelegramError as error:
            log.info("an admin's menu could not be set (%s)", type(error).__name__)

    async def _hide(self, former: str) -> None:
        scope = BotCommandScopeChat(chat_id(former))
        with suppress(TelegramError):
            for language in languages():
                await self._bot.delete_my_commands(scope=scope, language_code=_code(language))


def _code(language: str) -> str:
    return "" if language == DEFAULT else language.partition("_")[0]
