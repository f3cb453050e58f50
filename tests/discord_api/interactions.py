"""Interactions: three seconds for the first answer, fifteen minutes for all others."""

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Any

from tests.discord_api import checks, refusals
from tests.discord_api.refusals import RefusedError, invalid
from tests.discord_api.shown import Shown
from tests.discord_api.world import DM, Channel, World

Json = dict[str, Any]

COMMAND, COMPONENT, SUGGEST, SUBMIT = 2, 3, 4, 5
SAY, LATER, LATER_HERE, UPDATE, CHOICES, FORM = 4, 5, 6, 7, 8, 9
ALLOWED = {
    COMMAND: {SAY, LATER, FORM},
    COMPONENT: {SAY, LATER, LATER_HERE, UPDATE, FORM},
    SUGGEST: {CHOICES},
    SUBMIT: {SAY, LATER, LATER_HERE, UPDATE},
}
FIRST_S, TOKEN_S = 3.0, 900.0


@dataclass
class Interaction:
    """``answer`` is the first answer's kind; ``form`` and ``choices`` what it brought."""

    number: int
    kind: int
    user: int
    channel: Channel
    created: float
    token: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    pressed: Shown | None = None
    original: Shown | None = None
    answer: int = 0
    form: Json = field(default_factory=dict)
    choices: list[str] = field(default_factory=list)
    follow_ups: int = 0
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    async def acknowledged(self) -> bool:
        """As the client sees it: in time, or "This interaction failed"."""
        try:
            async with asyncio.timeout(FIRST_S):
                await self.answered.wait()
        except TimeoutError:
            return False
        return True


class Interactions:
    """``follow_ups`` is how many an app gets that the server has not installed; None: no limit."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.by_token: dict[str, Interaction] = {}
        self.follow_ups: int | None = None

    def begin(self, kind: int, user: int, channel: Channel, pressed: Shown | None) -> Interaction:
        world = self.world
        begun = Interaction(world.snowflake(), kind, user, channel, world.now(), pressed=pressed)
        if pressed is not None:
            begun.original = pressed
            pressed.tokens.add(begun.token)
        self.by_token[begun.token] = begun
        return begun

    async def acknowledge(self, number: int, token: str, body: Json) -> None:
        found = self.by_token.get(token)
        if found is None or found.number != number:
            raise RefusedError(refusals.UNKNOWN_INTERACTION)
        if found.answer:
            raise RefusedError(refusals.ANSWERED)
        if self.world.now() - found.created > FIRST_S:
            raise RefusedError(refusals.UNKNOWN_INTERACTION)
        kind = body["type"]
        if kind not in ALLOWED[found.kind]:
            raise invalid("type", "INTERACTION_CALLBACK_INVALID_TYPE", str(kind))
        await self._first(found, kind, body.get("data", {}))
        found.answer = kind
        found.answered.set()

    async def _first(self, found: Interaction, kind: int, data: Json) -> None:
        match kind:
            case 9:
                checks.form(data)
                found.form = data
            case 8:
                assert len(data["choices"]) <= 25
                found.choices = [one["name"] for one in data["choices"]]
            case 4:
                checks.message(data, set(), layout=False)
                found.original = await self._new(found, data, {})
            case 5:
                found.original = await self._new(found, {"flags": data.get("flags", 0)}, {})
                found.original.thinking = True
            case 6 | 7:
                if found.pressed is None:
                    raise invalid("type", "INTERACTION_CALLBACK_INVALID_TYPE", "no message")

    async def _new(self, found: Interaction, body: Json, files: dict[str, bytes]) -> Shown:
        hidden = found.user if body.get("flags", 0) & checks.EPHEMERAL else 0
        if found.channel.kind != DM and not hidden:
            raise AssertionError("an answer that the whole server sees")
        shown = await self.world.add(found.channel.number, self.world.bot, body, files, hidden)
        shown.tokens.add(found.token)
        return shown

    def alive(self, token: str) -> Interaction:
        found = self.by_token.get(token)
        if found is None:
            raise RefusedError(refusals.UNKNOWN_WEBHOOK)
        if self.world.now() - found.created > TOKEN_S:
            raise RefusedError(refusals.EXPIRED)
        if not found.answer:
            raise RefusedError(refusals.UNKNOWN_WEBHOOK)
        return found

    async def follow_up(self, token: str, body: Json, files: dict[str, bytes]) -> Shown:
        found = self.alive(token)
        if found.original is not None and found.original.thinking:
            # The first one takes the place of "thinking…", and its visibility.
            return await self.change(token, "@original", body, files)
        if self.follow_ups is not None and found.follow_ups >= self.follow_ups:
            raise RefusedError(refusals.TOO_MANY_ANSWERS)
        found.follow_ups += 1
        return await self._new(found, body, files)

    async def change(self, token: str, name: str, body: Json, files: dict[str, bytes]) -> Shown:
        shown = self.find(token, name)
        shown.edits += 1
        await self.world.write(shown, body, files)
        return shown

    def find(self, token: str, name: str) -> Shown:
        found = self.alive(token)
        shown = found.original if name == "@original" else self.world.messages.get(int(name))
        if shown is None or shown.gone or token not in shown.tokens:
            raise RefusedError(refusals.UNKNOWN_MESSAGE)
        return shown
