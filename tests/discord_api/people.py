"""People who use the bot: what they type, fill in, press and send, and what they see."""

import asyncio
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tests.discord_api import checks
from tests.discord_api.interactions import COMMAND, COMPONENT, SUBMIT, SUGGEST, Interaction
from tests.discord_api.shown import Shown
from tests.discord_api.world import DM, Channel
from tests.drawn import photos
from tests.patience import PATIENCE_S

if TYPE_CHECKING:
    from tests.discord_api.server import DiscordApi

Json = dict[str, Any]

_files = itertools.count(1)


class Member:
    """A person, in the server's channel unless an act says ``private``."""

    def __init__(self, api: "DiscordApi", raw: Json, language: str) -> None:
        self.api = api
        self.raw = raw
        self.language = language
        self.number = int(raw["id"])
        self.town = api.town
        self.failed = 0  # interactions that the bot did not acknowledge in time

    @property
    def name(self) -> str:
        """As the bot's core calls this chat and this person."""
        return f"dc:{self.number}"

    @property
    def dm(self) -> Channel:
        return self.api.world.dm(self.number)

    @property
    def sees(self) -> list[Shown]:
        """What the bot has written and still stands there."""
        return [one for one in self.api.world.sees(self.number) if one.from_bot]

    # --- direct messages -------------------------------------------------------------------------

    async def says(self, text: str, attachments: Sequence[Json] = ()) -> Json:
        shown = await self.api.world.add(self.dm.number, self.raw, {"content": text}, {})
        shown.attachments = list(attachments)
        raw = shown.raw()
        await self.api.gateway.tell("MESSAGE_CREATE", raw)
        return raw

    async def sends_photos(self, pictures: int | Sequence[bytes]) -> Json:
        """One message: Discord has no albums, and takes ten files in each."""
        files = photos(pictures) if isinstance(pictures, int) else pictures
        return await self.says("", [self.upload(one) for one in files])

    def upload(
        self, data: bytes, name: str = "", kind: str = "image/png", size: int | None = None
    ) -> Json:
        """A file on Discord's side, as an attachment names it."""
        number = self.api.world.snowflake()
        stored = f"{number}-{next(_files)}"
        self.api.cdn[stored] = data
        address = self.api.url.removesuffix("/api/v10")
        return {
            "id": str(number),
            "filename": name or "IMG_0001.png",
            "size": len(data) if size is None else size,
            "url": f"{address}/cdn/{stored}?ex=1&is=2&hm=3",
            "proxy_url": f"{address}/cdn/{stored}",
            "content_type": kind,
            "ephemeral": False,
        }

    # --- interactions ----------------------------------------------------------------------------

    async def types(
        self, command: str, argument: str = "", *, private: bool = False
    ) -> Interaction:
        """A slash command: ``models mochi``, ``lora queue``."""
        return await self._interact(COMMAND, self._command(command, argument), private=private)

    async def suggests(self, command: str, typed: str) -> list[str]:
        begun = await self._interact(SUGGEST, self._command(command, typed, focused=True))
        return begun.choices

    def _command(self, words: str, argument: str, *, focused: bool = False) -> Json:
        name, _, sub = words.partition(" ")
        known = {one["name"]: one for one in self.api.commands if one.get("type", 1) == 1}
        assert name in known, f"/{name} is not registered"
        data: Json = {"id": "1", "name": name, "type": 1}
        asked, place = known[name], data
        if sub:
            asked = next(one for one in known[name]["options"] if one["name"] == sub)
            place = {"name": sub, "type": 1}
            data["options"] = [place]
        if argument or focused:
            option = {"name": asked["options"][0]["name"], "type": 3, "value": argument}
            place["options"] = [{**option, "focused": True} if focused else option]
        return data

    async def adds_from(self, author: int, attachments: Sequence[Json]) -> Interaction:
        """The menu of a message in the server, by its author's number."""
        message: Json = {"id": str(self.api.world.snowflake()), "author": {"id": str(author)}}
        message["attachments"] = list(attachments)
        menu = next(one for one in self.api.commands if one.get("type") == 3)
        resolved = {"messages": {message["id"]: message}}
        data = {"id": "2", "name": menu["name"], "type": 3, "target_id": message["id"]}
        return await self._interact(COMMAND, {**data, "resolved": resolved})

    async def presses(self, label: str, on: Shown | None = None) -> Interaction:
        """The newest button of this name, or the one on this message."""
        stands = [on] if on else [one for one in reversed(self.sees) if label in one.labels]
        assert stands, (label, [one.labels for one in self.sees])
        shown = stands[0]
        button = next(one for one in shown.buttons if one["label"] == label)
        data = {"custom_id": button["custom_id"], "component_type": 2, "id": 1}
        return await self._interact(COMPONENT, data, pressed=shown)

    async def picks(self, label: str) -> Interaction:
        for shown in reversed(self.sees):
            for menu in shown.menus:
                for option in menu["options"]:
                    if option["label"] == label:
                        data = {"custom_id": menu["custom_id"], "component_type": 3, "id": 1}
                        data["values"] = [option["value"]]
                        return await self._interact(COMPONENT, data, pressed=shown)
        raise AssertionError((label, [one.menus for one in self.sees]))

    async def fills(self, opened: Interaction, **answers: Any) -> Interaction:
        """Submit the form; files are attachments of `upload`, or photos' bytes."""
        assert opened.form, f"no form came, but {opened.answer}"
        attachments: dict[str, Json] = {}
        parts = []
        for label in opened.form["components"]:
            field = label["component"]
            given = answers.pop(field["custom_id"], None)
            parts.append(
                {"type": 18, "id": 1, "component": self._filled(field, given, attachments)}
            )
        assert not answers, f"the form does not ask for {list(answers)}"
        data = {"custom_id": opened.form["custom_id"], "components": parts}
        data["resolved"] = {"attachments": attachments} if attachments else {}
        private = opened.channel.kind == DM
        return await self._interact(SUBMIT, data, pressed=opened.pressed, private=private)

    def _filled(self, field: Json, given: Any, attachments: dict[str, Json]) -> Json:
        filled = {"type": field["type"], "custom_id": field["custom_id"], "id": 1}
        if field["type"] == checks.UPLOAD:
            files = [one if isinstance(one, dict) else self.upload(one) for one in given or []]
            assert field["min_values"] <= len(files) <= field["max_values"]
            attachments.update({one["id"]: one for one in files})
            return {**filled, "values": [one["id"] for one in files]}
        if field["type"] == checks.SELECT:
            chosen = [one["value"] for one in field["options"] if one.get("default")]
            return {**filled, "values": [given] if given else chosen}
        if field["type"] == checks.TICK:
            return {**filled, "value": bool(given)}
        assert given or not field.get("required", True), f"{field['custom_id']} has to be answered"
        return {**filled, "value": given}

    async def _interact(
        self, kind: int, data: Json, *, pressed: Shown | None = None, private: bool = False
    ) -> Interaction:
        channel = self.dm if private else self.town
        if pressed is not None:
            channel = self.api.world.channel(pressed.channel)
        begun = self.api.interactions.begin(kind, self.number, channel, pressed)
        await self.api.gateway.tell("INTERACTION_CREATE", self._raw(begun, data))
        if not await begun.acknowledged():
            self.failed += 1
        return begun

    def _raw(self, begun: Interaction, data: Json) -> Json:
        raw: Json = {
            "id": str(begun.number),
            "application_id": self.api.world.bot["id"],
            "type": begun.kind,
            "data": data,
            "channel": begun.channel.raw(),
            "channel_id": str(begun.channel.number),
            "token": begun.token,
            "version": 1,
            "app_permissions": "0",
            "locale": self.language,
            "entitlements": [],
            "attachment_size_limit": self.api.world.out_file_bytes,
        }
        if begun.pressed is not None:
            raw["message"] = begun.pressed.raw()
        if begun.channel.kind == DM:
            owners = {"0": "0"}
            return {**raw, "user": self.raw, "context": 1, "authorizing_integration_owners": owners}
        guild = str(begun.channel.guild)
        member: Json = {
            "user": self.raw,
            "roles": [],
            "nick": None,
            "avatar": None,
            "flags": 0,
            "joined_at": "2026-01-01T00:00:00.000000+00:00",
            "premium_since": None,
            "deaf": False,
            "mute": False,
            "pending": False,
            "permissions": "0",
        }
        place = {"guild_id": guild, "guild": {"id": guild, "locale": "en-US", "features": []}}
        raw |= {**place, "member": member, "guild_locale": "en-US", "context": 0}
        return {**raw, "authorizing_integration_owners": {"0": guild}}

    # --- seeing ----------------------------------------------------------------------------------

    async def reads(self, words: str, within_s: float = PATIENCE_S) -> Shown:
        """The newest message that says so, as soon as one does."""

        def found() -> list[Shown]:
            return [one for one in self.sees if words in one.text]

        try:
            async with asyncio.timeout(within_s), self.api.world.changed:
                await self.api.world.changed.wait_for(found)
        except TimeoutError:
            raise AssertionError((words, [one.text for one in self.sees])) from None
        return found()[-1]

    async def until(self, look: Any, within_s: float = PATIENCE_S) -> None:
        """Until ``look()`` holds; it is asked whenever something changes on Discord's side."""
        async with asyncio.timeout(within_s), self.api.world.changed:
            await self.api.world.changed.wait_for(look)
