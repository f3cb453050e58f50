"""Where a chat's messages go: to an interaction that can still be answered, else to a home.

An answer to an interaction is seen by one person only and lasts for minutes; whatever has to last
goes home, which is the direct message, or a private thread where that is closed.
"""

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from bot.discord.updates import Kept

ANSWER_S = (
    15 * 60 - 30
)  # an interaction's token lives for 15 minutes; some seconds are lost on the way
EPHEMERAL = "e"


@dataclass(slots=True, kw_only=True)
class Reply:
    """``open``: the person sees "thinking…" until the first answer takes its place."""

    token: str
    until: float
    channel: int
    private: bool
    open: bool = False


@dataclass(slots=True, kw_only=True)
class Places:
    """``homes`` by chat; ``doors`` are the server's channels in which people last called us;
    ``lost`` counts messages that somebody removed. ``now`` is in epoch seconds.
    """

    now: Callable[[], float] = time.time
    homes: dict[str, int] = field(default_factory=dict)
    doors: dict[str, int] = field(default_factory=dict)
    lost: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    _replies: dict[str, Reply] = field(default_factory=dict)
    _tokens: dict[int, Reply] = field(default_factory=dict)

    def note(self, kept: Kept) -> Reply | None:
        """Where this person is now, and how to answer there."""
        if not kept.token:
            # Photos and words come in the direct message, and so do our answers.
            self._replies.pop(kept.chat, None)
            self.homes[kept.chat] = kept.channel
            return None
        reply = Reply(
            token=kept.token,
            until=kept.at + ANSWER_S,
            channel=kept.channel,
            private=kept.private,
            open=kept.fresh,
        )
        self._replies[kept.chat] = reply
        if kept.private:
            self.homes[kept.chat] = kept.channel
        elif kept.ephemeral or kept.fresh:
            # A button in a lasting message is pressed in our own thread, which is no door.
            self.doors[kept.chat] = kept.channel
        if kept.ephemeral:
            self.remember(kept.message, reply)
        return reply

    def reply(self, chat: str) -> Reply | None:
        found = self._replies.get(chat)
        if found is not None and found.until <= self.now():
            self.close(chat, found)
            return None
        return found

    def close(self, chat: str, reply: Reply) -> None:
        if self._replies.get(chat) is reply:
            del self._replies[chat]

    def remember(self, message: int, reply: Reply) -> None:
        """The latest interaction on a message is the one that can change it."""
        now = self.now()
        self._tokens = {one: old for one, old in self._tokens.items() if old.until > now}
        self._tokens[message] = reply

    def changes(self, message: int) -> Reply | None:
        """How to change a message that only one person sees; None: nobody can any more."""
        found = self._tokens.get(message)
        return found if found is not None and found.until > self.now() else None

    def forget(self, message: int) -> None:
        self._tokens.pop(message, None)


def ref_of(channel: int, message: int, *, ephemeral: bool = False) -> str:
    return f"{EPHEMERAL if ephemeral else ''}{channel}:{message}"


def read_ref(ref: str) -> tuple[int, int, bool]:
    """Channel, message, and whether only one person sees it; zeros where it is no name of ours."""
    channel, _, message = ref.removeprefix(EPHEMERAL).partition(":")
    if not (channel.isdecimal() and message.isdecimal()):
        return 0, 0, False
    return int(channel), int(message), ref.startswith(EPHEMERAL)
