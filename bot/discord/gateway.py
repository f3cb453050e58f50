"""The connection to Discord: the library's, with as little asked for as the bot can live with."""

import logging
import sys
from typing import Protocol
from urllib.parse import urlsplit

import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

log = logging.getLogger(__name__)

API_URL = "https://discord.com/api/v10"
VERSION = "/api/v10"
PATIENCE_S = 30.0  # longer pauses that Discord asks for are told to us instead of waited out


class Listener(Protocol):
    async def ready(self, client: discord.Client) -> None:
        """Logged in; nothing has been heard yet."""

    async def interaction(self, interaction: discord.Interaction) -> None: ...

    async def message(self, message: discord.Message) -> None: ...


class Gateway(discord.Client):
    """Asks for no privileged intent: direct messages come with their words and files without."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True, dm_messages=True),
            allowed_mentions=discord.AllowedMentions.none(),
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            max_ratelimit_timeout=PATIENCE_S,
        )
        self._listener = listener

    async def setup_hook(self) -> None:
        _, url, _ = await self.http.get_bot_gateway()
        # The library would go to the true Discord, whatever the API's address is.
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(url)
        await self._listener.ready(self)

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        await self._listener.interaction(interaction)

    async def on_message(self, message: discord.Message) -> None:
        await self._listener.message(message)

    async def on_resumed(self) -> None:
        log.info("Discord: the connection is back, nothing was missed")

    async def on_error(self, event_method: str, /, *_: object, **__: object) -> None:
        """What was kept stays, for the next start."""
        kind = sys.exc_info()[0]
        log.error("Discord: %s not handled (%s)", event_method, kind.__name__ if kind else "?")


def base_of(api_url: str) -> str:
    """An address without a version gets ours."""
    url = api_url.rstrip("/")
    if urlsplit(url).path in ("", "/api"):
        return url.removesuffix("/api") + VERSION
    return url


def speak_to(api_url: str) -> None:
    """Every call of this process goes there."""
    Route.BASE = base_of(api_url)
