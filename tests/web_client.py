"""A person at the local web page, without a browser: real HTTP, the real event stream.

It reconnects by itself, as a page does, so that the bot may be killed under it.
"""

import asyncio
import json
import uuid
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

import httpx

from tests.patience import PATIENCE_S

Shown = dict[str, Any]
STOPPED = (httpx.TransportError, httpx.HTTPStatusError)


class WebPerson:
    """``messages`` is what the page shows, by message id; ``changed`` wakes those who wait."""

    def __init__(self, address: str) -> None:
        self.http = httpx.AsyncClient(
            base_url=address,
            headers={"origin": address},
            timeout=httpx.Timeout(PATIENCE_S, read=None),
        )
        self.messages: dict[str, Shown] = {}
        self.chat = ""
        self._seen = 0
        self._changed = asyncio.Condition()
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        (await self.http.get("/")).raise_for_status()
        self._reading = asyncio.create_task(self._read_for_ever())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading
        await self.http.aclose()

    async def _read_for_ever(self) -> None:
        while True:
            with suppress(*STOPPED):
                await self._read()
            await asyncio.sleep(0.1)  # a page's own pause before it connects again

    async def _read(self) -> None:
        params = {"since": str(self._seen)}
        async with self.http.stream("GET", "/events", params=params) as answer:
            answer.raise_for_status()
            kind = "message"
            async for line in answer.aiter_lines():
                name, _, value = line.partition(": ")
                match name:
                    case "event":
                        kind = value
                    case "id":
                        self._seen = int(value)
                    case "data":
                        await self._take(kind, json.loads(value))
                    case "":
                        kind = "message"

    async def _take(self, kind: str, data: Shown) -> None:
        if kind == "ready":
            self.chat = data["chat"]
        elif kind == "anew":
            self.messages.clear()
        elif kind == "message":
            self.messages[data["id"]] = data
        async with self._changed:
            self._changed.notify_all()

    async def until(self, what: Callable[[], Any], within_s: float = PATIENCE_S) -> Any:
        """Wait for what the page shows; a timeout tells what it showed instead."""
        try:
            async with asyncio.timeout(within_s), self._changed:
                while not (found := what()):
                    await self._changed.wait()
                return found
        except TimeoutError:
            shown = "\n".join(f"[{one['from']}] {one['text']}" for one in self.in_order())
            raise AssertionError(f"not within {within_s:g} s; the page shows:\n{shown}") from None

    def in_order(self) -> list[Shown]:
        return sorted(self.messages.values(), key=lambda one: int(one["place"]))

    def said(self, text: str) -> Shown | None:
        """The newest message of the bot that has ``text`` in it."""
        found = (m for m in reversed(self.in_order()) if m["from"] == "bot" and text in m["text"])
        return next(found, None)

    def button(self, label: str) -> dict[str, str] | None:
        """The newest button whose label begins so."""
        for message in reversed(self.in_order()):
            for row in message.get("buttons", ()):
                for button in row:
                    if button["label"].startswith(label):
                        return dict(button)
        return None

    async def say(self, text: str) -> None:
        await self._post("/say", json={"id": uuid.uuid4().hex, "text": text})

    async def press(self, label: str, within_s: float = PATIENCE_S) -> None:
        """Press a button as soon as it is there."""
        button = await self.until(lambda: self.button(label), within_s)
        await self._post("/press", json={"id": uuid.uuid4().hex, "data": button["data"]})

    async def upload(self, files: list[bytes]) -> None:
        parts = [("files", (f"{i}.png", data, "image/png")) for i, data in enumerate(files)]
        await self._post("/upload", params={"id": uuid.uuid4().hex}, files=parts)

    async def _post(self, path: str, **request: Any) -> None:
        """Again until it is answered: the id makes a second delivery harmless."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with suppress(httpx.TransportError):
                    (await self.http.post(path, **request)).raise_for_status()
                    return
                await asyncio.sleep(0.1)

    async def download(self, label: str) -> bytes:
        button = await self.until(lambda: self.button(label))
        answer = await self.http.get(button["url"])
        answer.raise_for_status()
        return answer.content
