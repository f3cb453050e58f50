"""Wire the chat side: settings, stores, frontends, conversation. Plain lines, one after another."""

import asyncio
import gc
import logging
import signal
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from functools import partial

from bot import pulse
from bot.backroom import Backroom
from bot.blocklist import Blocklist
from bot.cards import Cards
from bot.clerk import Clerk
from bot.courier import Courier
from bot.crier import Crier
from bot.curator import Curator, galleries
from bot.darkroom import Darkroom
from bot.dialogue import Dialogue
from bot.doorkeeper import Doorkeeper
from bot.exporter import Exporter
from bot.frontend import Frontend, Incoming, NetworkError, Receive
from bot.frontends.web import PortTakenError, Site, Web
from bot.janitor import Days, Janitor
from bot.job_letters import JobLetters
from bot.lasting import lasting
from bot.librarian import Librarian
from bot.notifier import Notifier
from bot.nudger import Nudger
from bot.packing import Post
from bot.presenter import Presenter
from bot.reading import Reader
from bot.registrar import Registrar
from bot.reminder import Reminder
from bot.screen import Screen
from bot.step_files import StepFiles
from bot.texts.catalog import speak
from bot.thinking import Thinker
from bot.turnstile import Turnstile
from lorabot.networks import links_of, networks, secret_of, webhook_of
from lorabot.operations import checkup, operations_of
from pictures import limits
from pictures.sandbox import Cells
from storage import bases, inbox_store, one_host
from storage.database import Database
from storage.doorbell import Doorbell
from storage.settings import Settings
from storage.stores import blobs_of

log = logging.getLogger(__name__)

EXIT_CONFIG = 78
REMEMBER_S = 14 * 24 * 3600.0
FORGET_EVERY_S = 6 * 3600.0


