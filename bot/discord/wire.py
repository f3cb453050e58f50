"""Calls of Discord's REST API through the library, which waits out rate limits bucket by bucket."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import discord
from discord.http import HTTPClient, Route

from bot.frontend import OutFile

Raw = dict[str, Any]

CREATE = ("POST", "/channels/{channel_id}/messages")
CHANGE = ("PATCH", "/channels/{channel_id}/messages/{message_id}")
DELETE = ("DELETE", "/channels/{channel_id}/messages/{message_id}")
OPEN_DM = ("POST", "/users/@me/channels")
OPEN_THREAD = ("POST", "/channels/{channel_id}/threads")
JOIN_THREAD = ("PUT", "/channels/{channel_id}/thread-members/{user_id}")
ACKNOWLEDGE = ("POST", "/interactions/{webhook_id}/{webhook_token}/callback")
FOLLOW_UP = ("POST", "/webhooks/{webhook_id}/{webhook_token}")
CHANGE_ANSWER = ("PATCH", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}")
DELETE_ANSWER = ("DELETE", "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}")
MEMBER = ("GET", "/guilds/{guild_id}/members/{user_id}")
REGISTER = ("PUT", "/applications/{application_id}/commands")

ORIGINAL = "@original"


class Wire:
    """Calls wait until the bot is logged in."""

    def __init__(self) -> None:
        self._client: discord.Client | None = None
        self._ready = asyncio.Event()

    def use(self, client: discord.Client) -> None:
        self._client = client
        self._ready.set()

    def stop(self) -> None:
        self._ready.clear()

    async def application_id(self) -> int:
        return (await self.connected()).application_id or 0

    def allows_adults(self, channel: int) -> bool | None:
        """Whether a server's channel, or the one that a thread hangs on, is for adults only; None
        where that cannot be told, as in direct messages.
        """
        known = self._client.get_channel(channel) if self._client else None
        if isinstance(known, discord.TextChannel | discord.Thread):
            return known.is_nsfw()
        return None

    def guild_of(self, channel: int) -> int:
        """The server of a channel that the bot sees; 0: it does not."""
        known = self._client.get_channel(channel) if self._client else None
        return known.guild.id if isinstance(known, discord.abc.GuildChannel) else 0

    async def call(
        self,
        what: tuple[str, str],
        ids: Mapping[str, Any],
        body: object = None,
        files: Sequence[OutFile] = (),
    ) -> Any:
        """Raises what the library raises; see `errors.explain`."""
        client = await self.connected()
        try:
            return await _request(client.http, Route(*what, **ids), body, files)
        except RuntimeError as error:
            if not client.is_closed():
                raise
            raise ConnectionAbortedError("the connection was closed meanwhile") from error

    async def connected(self) -> discord.Client:
        await self._ready.wait()
        assert self._client is not None  # noqa: S101  `use` sets both
        return self._client


async def _request(http: HTTPClient, route: Route, body: object, files: Sequence[OutFile]) -> Any:
    if not files:
        return await (http.request(route) if body is None else http.request(route, json=body))
    with ExitStack() as stack:
        opened = [discord.File(one.path, filename=one.name) for one in files]
        for one in opened:
            stack.callback(one.close)
        return await http.request(route, form=_form(body, opened), files=opened)


def _form(body: object, files: list[discord.File]) -> list[Raw]:
    parts: list[Raw] = [{"name": "payload_json", "value": json.dumps(body)}]
    for number, one in enumerate(files):
        parts.append(
            {
                "name": f"files[{number}]",
                "value": one.fp,
                "filename": one.filename,
                "content_type": "application/octet-stream",
            }
        )
    return parts
