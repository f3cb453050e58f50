"""What is sent of a finished file: the message, with as much in it as its chat takes."""

import time
from dataclasses import dataclass, replace
from enum import Enum, auto

from bot import delivery, result_screen
from bot.delivery import AskTwin, AttachTwin, Made, NoTwin
from bot.frontend import Frontend, Limits, Message, OutFile
from bot.links import Links
from bot.presenter import Presenter
from bot.render import render
from bot.result_screen import Shipment
from bot.screen import Line, Screen
from bot.screens import toast
from storage import limit_store, preference_store, twin_store, worker_store
from storage.blobs import Blobs
from storage.database import Database
from storage.job import Artifact, Job
from storage.preferences import Pings
from storage.shelf import Twin

TWIN_S = 120.0  # so long a file waits for its smaller twin
WORKER_S = 20.0  # a worker that starts again needs a moment before it counts as gone


@dataclass(frozen=True, slots=True)
class Beside:
    """A file on its way beside the LoRA: attached, behind ``url``, or at its ``path``."""

    way: delivery.Way
    file: OutFile | None
    url: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What a delivery needs: the files, the links, and the address they begin with."""

    blobs: Blobs
    links: Links
    public_url: str = ""

    async def beside(self, key: str, job_id: str, person: str, limits: Limits) -> Beside:
        """How a small file under this key, one that is no LoRA, reaches its chat."""
        way = delivery.way(await self.blobs.size(key), limits, self.public_url)
        url = ""
        if isinstance(way, delivery.Link):
            url = way.base + self.links.path(job_id, person, key)
        file = await self.file(key) if isinstance(way, delivery.Attach) else None
        return Beside(way, file, url, self.blobs.place(key))

    async def file(self, key: str, name: str = "") -> OutFile:
        """Brought here, to be attached; ``name`` is what people see."""
        path = await self.blobs.at_hand(key)
        return OutFile(path=path, name=name or path.name, file_bytes=path.stat().st_size)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message ready to go, and the size of the file in it; 0 without one. ``kept``: the file
    itself cannot leave the server.
    """

    message: Message
    file_bytes: int = 0
    kept: bool = False


class Load(Enum):
    """What a message may carry, lighter and lighter: words and a link go through everywhere."""

    ALL = auto()
    FILE = auto()  # without its picture
    WORDS = auto()


class Packer:
    def __init__(self, database: Database, presenter: Presenter, post: Post) -> None:
        self._database = database
        self._presenter = presenter
        self._post = post

    async def pack(self, job: Job, chat: str, frontend: Frontend, load: Load) -> Parcel | None:
        """None: its smaller twin is not there yet."""
        made = job.artifact
        catalog = await self._presenter.catalog(job.person)
        if made is None or not await self._post.blobs.exists(made.key):
            gone = toast(Line(key="models.gone"))
            return Parcel(render(gone, catalog, frontend.limits))
        limits = await self._limits(chat, frontend, load)
        shipment = await self._ship(job, made, limits)
        if shipment is None:
            return None
        file = await self._file(shipment)
        screen = await self._as_wanted(job, result_screen.result(job, shipment))
        picture = await self._presenter.picture(screen) if load is Load.ALL else None
        message = render(screen, catalog, frontend.limits, file, picture)
        kept = isinstance(shipment.way, delivery.OnServer)
        return Parcel(message, file.file_bytes if file else 0, kept)

    async def _as_wanted(self, job: Job, screen: Screen) -> Screen:
        """With a sound, unless the person wants none."""
        async with self._database.read() as tx:
            wanted = await preference_store.get(tx, job.person)
        return replace(screen, notify=wanted.pings is not Pings.NONE)

    async def _limits(self, chat: str, frontend: Frontend, load: Load) -> Limits:
        usual = frontend.limits.out_file_bytes
        if load is Load.WORDS or not usual:
            return replace(frontend.limits, out_file_bytes=0)
        async with self._database.read() as tx:
            most = await limit_store.out_file_bytes(tx, chat, usual, now=time.time())
        return replace(frontend.limits, out_file_bytes=most)

    async def _ship(self, job: Job, made: Artifact, limits: Limits) -> Shipment | None:
        base = self._post.public_url
        twin: Twin | None = None
        way = delivery.way(made.file_bytes, limits, base, NoTwin.YET)
        if isinstance(way, AskTwin):
            found = await self._twin(job, way.max_bytes)
            twin = found if isinstance(found, Twin) else None
            state = Made(found.file_bytes, found.lost) if isinstance(found, Twin) else found
            way = delivery.way(made.file_bytes, limits, base, state)
        if isinstance(way, AskTwin):
            return None
        link = way.link if isinstance(way, AttachTwin) else way
        url = ""
        if isinstance(link, delivery.Link):
            url = link.base + self._post.links.path(job.id, job.person)
        return Shipment(
            made=made,
            way=way,
            twin=twin,
            url=url,
            hours=self._post.links.hours,
            path=self._post.blobs.place(made.key),
            most_bytes=limits.out_file_bytes,
        )

    async def _file(self, shipment: Shipment) -> OutFile | None:
        match shipment.way:
            case delivery.Attach():
                sent: Artifact | Twin | None = shipment.made
            case AttachTwin():
                sent = shipment.twin
            case _:
                sent = None
        if sent is None:
            return None
        return await self._post.file(sent.key, sent.name)

    async def _twin(self, job: Job, max_bytes: int) -> Twin | NoTwin:
        """The twin, or whether there will be one: not where nobody can make it."""
        now = time.time()
        async with self._database.read() as tx:
            wish = await twin_store.get(tx, job.id, max_bytes)
            online = await worker_store.online(tx, now=now)
        if wish is None:
            async with self._database.write() as tx:
                await twin_store.ask(tx, job.id, max_bytes, now=now)
            return NoTwin.YET
        if wish.twin is not None:
            there = await self._post.blobs.exists(wish.twin.key)
            return wish.twin if there else NoTwin.EVER
        patience = TWIN_S if online else WORKER_S
        return NoTwin.EVER if wish.ended or now - wish.asked_at > patience else NoTwin.YET
