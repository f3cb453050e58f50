"""The dialogue of each chat as a stream: what the log holds is what every open page shows."""

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError
from sse_starlette import ServerSentEvent

from storage import chat_log
from storage.database import Database

log = logging.getLogger(__name__)

PAGE = 200  # entries read at once
MAX_STREAMS = 4  # a browser opens six connections to one host, and what is posted needs some


@dataclass(eq=False, slots=True)
class Stream:
    """One open page. A parked one is told to wait until somebody looks at it again."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    parked: bool = False


class Feed:
    """Writes messages into the log and wakes the pages that show this chat."""

    def __init__(self, db: Database, *, clock: Callable[[], float] = time.time) -> None:
        self.db = db
        self._clock = clock
        self._streams: dict[str, list[Stream]] = {}
        self._closed = False

    async def put(self, chat: str, message_id: str, body: Mapping[str, object]) -> None:
        """The same id is the same message: it changes in place."""
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        async with self.db.write() as tx:
            await chat_log.put(tx, chat, message_id, text, now=self._clock())
        for stream in self._streams.get(chat, ()):
            stream.wake.set()

    def close(self) -> None:
        """End every stream, so that the server can stop."""
        self._closed = True
        for streams in self._streams.values():
            for stream in streams:
                stream.wake.set()

    async def events(self, chat: str, since: int) -> AsyncIterator[ServerSentEvent]:
        """Everything after ``since``, then `ready`, then whatever comes."""
        stream = self._join(chat)
        try:
            yield ServerSentEvent(retry=1000, comment="hello")
            if await self._is_ahead(chat, since):
                # It has seen what this log never held, or does no more: a backup was restored, say.
                since = 0
                yield ServerSentEvent(id="0", event=chat_log.ANEW, data="{}")
            async for event in self._backlog(chat, since):
                since = int(event.id or since)
                yield event
            yield ServerSentEvent(event="ready", data=json.dumps({"chat": chat, "seq": since}))
            while await self._more(stream):
                async for event in self._backlog(chat, since):
                    since = int(event.id or since)
                    yield event
            if stream.parked:
                yield ServerSentEvent(event="parked", data="{}")
        except DBAPIError as error:
            # The page connects again, and says what it has seen.
            log.warning("a page lost its stream (%s)", type(error.orig).__name__)
        finally:
            self._leave(chat, stream)

    async def _more(self, stream: Stream) -> bool:
        await stream.wake.wait()
        stream.wake.clear()
        return not self._closed and not stream.parked

    async def _backlog(self, chat: str, since: int) -> AsyncIterator[ServerSentEvent]:
        while True:
            async with self.db.read() as tx:
                entries = await chat_log.since(tx, chat, since, PAGE)
            for entry in entries:
                since = entry.seq
                yield _event(entry)
            if len(entries) < PAGE:
                return

    async def _is_ahead(self, chat: str, since: int) -> bool:
        async with self.db.read() as tx:
            return since > await chat_log.last(tx, chat)

    def _join(self, chat: str) -> Stream:
        streams = self._streams.setdefault(chat, [])
        for oldest in streams[: max(0, len(streams) + 1 - MAX_STREAMS)]:
            oldest.parked = True
            oldest.wake.set()
        stream = Stream()
        streams.append(stream)
        if self._closed:
            stream.wake.set()
        return stream

    def _leave(self, chat: str, stream: Stream) -> None:
        streams = self._streams[chat]
        streams.remove(stream)
        if not streams:
            del self._streams[chat]


def _event(entry: chat_log.Entry) -> ServerSentEvent:
    if not entry.body:
        return ServerSentEvent(id=str(entry.seq), event=chat_log.ANEW, data="{}")
    shown = {"id": entry.message_id, "place": entry.first_seq, **json.loads(entry.body)}
    return ServerSentEvent(id=str(entry.seq), data=json.dumps(shown, ensure_ascii=False))
