"""The chat page and what it posts: requests become Incoming, nothing is decided here."""

import asyncio
import hashlib
import re
import tempfile
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

from itsdangerous import BadSignature, Signer
from pydantic import BaseModel, StringConstraints, ValidationError
from sse_starlette import EventSourceResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.templating import Jinja2Templates

from bot.events import Choice, Command, Event, Text
from bot.frontend import Attachment, Incoming, Receive
from bot.screen import parse_data
from bot.web import uploads
from bot.web.feed import Feed
from bot.web.visitors import PLATFORM, Visitors, new_chat, person_of
from pictures.look import Refused
from pictures.order import View
from pictures.sandbox import Cells
from storage.blob_store import LocalBlobs, photo_key

MAX_BODY_BYTES = 64_000
THUMB_SIDE = 160  # pixels; re-encoded, so nothing of the original's metadata is left
PRIVATE = {"cache-control": "private, max-age=3600"}
PING_S = 15.0
SEQ = re.compile(r"[0-9]{1,15}")
templates = Jinja2Templates(directory=Path(__file__).parent / "templates")

RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{4,64}$")]


class Say(BaseModel):
    """``quiet`` is the greeting that the page sends by itself: it is not shown as a message."""

    id: RequestId
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
    quiet: bool = False


class Press(BaseModel):
    id: RequestId
    data: str


Posted = TypeVar("Posted", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """``spool`` is where uploads lie until they were received."""

    feed: Feed
    blobs: LocalBlobs
    cells: Cells
    visitors: Visitors
    receive: Receive
    spool: Path
    caps: uploads.Caps = field(default_factory=uploads.Caps)
    uploading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))

    async def page(self, request: Request) -> Response:
        if request.url.hostname == "localhost":
            # One name only: cookies of localhost and 127.0.0.1 would be two persons.
            return RedirectResponse(request.url.replace(hostname="127.0.0.1"))
        chat = self.visitors.recognise(request)
        if chat is None and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            # A strict cookie stays away when a link elsewhere led here; ask once more from here.
            return templates.TemplateResponse(request, "bounce.html")
        chat = chat or new_chat()
        response = templates.TemplateResponse(
            request, "chat.html", {"chat": chat, "caps": self.caps}
        )
        self.visitors.remember(response, chat)
        return response

    async def events(self, request: Request) -> Response:
        chat = self._chat(request)
        since = request.headers.get("last-event-id") or request.query_params.get("since", "")
        stream = self.feed.events(chat, int(since) if SEQ.fullmatch(since) else 0)
        return EventSourceResponse(stream, ping=PING_S, send_timeout=30)

    async def say(self, request: Request) -> Response:
        chat = self._chat(request)
        said = await _posted(request, Say)
        if not said.quiet:
            await self.feed.put(chat, f"me:{said.id}", {"from": "me", "text": said.text})
        return await self._deliver(request, chat, said.id, event=event_of(said.text))

    async def press(self, request: Request) -> Response:
        chat = self._chat(request)
        pressed = await _posted(request, Press)
        if (parts := parse_data(pressed.data)) is None:
            raise HTTPException(400, "I don't know this button. Please reload the page.")
        return await self._deliver(request, chat, pressed.id, event=Choice(*parts))

    async def upload(self, request: Request) -> Response:
        chat = self._chat(request)
        try:
            named = Press(id=request.query_params.get("id", ""), data="")
        except ValidationError as error:
            raise HTTPException(400, "This upload has no name.") from error
        self.spool.mkdir(parents=True, exist_ok=True)
        async with self.uploading:
            with tempfile.TemporaryDirectory(dir=self.spool) as folder:
                files = await uploads.read(request, Path(folder), self.caps)
                signed = [self._thumb_signer(chat).sign(one.sha256).decode() for one in files]
                await self.feed.put(
                    chat, f"me:{named.id}", {"from": "me", "text": "", "files": signed}
                )
                attachments = tuple(map(attachment_of, files))
                return await self._deliver(request, chat, named.id, attachments=attachments)

    async def thumb(self, request: Request) -> Response:
        """A picture of this chat: its name is signed for the chat that uploaded it."""
        chat = self._chat(request)
        try:
            sha256 = self._thumb_signer(chat).unsign(request.path_params["name"]).decode()
        except BadSignature as error:
            raise HTTPException(404) from error
        try:
            data = await self.blobs.get(photo_key(sha256))
        except FileNotFoundError as error:
            raise HTTPException(404) from error
        shown = await self.cells.view(data, View(side=THUMB_SIDE))
        if isinstance(shown, Refused):
            raise HTTPException(404)
        return Response(shown.view, media_type="image/jpeg", headers=PRIVATE)

    async def shown(self, request: Request) -> Response:
        """A picture that the bot shows in this chat."""
        chat = self._chat(request)
        signer = shown_signer(self.visitors.secret, chat)
        try:
            key = signer.unsign(request.path_params["name"]).decode()
            data = await self.blobs.get(key)
        except (BadSignature, FileNotFoundError) as error:
            raise HTTPException(404) from error
        return Response(data, media_type="image/jpeg", headers=PRIVATE)

    def _chat(self, request: Request) -> str:
        chat = self.visitors.recognise(request)
        if chat is None:
            raise HTTPException(404, "I don't know this browser yet. Please reload the page.")
        return chat

    def _thumb_signer(self, chat: str) -> Signer:
        salt = f"thumb/{chat}"
        return Signer(self.visitors.secret, salt=salt, digest_method=hashlib.sha256)

    async def _deliver(
        self,
        request: Request,
        chat: str,
        update_id: str,
        *,
        event: Event | None = None,
        attachments: tuple[Attachment, ...] = (),
    ) -> Response:
        await self.receive(
            Incoming(
                platform=PLATFORM,
                update_id=f"{chat}/{update_id}",
                chat=chat,
                person=person_of(chat, request),
                event=event,
                attachments=attachments,
            )
        )
        return JSONResponse({"ok": True})


def shown_signer(secret: str, chat: str) -> Signer:
    return Signer(secret, salt=f"shown/{chat}", digest_method=hashlib.sha256)


def event_of(text: str) -> Event:
    """``/train mochi`` is a command; everything else is text."""
    name, _, argument = text.removeprefix("/").partition(" ")
    if text.startswith("/") and name.isidentifier():
        return Command(name.lower(), argument.strip())
    return Text(text)


def attachment_of(file: uploads.Uploaded) -> Attachment:
    def fetch() -> Awaitable[bytes]:
        return asyncio.to_thread(file.path.read_bytes)

    return Attachment(fetch=fetch, file_bytes=file.file_bytes, suffix=file.suffix)


async def _posted(request: Request, model: type[Posted]) -> Posted:
    """The request's JSON, checked. Only JSON: a form of another page cannot send it."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "Please send JSON.")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise HTTPException(
                    413, "This text is too long. Please keep it under 4000 letters."
                )
        return model.model_validate_json(bytes(body))
    except ClientDisconnect as error:
        raise HTTPException(400, "The request broke off.") from error
    except ValidationError as error:
        raise HTTPException(400, "Please write between 1 and 4000 letters.") from error
