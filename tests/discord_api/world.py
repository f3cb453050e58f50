"""Servers, channels, direct messages, and all that stands in them."""

import asyncio
import itertools
import time
from dataclasses import dataclass, field
from typing import Any

from tests.discord_api import refusals
from tests.discord_api.refusals import RefusedError
from tests.discord_api.shown import Shown

Json = dict[str, Any]

EPOCH_MS = 1_420_070_400_000
TEXT, DM, PRIVATE_THREAD = 0, 1, 12
NONCE_S = 180.0  # "the past few minutes"
HOUR_S = 3600.0


@dataclass
class Channel:
    """``members`` of a direct message or a private thread; everybody sees the others."""

    number: int
    kind: int
    guild: int = 0
    parent: int = 0
    members: set[int] = field(default_factory=set)
    nsfw: bool = False
    threads_allowed: bool = True
    gallery: bool = False
    writable: bool = True
    nonces: dict[str, Shown] = field(default_factory=dict)

    def raw(self) -> Json:
        common = {"id": str(self.number), "type": self.kind, "flags": 0, "last_message_id": None}
        if self.kind == DM:
            return {**common, "recipients": [], "name": None}
        place = {**common, "guild_id": str(self.guild), "name": "here", "nsfw": self.nsfw}
        place |= {"position": 0, "permission_overwrites": [], "parent_id": None}
        place |= {"permissions": str((1 << 53) - 1), "topic": None, "rate_limit_per_user": 0}
        if self.kind == PRIVATE_THREAD:
            meta: Json = {"archived": False, "auto_archive_duration": 10080, "locked": False}
            meta["archive_timestamp"] = "2026-01-01T00:00:00.000000+00:00"
            place |= {"parent_id": str(self.parent), "owner_id": "1", "thread_metadata": meta}
            place |= {"message_count": 0, "member_count": len(self.members)}
        return place