async def serve_bot(settings: Settings) -> int:
    """The local web chat, and each network that has a token, until a signal."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    speak(settings.default_language)
    database = await one_host.open_here(settings.database, settings.database_patience_s)
    blobs = blobs_of(settings)
    links = links_of(settings)
    hook = webhook_of(settings)
    site = Site(
        secret=secret_of(settings),
        spool=settings.data_dir / "run" / "uploads",
        host=settings.web_host,
        port=settings.web_port,
        public_url=settings.public_url,
        stays=not settings.pictures_go_to,
        hook=hook,
        operations=operations_of(settings),
    )
    cells = Cells(limits=limits.load(settings.data_dir))
    web = Web(database, blobs, links, site, cells)
    try:
        address = web.listen()
        frontends: list[Frontend] = [web, *networks(settings, database, hook)]
        print(f"lorabot is ready: open {address}/", flush=True)
        # What is loaded stays: each search for garbage in it would halt everybody for 100 ms.
        gc.freeze()
        await converse(settings, database, frontends, cells, stop)
    except PortTakenError as error:
        print(error, flush=True)
        return EXIT_CONFIG
    finally:
        await cells.close()
        await database.close()
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bot:
    """The chat side in parts; each runs until it is cancelled."""

    frontends: Sequence[Frontend]
    dialogue: Dialogue
    turnstile: Turnstile
    presenter: Presenter
    notifier: Notifier
    doorbell: Doorbell
    reminder: Reminder
    nudger: Nudger
    database: Database

    def parts(self) -> list[Coroutine[None, None, None]]:
        networks = [_serve(one, self.turnstile.receive) for one in self.frontends]
        by_rows = (
            self.presenter.run,
            self.notifier.run,
            self.dialogue.librarian.run,
            self.dialogue.registrar.janitor.run,
            self.reminder.run,
            self.nudger.run,
            self.turnstile.run,
            self.dialogue.backroom.crier.run,
            self.dialogue.backroom.curator.run,
            partial(forget_updates, self.database),
        )
        own = [lasting(run) for run in by_rows]
        return [*networks, *own, one_host.stay(self.database), pulse.run()]


def assemble(
    settings: Settings, database: Database, frontends: Sequence[Frontend], cells: Cells
) -> Bot:
    by_platform = {one.platform: one for one in frontends}
    blobs = blobs_of(settings)
    known = bases.load(settings.data_dir, settings.bases_file)
    reader = Reader(bases=tuple(known.values()), settings=settings, limits=cells.limits)
    darkroom = Darkroom(blobs=blobs, cells=cells)
    presenter = Presenter(database, reader, by_platform, darkroom)
    post = Post(blobs=blobs, links=links_of(settings), public_url=settings.public_url)
    admins = {one for one in settings.admin_ids if one.partition(":")[0] in by_platform}
    titles = {base.id: base.title for base in known.values()}
    courier = Courier(database, presenter, post, frozenset(admins))
    librarian = Librarian(
        database=database,
        blobs=blobs,
        courier=courier,
        cards=Cards(database=database, presenter=presenter, post=post, bases=titles),
        steps=StepFiles(database=database, presenter=presenter, post=post),
        lora_dir=settings.lora_dir,
    )
    notifier = Notifier(database, reader, presenter, by_platform, courier)
    url = settings.redis_url.get_secret_value() if settings.redis_url else None
    doorbell = Doorbell(url)
    days = Days(
        photos=settings.retention_days,
        drafts=settings.draft_days,
        exports=settings.link_hours / 24,
    )
    janitor = Janitor(
        database=database,
        blobs=blobs,
        librarian=librarian,
        presenter=presenter,
        frontends=by_platform,
        days=days,
        logs=settings.data_dir / "logs",
        secret=secret_of(settings) if settings.max_jobs_per_day else "",
    )
    exporter = Exporter(database=database, presenter=presenter, post=post)
    registrar = Registrar(janitor=janitor, exporter=exporter, policy=settings.policy_version)
    doorkeeper = Doorkeeper(settings=settings)
    letters = JobLetters(
        database=database,
        blobs=blobs,
        presenter=presenter,
        frontends=by_platform,
        logs=settings.data_dir / "logs",
        spool=settings.data_dir / "run" / "letters",
    )
    backroom = Backroom(
        database=database,
        doorkeeper=doorkeeper,
        clerk=Clerk(doorkeeper=doorkeeper, frontends=by_platform, secret=secret_of(settings)),
        presenter=presenter,
        crier=Crier(database, presenter, by_platform),
        curator=Curator(database=database, presenter=presenter, galleries=galleries(by_platform)),
        letters=letters,
        checkup=lambda: checkup(settings),
    )
    dialogue = Dialogue(
        database=database,
        blobs=blobs,
        cells=cells,
        reader=reader,
        thinker=Thinker(reader=reader, backroom=backroom),
        doorbell=doorbell,
        presenter=presenter,
        notifier=notifier,
        librarian=librarian,
        registrar=registrar,
        backroom=backroom,
        blocklist=Blocklist(settings.block_list or settings.data_dir / "blocklist.txt"),
        frontends=by_platform,
    )
    turnstile = Turnstile(
        dialogue.receive,
        partial(_tell, backroom),
        messages=settings.messages_per_minute,
        photos=settings.photos_per_minute,
    )
    return Bot(
        frontends=frontends,
        dialogue=dialogue,
        turnstile=turnstile,
        presenter=presenter,
        notifier=notifier,
        doorbell=doorbell,
        reminder=Reminder(
            database=database,
            doorkeeper=doorkeeper,
            presenter=presenter,
            frontends=by_platform,
        ),
        nudger=Nudger(
            database=database,
            presenter=presenter,
            frontends=by_platform,
            draft_days=settings.draft_days,
        ),
        database=database,
    )


async def _tell(backroom: Backroom, incoming: Incoming, screen: Screen) -> None:
    """Nothing is said to somebody who stands at the door."""
    if await backroom.admits(incoming.person.id):
        await backroom.presenter.tell(incoming.chat, screen)


async def forget_updates(database: Database) -> None:
    """Ids of updates are kept against repetitions; no network repeats one after so long."""
    while True:
        async with database.write() as tx:
            await inbox_store.forget(tx, before=time.time() - REMEMBER_S)
        await asyncio.sleep(FORGET_EVERY_S)


async def converse(
    settings: Settings,
    database: Database,
    frontends: Sequence[Frontend],
    cells: Cells,
    stop: asyncio.Event,
) -> None:
    """Run these frontends with the whole bot behind them, until ``stop``."""
    await run(assemble(settings, database, frontends, cells), stop)


async def run(bot: Bot, stop: asyncio.Event) -> None:
    """All parts, until ``stop`` or until one of them fails."""
    backroom = bot.dialogue.backroom
    await lasting(partial(backroom.doorkeeper.introduce, bot.database))
    tasks = [asyncio.create_task(one) for one in bot.parts()]
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            # A part that ends by itself has failed: the process ends with it, and is started again.
            task.result()
    finally:
        stopping.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await bot.dialogue.registrar.close()
        await backroom.close()
        await bot.doorbell.close()


async def _serve(frontend: Frontend, receive: Receive) -> None:
    """A network that will not have us, like one whose token is wrong, leaves the others alone."""
    try:
        await frontend.run(receive)
    except NetworkError as error:
        if not error.permanent:
            raise
        log.error("%s is off: %s", frontend.platform, error)  # noqa: TRY400  the sentence says all
        await asyncio.Event().wait()
