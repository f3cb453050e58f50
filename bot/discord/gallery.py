"""A server's channel in which people show what they have trained."""

from discord.errors import NotFound

from bot.discord import errors, wire
from bot.discord.markup import SILENT, body_of, sent_once
from bot.discord.places import read_ref, ref_of
from bot.discord.updates import user_id
from bot.discord.wire import Wire
from bot.frontend import (
    ChatGoneError,
    ExhibitRefusedError,
    Message,
    MessageGoneError,
    NetworkError,
)

CLOSED, STRANGER, ADULT = "gallery.closed", "gallery.stranger", "gallery.adult"


class Hall:
    """``channel`` is the gallery's, 0 where there is none. ``adult`` are bases whose pictures hang
    only where adults are by themselves.
    """

    def __init__(self, calls: Wire, channel: int, adult: frozenset[str]) -> None:
        self._calls = calls
        self._channel = channel
        self._adult = adult

    async def exhibit(self, person: str, message: Message, key: str) -> str:
        await self._calls.connected()
        guild = self._calls.guild_of(self._channel)
        if not guild:
            raise ExhibitRefusedError("Discord: I do not see the gallery's channel", CLOSED)
        if message.drawn_by in self._adult and not self._calls.allows_adults(self._channel):
            raise ExhibitRefusedError("Discord: the gallery is not for adults only", ADULT)
        await self._look_for(person, guild)
        body, files = body_of(message)
        body["flags"] |= SILENT
        ids = {"channel_id": self._channel}
        try:
            sent = await self._calls.call(wire.CREATE, ids, sent_once(body, key), files)
        except errors.FAILURES as error:
            raise _why(error) from None
        return ref_of(self._channel, int(sent["id"]))

    async def take_down(self, ref: str) -> None:
        channel, number, _ = read_ref(ref)
        try:
            await self._calls.call(wire.DELETE, {"channel_id": channel, "message_id": number})
        except errors.FAILURES as error:
            why = errors.explain(error)
            if not isinstance(why, ChatGoneError | MessageGoneError):
                raise why from None

    async def _look_for(self, person: str, guild: int) -> None:
        """Nobody shows anything on a server that they are not on themselves."""
        ids = {"guild_id": guild, "user_id": user_id(person)}
        try:
            await self._calls.call(wire.MEMBER, ids)
        except NotFound:
            raise ExhibitRefusedError("Discord: no member of that server", STRANGER) from None
        except errors.FAILURES as error:
            raise _why(error) from None


def _why(error: Exception) -> NetworkError:
    """A channel that is closed to us is the operator's to open; the rest is the network's."""
    why = errors.explain(error)
    return ExhibitRefusedError(str(why), CLOSED) if isinstance(why, ChatGoneError) else why
