"""The local page as a chat: sends go into the log and from there to every open page."""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from bot.frontend import Limits, Message, Receive
from bot.links import Links
from bot.screen import Slot
from bot.web.app import create_app
from bot.web.doorway import Doorway
from bot.web.downloads import Downloads
from bot.web.feed import Feed
from bot.web.health import Health, Operations, operated
from bot.web.hooks import Hook, beside
from bot.web.room import Room, shown_signer
from bot.web.uploads import Caps
from bot.web.visitors import Visitors
from pictures.sandbox import Cells
from storage.blobs import Blobs
from storage.database import Database

HOST = "127.0.0.1"
STOP_S = 3  # what uploads and downloads get to finish when the bot stops


class PortTakenError(Exception):
    """Another program listens where the web chat wants to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """``secret`` signs cookies; ``spool`` holds uploads for moments; port 0 takes a free one;
    ``host`` is the address to listen at: whoever comes from elsewhere gets downloads alone.
    ``stays``: nothing that people send leaves this machine. ``hook`` is a network's own door,
    ``operations`` what the operator's programs ask for.
    """

    secret: str
    spool: Path
    host: str = HOST
    port: int = 8765
    public_url: str = ""
    stays: bool = True
    hook: Hook | None = None
    operations: Operations = field(default_factory=Operations)


class Web:
    platform = "web"
    limits = Limits(
        text=100_000,
        edit_interval_s=0.3,
        in_file_bytes=50_000_000,
        links=True,
        idempotent=True,
        copies=True,
    )

    def __init__(self, db: Database, blobs: Blobs, links: Links, site: Site, cells: Cells) -> None:
        self._cells = cells
        self.address = ""
        self.ready = asyncio.Event()
        self._downloads = Downloads(db=db, blobs=blobs, links=links)
        self._site = site
        self._feed = Feed(db)
        self._sockets: list[socket.socket] = []

    async def send(self, chat: str, message: Message, *, key: str) -> str:
        await self._feed.put(chat, key, self._body(chat, message))
        return key

    async def edit(self, chat: str, ref: str, message: Message) -> None:
        await self._feed.put(chat, ref, self._body(chat, message))

    def _body(self, chat: str, message: Message) -> dict[str, object]:
        """A picture's name is signed for the chat that it is shown in."""
        body = body_of(message)
        if message.picture is not None:
            signer = shown_signer(self._site.secret, chat)
            body["picture"] = signer.sign(message.picture.key).decode()
        return body

    def listen(self) -> str:
        """Take the port now and return the address: a taken one is told before work starts."""
        if not self._sockets:
            self._sockets = [_bound(self._site.host, self._site.port)]
            self.address = f"http://{HOST}:{self._sockets[0].getsockname()[1]}"
        return self.address

    async def run(self, receive: Receive) -> None:
        address = self.listen()
        await asyncio.to_thread(shutil.rmtree, self._site.spool, ignore_errors=True)
        room = Room(
            feed=self._feed,
            blobs=self._downloads.blobs,
            cells=self._cells,
            visitors=Visitors(
                secret=self._site.secret, cookie=f"lorabot_{address.rpartition(':')[2]}"
            ),
            receive=receive,
            spool=self._site.spool,
            stays=self._site.stays,
            caps=Caps(file_bytes=self.limits.in_file_bytes),
        )
        health = Health(self._downloads.db, self._site.operations)
        app = create_app(room, self._downloads, health, public_url=self._site.public_url)
        await self._serve(operated(beside(app, self._site.hook), health))

    async def _serve(self, app: ASGIApp) -> None:
        """Until cancelled. Then the streams end first, because a server waits for its answers."""
        server = Server(
            uvicorn.Config(
                app,
                access_log=False,  # a link is a secret
                http=Doorway,
                lifespan="off",
                log_config=None,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=STOP_S,
                ws="none",
            ),
            self.ready,
        )
        serving = asyncio.create_task(server.serve(sockets=self._sockets))
        try:
            await asyncio.shield(serving)
        finally:
            self._feed.close()
            server.should_exit = True
            await serving


class Server(uvicorn.Server):
    """Leaves the signals to the process it lives in, and says when it listens."""

    def __init__(self, config: uvicorn.Config, opened: asyncio.Event) -> None:
        super().__init__(config)
        self.opened = opened

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.opened.set()


def body_of(message: Message) -> dict[str, object]:
    """What the page needs of a message; files are links here, so there is none."""
    buttons = [[asdict(button) for button in row] for row in message.buttons]
    body: dict[str, object] = {"from": "bot", "text": message.text, "buttons": buttons}
    if message.slot is Slot.PANEL and not buttons and message.asks is None:
        # A panel that has moved on; what stays here is only what was said.
        body["spent"] = True
    return body


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # asyncio sets it only on sockets that it makes itself; without it each answer waits 40 ms.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listening.bind((host, port))
        # Whoever opens the printed address at once waits a moment instead of being refused.
        listening.listen()
    except OSError as error:
        listening.close()
        raise PortTakenError(
            f"port {port} on {host} is taken by another program; set WEB_PORT to another one"
        ) from error
    return listening
