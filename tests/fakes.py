"""A chat network in memory, which can be slow, forgetful and rude."""

import asyncio
import itertools
from collections import defaultdict
from dataclasses import dataclass, field

from bot.frontend import Limits, Message, MessageGoneError, Receive


@dataclass
class FakeFrontend:
    """``chats`` holds what each chat shows, by message name. ``troubles`` are raised one by one
    before a call does its work, ``after`` once it has done it: the answer is lost.
    """

    platform: str = "tg"
    limits: Limits = field(default_factory=lambda: Limits(out_file_bytes=50_000_000))
    chats: defaultdict[str, dict[str, Message]] = field(default_factory=lambda: defaultdict(dict))
    calls: list[str] = field(default_factory=list)
    troubles: list[tuple[str, Exception]] = field(default_factory=list)
    after: list[tuple[str, Exception]] = field(default_factory=list)
    _names: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    async def send(self, chat: str, message: Message, *, key: str) -> str:  # noqa: ARG002
        self._raise("send", chat, self.troubles)
        name = str(next(self._names))
        self.chats[chat][name] = message
        self.calls.append(f"send {chat}")
        self._raise("send", chat, self.after)
        return name

    async def edit(self, chat: str, ref: str, message: Message) -> None:
        self._raise("edit", chat, self.troubles)
        if ref not in self.chats[chat]:
            raise MessageGoneError(ref)
        before = self.chats[chat][ref]
        assert bool(before.picture) is bool(message.picture), "no network could do that"
        self.chats[chat][ref] = message
        self.calls.append(f"edit {chat}")

    async def run(self, receive: Receive) -> None:  # noqa: ARG002
        await asyncio.Event().wait()

    def _raise(self, call: str, chat: str, waiting: list[tuple[str, Exception]]) -> None:
        for one in waiting:
            if one[0] in (call, f"{call} {chat}"):
                waiting.remove(one)
                raise one[1]

    def texts(self, chat: str) -> list[str]:
        return [message.text for message in self.chats[chat].values()]

    def last(self, chat: str) -> Message:
        return list(self.chats[chat].values())[-1]
