"""uvicorn's own HTTP with the patience that it lacks: a request's head has to come at once.

Without it whoever opens many connections and says little keeps them for ever, until this process
has no file handle left for its database.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
MOST = 512  # connections; a process has a thousand handles as a rule


class Doorway(H11Protocol):
    """``head_s`` from the first moment, or from the first byte of a further request."""

    head_s = HEAD_S
    most = MOST
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """Between two requests nothing is awaited: uvicorn itself ends what is idle then."""
        if self.conn.their_state is not h11.IDLE:
            self._forget()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.head_s, self._late)

    def _forget(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            self.transport.abort()