class World:
    """``now`` is its clock in epoch seconds, ahead of ours by ``ahead_s``; ``closed`` are people
    who take no direct messages, ``strangers`` no members of the server. ``out_file_bytes`` is what
    one upload may hold.
    """

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self.channels: dict[int, Channel] = {}
        self.messages: dict[int, Shown] = {}
        self.users: dict[int, Json] = {}
        self.closed: set[int] = set()
        self.strangers: set[int] = set()
        self.out_file_bytes = 10 * 1024 * 1024
        self.bot: Json = {}
        self.changed = asyncio.Condition()
        self._count = itertools.count()

    def now(self) -> float:
        return time.time() + self.ahead_s

    def snowflake(self) -> int:
        milliseconds = int(self.now() * 1000) - EPOCH_MS
        return (milliseconds << 22) | (next(self._count) & 0xFFF)

    def user(self, name: str) -> Json:
        raw: Json = {
            "id": str(self.snowflake()),
            "username": name.lower(),
            "global_name": name,
            "discriminator": "0",
            "avatar": None,
        }
        self.users[int(raw["id"])] = raw
        return raw

    def open(self, kind: int, **more: Any) -> Channel:
        channel = Channel(self.snowflake(), kind, **more)
        self.channels[channel.number] = channel
        return channel

    def dm(self, user: int) -> Channel:
        if user not in self.users:
            raise RefusedError(refusals.UNKNOWN_USER)
        for one in self.channels.values():
            if one.kind == DM and user in one.members:
                return one
        return self.open(DM, members={user})

    def channel(self, number: int) -> Channel:
        if number not in self.channels:
            raise RefusedError(refusals.UNKNOWN_CHANNEL)
        return self.channels[number]

    def thread(self, parent: int, body: Json) -> Channel:
        door = self.channel(parent)
        if door.kind != TEXT or not door.threads_allowed:
            raise RefusedError(refusals.NO_PERMISSION)
        assert body["type"] == PRIVATE_THREAD
        assert 1 <= len(body["name"]) <= 100
        return self.open(PRIVATE_THREAD, guild=door.guild, parent=parent)

    async def post(self, number: int, body: Json, files: dict[str, bytes]) -> Shown:
        """The bot writes."""
        channel = self.channel(number)
        if channel.kind == DM and channel.members & self.closed:
            raise RefusedError(refusals.DM_CLOSED)
        if channel.kind == TEXT:
            assert channel.gallery, "the bot writes into a public channel"
            if not channel.writable:
                raise RefusedError(refusals.NO_PERMISSION)
        nonce = str(body.get("nonce", ""))
        assert len(nonce) <= 25
        before = channel.nonces.get(nonce)
        recent = before is not None and self.now() - before.created < NONCE_S
        if nonce and body.get("enforce_nonce") and before is not None and recent:
            return before
        shown = await self.add(number, self.bot, body, files)
        if nonce:
            channel.nonces[nonce] = shown
        return shown

    async def add(
        self, channel: int, author: Json, body: Json, files: dict[str, bytes], only_for: int = 0
    ) -> Shown:
        shown = Shown(self.snowflake(), channel, author, self.now(), only_for=only_for)
        self.messages[shown.number] = shown
        await self.write(shown, body, files)
        return shown

    async def write(self, shown: Shown, body: Json, files: dict[str, bytes]) -> None:
        async with self.changed:
            kept = shown.flags
            shown.body = {**shown.body, **body}
            shown.body["flags"] = kept | body.get("flags", 0)
            if "attachments" in body or files:
                shown.files = files
            shown.thinking = False
            self.changed.notify_all()

    async def edit(self, number: int, message: int, body: Json, files: dict[str, bytes]) -> Shown:
        shown = self.lasting(number, message)
        if shown.author != self.bot:
            raise RefusedError(refusals.NOT_THE_AUTHOR)
        if self.now() - shown.created > HOUR_S and shown.edits >= 3:
            raise RefusedError(refusals.OLD_EDITS)
        shown.edits += 1
        await self.write(shown, body, files)
        return shown

    def lasting(self, number: int, message: int) -> Shown:
        """Ephemeral messages are not found in their channel."""
        self.channel(number)
        shown = self.messages.get(message)
        if shown is None or shown.gone or shown.channel != number or shown.only_for:
            raise RefusedError(refusals.UNKNOWN_MESSAGE)
        return shown

    async def remove(self, shown: Shown) -> None:
        async with self.changed:
            shown.gone = True
            self.changed.notify_all()

    def sees(self, user: int) -> list[Shown]:
        """What stands before this person, oldest first."""
        mine = {one.number for one in self.channels.values() if user in one.members}
        return [
            one
            for one in self.messages.values()
            if not one.gone and (one.only_for == user or (one.channel in mine and not one.only_for))
        ]

    def hangs(self, channel: Channel) -> list[Shown]:
        """What everybody sees there."""
        found = [one for one in self.messages.values() if one.channel == channel.number]
        return [one for one in found if not one.gone and not one.only_for]

    def server(self, *channels: Channel) -> Json:
        """As the gateway tells the bot about it."""
        town = channels[0]
        lists = ("roles", "threads", "members", "emojis", "features", "stickers", "voice_states")
        levels = ["mfa_level", "verification_level", "explicit_content_filter", "nsfw_level"]
        levels += ["default_message_notifications", "afk_timeout", "system_channel_flags"]
        return {
            **{name: [] for name in (*lists, "presences")},
            **dict.fromkeys([*levels, "premium_tier"], 0),
            "id": str(town.guild),
            "name": "Town",
            "icon": None,
            "owner_id": "1",
            "channels": [one.raw() for one in channels],
            "member_count": 2,
            "preferred_locale": "en-US",
            "large": False,
            "unavailable": False,
            "joined_at": "2026-01-01T00:00:00.000000+00:00",
        }
