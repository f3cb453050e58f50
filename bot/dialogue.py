"""The shell round the conversation: load, step, commit everything in one transaction, then show.

An update is acknowledged only after `receive` returned, and has its effect once however often it
comes. What is shown follows from the rows, so a crash after the commit loses nothing either.
"""

import asyncio
import json
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.exc import DBAPIError

from bot import draft, samples
from bot.conversation import step
from bot.darkroom import shown_prefix
from bot.draft import Conversation
from bot.events import (
    Action,
    CancelJob,
    Choice,
    DropPhotos,
    Event,
    FileRefused,
    PhotoReceived,
    SendResult,
    Show,
    Submit,
)
from bot.facts import Facts
from bot.frontend import Attachment, Frontend, Incoming, NetworkError
from bot.notifier import Notifier
from bot.presenter import Presenter, panel_ref
from bot.reading import Reader
from bot.review import review
from bot.screen import Line, Screen
from bot.screens import toast
from pictures import archive, look, twins
from pictures.look import Refused
from pictures.sandbox import Cells
from pictures.seen import from_texts
from storage import conversation_store, inbox_store, job_store, look_store, people_store
from storage.blob_store import LocalBlobs, photo_key
from storage.database import Database, Tx
from storage.doorbell import Doorbell
from storage.job import CLASS_WORDS, Job, Photo
from trainer.presets import Quality, params_for

log = logging.getLogger(__name__)

FETCH_TRIES = 3
TAKEN_AT_ONCE = 4
FETCH_PAUSE_S = 0.5


@dataclass(slots=True, kw_only=True)
class After:
    """What is left to do once the transaction is committed."""

    screens: list[Screen] = field(default_factory=list)
    results: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    ring: bool = False
    jobs_changed: bool = False


