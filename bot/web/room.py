"""The chat page and what it posts: requests become Incoming, nothing is decided here."""

import asyncio
import hashlib
import re
import tempfile
import time
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
from bot.rates import Rate, Rates
from bot.screen import parse_data
from bot.texts.catalog import Catalog
from bot.web import uploads
from bot.web.feed import Feed
from bot.web.language import catalog_of
from bot.web.refusals import Refusal
from bot.web.visitors import PLATFORM, Visitors, new_chat, person_of
from bot.web.words import commands_of, tag_of, words_of
from pictures.look import Refused
from pictures.order import View
from pictures.sandbox import Cells
from storage.blob_store import photo_key
from storage.blobs import Blobs, StoreError

MAX_BODY_BYTES = 64_000
MAX_LETTERS = 4000
POSTED = Rate(burst=120, per_s=4)  # of one person
THUMB_SIDE = 160  # pixels; re-encoded, so nothing of the original's metadata is left
PRIVATE = {"cache-control": "private, max-age=3600"}
PING_S = 15.0
SEQ = re.compile(r"[0-9]{1,15}")
templates = Jinja2Templates(directory=Path(__file__).parent / "templates")

Words = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LETTERS)
]
RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]{4,64}$")]


class Say(BaseModel):
    """``quiet`` is the greeting that the page sends by itself: it is not shown as a message."""

    id: RequestId
    text: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_LETTERS)
    ]
    quiet: bool = False


class Press(BaseModel):
    id: RequestId
    data: str


Posted = TypeVar("Posted", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """``spool`` is where uploads lie until they were received; ``stays``: nothing that people send
    leaves this machine.
    """

    feed: Feed
    blobs: Blobs
    cells: Cells
    visitors: Visitors
    receive: Receive
    spool: Path
    stays: bool = True
    caps: uploads.Caps = field(default_factory=uploads.Caps)
    uploading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(4))
    posted: Rates = field(default_factory=lambda: Rates(POSTED))

    async def page(self, request: Request) -> Response:
        if request.url.hostname == "localhost":
            # One name only: cookies of localhost and 127.0.0.1 would be two persons.
            return RedirectResponse(request.url.replace(hostname="127.0.0.1"))
        chat = self.visitors.recognise(request)
        if chat is None and request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
            # A strict cookie stays away when a link elsewhere led here; ask once more from here.
            known = in_words(await catalog_of(request, self.feed.db))
            return templates.TemplateResponse(request, "bounce.html", known)
        catalog = await catalog_of(request, self.feed.db, chat or "")
        chat = chat or new_chat()
        shown: dict[str, object] = {"chat": chat, "caps": self.caps, "stays": self.stays}
        shown |= {"words": words_of(catalog), "commands": commands_of(catalog)}
        response = templates.TemplateResponse(request, "chat.html", shown | in_words(catalog))
        self.visitors.remember(response, chat)
        return response

    async def catalog(self, request: Request) -> Catalog:
        """What whoever sent this request reads."""
        return await catalog_of(request, self.feed.db, self.visitors.recognise(request) or "")

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
            raise Refusal(400, key="web.unknown_button")
        return await self._deliver(request, chat, pressed.id, event=Choice(*parts))

    async def upload(self, request: Request) -> Response:
        chat = self._chat(request)
        try:
            named = Press(id=request.query_params.get("id", ""), data="")
        except ValidationError as error:
            raise Refusal(400, key="web.not_upload") from error
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
        except StoreError as error:
            raise HTTPException(503) from error
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
        except StoreError as error:
            raise HTTPException(503) from error
        return Response(data, media_type="image/jpeg", headers=PRIVATE)

    def _chat(self, request: Request) -> str:
        chat = self.visitors.recognise(request)
        if chat is None:
            raise Refusal(404, key="web.unknown_browser")
        if request.method == "POST" and self.posted.wait_s(chat, time.monotonic()):
            raise Refusal(429, key="web.too_fast")
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
        # Whoever has chosen another language by this gets the page's own words in it, too.
        return JSONResponse({"ok": True, "language": tag_of(await self.catalog(request))})


def in_words(catalog: Catalog) -> dict[str, object]:
    """What every template needs: its language, and ``say`` for the sentences."""
    return {"language": tag_of(catalog), "say": catalog.text}


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
        raise Refusal(415, key="web.not_json")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise Refusal(413, key="web.text_long", most=MAX_LETTERS)
        return model.model_validate_json(bytes(body))
    except ClientDisconnect as error:
        raise Refusal(400, key="web.broke_off") from error
    except ValidationError as error:
        raise Refusal(400, key="web.text_length", most=MAX_LETTERS) from error