@dataclass(slots=True, kw_only=True)
class Dialogue:
    """``frontends`` by platform. One lock per chat: an album arrives as many updates at once."""

    database: Database
    blobs: LocalBlobs
    cells: Cells
    reader: Reader
    doorbell: Doorbell
    presenter: Presenter
    notifier: Notifier
    frontends: Mapping[str, Frontend]
    _locks: defaultdict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )

    async def receive(self, incoming: Incoming) -> None:
        """Returns when the update's effect is committed."""
        try:
            await self._receive(incoming)
        except DBAPIError as error:
            # The world's: nothing was committed, so the network must deliver it once more.
            log.warning("the database did not take an update (%s)", type(error.orig).__name__)
            raise
        except Exception:
            # Ours. The update counts as handled: the same one again would fail the same way.
            log.exception("an update of %s could not be handled", incoming.platform)
            await self.presenter.tell(incoming.chat, toast(Line(key="oops")))

    async def _receive(self, incoming: Incoming) -> None:
        events = [] if incoming.event is None else [incoming.event]
        attachments = incoming.attachments or await self._samples(incoming)
        if attachments:
            # A request may bring many large files; few of them are in memory at once.
            gate = asyncio.Semaphore(TAKEN_AT_ONCE)
            taken = await asyncio.gather(
                *(self._take(one, incoming.platform, gate) for one in attachments)
            )
            events += [event for some in taken for event in some]
        async with self._locks[incoming.chat]:
            await self._compare(incoming.chat, events)
            after = await self._commit(incoming, events)
        if after is None:
            return
        if after.ring:
            await self.doorbell.ring()
        for screen in after.screens:
            await self.presenter.tell(incoming.chat, screen)
        self.presenter.look(incoming.chat)
        await self._forget(after)
        for job_id in after.results:
            await self.notifier.send_again(job_id)
        if after.jobs_changed:
            self.notifier.wake()

    async def _samples(self, incoming: Incoming) -> tuple[Attachment, ...]:
        """The demo's photos, where its button was pressed in the draft that shows it."""
        event = incoming.event
        if not isinstance(event, Choice) or event.verb != "sample":
            return ()
        async with self.database.read() as tx:
            stored = await conversation_store.load(tx, incoming.chat)
        conversation = draft.from_json(stored.text) if stored else Conversation()
        wanted = conversation.state is draft.State.PHOTOS and conversation.draft == event.draft
        return samples.attachments() if wanted and not conversation.photos else ()

    async def _compare(self, chat: str, events: list[Event]) -> None:
        """What takes time is done before the transaction, and remembered."""
        new = [event for event in events if isinstance(event, PhotoReceived)]
        if not new:
            return
        async with self.database.read() as tx:
            stored = await conversation_store.load(tx, chat)
            photos = draft.from_json(stored.text).photos if stored else ()
            known = await look_store.get(tx, [photo.sha256 for photo in photos])
        texts = [*(row.look for row in known.values()), *(event.look for event in new)]
        looks = [seen.look for text in texts if (seen := from_texts(text, None, None)).look]
        await asyncio.to_thread(twins.warm, looks, self.cells.limits)

    async def _commit(self, incoming: Incoming, events: list[Event]) -> After | None:
        """None: this update had its effect before."""
        after = After()
        now = time.time()
        chat = incoming.chat
        async with self.database.write() as tx:
            if not await inbox_store.first_time(tx, incoming.platform, incoming.update_id, now=now):
                return None
            await people_store.remember(tx, incoming.person)
            stored = await conversation_store.load(tx, chat)
            before = draft.from_json(stored.text) if stored else Conversation()
            conversation = before
            for event in events:
                pressed = event.draft if isinstance(event, Choice) else ""
                if isinstance(event, PhotoReceived):
                    # Known before the step, so that it is judged with the others.
                    await look_store.put(tx, event.photo.sha256, event.look, chat, now=now)
                    after.ring = True
                photos = _photos(conversation, event)
                facts = await self.reader.facts(tx, incoming.person, pressed, photos)
                conversation, actions = step(conversation, event, facts)
                for action in actions:
                    ref = stored.panel_ref if stored else ""
                    conversation = await self._do(tx, action, conversation, facts, chat, ref, after)
            if conversation != before:
                await conversation_store.save(tx, chat, draft.to_json(conversation), now=now)
        return after

    async def _do(  # noqa: PLR0913, PLR0917  an action may touch all of these
        self,
        tx: Tx,
        action: Action,
        conversation: Conversation,
        facts: Facts,
        chat: str,
        ref: str,
        after: After,
    ) -> Conversation:
        match action:
            case Show(screen):
                after.screens.append(screen)
            case SendResult(job_id):
                after.results.append(job_id)
            case CancelJob(job_id):
                await job_store.request_cancel(tx, job_id, now=facts.now)
                after.jobs_changed = True
            case Submit():
                await job_store.add(tx, _job_of(conversation, facts, chat, ref))
                after.ended.append(conversation.draft)
                after.ring = after.jobs_changed = True
                # The panel's message has become the job's; the next draft begins a new one.
                return Conversation(panel=conversation.panel)
            case DropPhotos(draft_id, photos):
                after.dropped += [photo.sha256 for photo in photos]
                after.ended += [draft_id] if draft_id else []
        return conversation

    async def _forget(self, after: After) -> None:
        """Pictures of an ended draft; and photos, with all that was seen on them, which nobody
        names any more.
        """
        for draft_id in after.ended:
            await self.blobs.delete_prefix(shown_prefix(draft_id))
        if not after.dropped:
            return
        async with self.database.write() as tx:
            unused = await look_store.unused(tx, after.dropped)
            await look_store.delete(tx, unused)
        for sha256 in unused:
            await self.blobs.delete(photo_key(sha256))

    async def _take(
        self, attachment: Attachment, platform: str, gate: asyncio.Semaphore
    ) -> list[Event]:
        """Download and look: each picture in it becomes an event, and so does each refusal."""
        async with gate:
            return await self._look_into(attachment, platform)

    async def _look_into(self, attachment: Attachment, platform: str) -> list[Event]:
        limit = self.frontends[platform].limits.in_file_bytes
        if (attachment.file_bytes or 0) > limit:
            args = {"size": (attachment.file_bytes or 0) // 1_000_000, "limit": limit // 1_000_000}
            return [FileRefused("photo.big", args)]
        data = await _fetch(attachment)
        if data is None:
            return [FileRefused("photo.fetch")]
        if not archive.is_zip(data):
            return [await self._keep(data)]
        pictures = archive.photos_in_zip(data)
        found: list[Event] = []
        try:
            # One at a time: unpacked, all together would be too much to hold.
            while (one := await asyncio.to_thread(next, pictures, None)) is not None:
                found.append(await self._keep(one))
        except archive.ZipRefusedError as error:
            # What came before the fault is whole, and is kept.
            return [*found, FileRefused(error.code, error.args_of_text)]
        unfit = [one for one in found if isinstance(one, FileRefused) and one.code == "photo.type"]
        # What is in the ZIP beside pictures is no news to anybody.
        return [one for one in found if one not in unfit] or [FileRefused("zip.empty")]

    async def _keep(self, data: bytes) -> Event:
        looked = await self.cells.look(data)
        if isinstance(looked, Refused):
            return FileRefused(looked.code, looked.args)
        sha256 = look.key_of(data)
        await self.blobs.put(photo_key(sha256), data)
        # The conversation gives the number: only it knows how many came before.
        photo = Photo(
            sha256=sha256,
            number=1,
            file_bytes=len(data),
            width=looked.width,
            height=looked.height,
        )
        return PhotoReceived(photo, json.dumps(look.to_json(looked)))


async def _fetch(attachment: Attachment) -> bytes | None:
    for left in reversed(range(FETCH_TRIES)):
        try:
            return await attachment.fetch()
        except NetworkError as error:
            if error.permanent or not left:
                return None
            await asyncio.sleep(FETCH_PAUSE_S)
    return None


def _photos(conversation: Conversation, event: Event) -> tuple[Photo, ...]:
    """All whose looks the next step may ask for."""
    new = (event.photo,) if isinstance(event, PhotoReceived) else ()
    return (*conversation.photos, *new)


def _job_of(conversation: Conversation, facts: Facts, chat: str, ref: str) -> Job:
    base = facts.base(conversation.base)
    assert base is not None  # noqa: S101  the conversation has just looked
    words = (conversation.trigger, CLASS_WORDS[conversation.kind])
    count = review(conversation, facts).used
    return Job(
        id=conversation.draft,
        chat=chat,
        person=facts.person,
        name=conversation.name,
        kind=conversation.kind,
        params=params_for(
            base.id, base.family, words, count, base.overrides, Quality(conversation.quality)
        ),
        photos=conversation.photos,
        created_at=facts.now,
        wishes=json.dumps(conversation.wishes.to_json()),
        # A job that has its message from the start never sends a second one.
        status_ref=panel_ref(ref, conversation.panel),
    )
