"""The shell round the conversation: load, step, commit everything in one transaction, then show.

An update is acknowledged only after `receive` returned, and has its effect once however often it
comes. What is shown follows from the rows, so a crash after the commit loses nothing either.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from sqlalchemy.exc import DBAPIError

from bot import draft, samples
from bot.aftermath import After, ask_of_job
from bot.backroom import Backroom
from bot.blocklist import Blocklist
from bot.darkroom import shown_prefix
from bot.deep_links import meant
from bot.draft import Conversation
from bot.events import (
    Action,
    AskFinish,
    AskSamples,
    CancelJob,
    Choice,
    ChooseLanguage,
    DeleteModel,
    DropJobPhotos,
    DropPhotos,
    Event,
    Export,
    FileRefused,
    ForgetMe,
    GiveConsent,
    PhotoReceived,
    Prefer,
    Rate,
    RenameModel,
    SendCard,
    SendResult,
    SendStep,
    Show,
    Submit,
)
from bot.facts import Facts
from bot.frontend import Attachment, Frontend, Incoming
from bot.intake import Intake
from bot.librarian import Librarian
from bot.new_job import job_of
from bot.notifier import Notifier
from bot.presenter import Presenter
from bot.reading import Reader
from bot.registrar import Registrar
from bot.screen import Line
from bot.screens import toast
from bot.thinking import Thinker
from bot.unread import UnreadError
from pictures import twins
from pictures.sandbox import Cells
from pictures.seen import from_texts
from storage import (
    conversation_store,
    inbox_store,
    job_store,
    limit_store,
    look_store,
    mark_store,
    people_store,
)
from storage.blob_store import photo_key, samples_prefix
from storage.blobs import Blobs, StoreError
from storage.database import Database, Tx
from storage.doorbell import Doorbell
from storage.job import JobState

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Dialogue:
    """``frontends`` by platform. One lock per chat: an album arrives as many updates at once."""

    database: Database
    blobs: Blobs
    cells: Cells
    reader: Reader
    thinker: Thinker
    doorbell: Doorbell
    presenter: Presenter
    notifier: Notifier
    librarian: Librarian
    registrar: Registrar
    blocklist: Blocklist
    backroom: Backroom
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
            async with self.database.write() as tx:
                await _is_first(tx, incoming, time.time())
            await self.presenter.tell(incoming.chat, toast(Line(key="oops")))

    async def _receive(self, incoming: Incoming) -> None:
        events = [] if incoming.event is None else [meant(incoming.event)]
        if attachments := incoming.attachments or await self._samples(incoming):
            events += await self._take(attachments, incoming)
        async with self._locks[incoming.chat]:
            await self._compare(incoming.chat, events)
            try:
                after = await self.database.retrying(partial(self._commit, incoming, events))
            except UnreadError:
                # An action needs more than its step did; nothing was committed.
                again = partial(self._commit, incoming, events, eager=True)
                after = await self.database.retrying(again)
        if after is not None:
            await self._conclude(after, incoming)

    async def _take(self, attachments: tuple[Attachment, ...], incoming: Incoming) -> list[Event]:
        if not await self.backroom.admits(incoming.person.id):
            # Nothing of theirs is fetched or kept; the door answers.
            return [FileRefused("photo.fetch")]
        intake = Intake(
            blobs=self.blobs,
            cells=self.cells,
            frontends=self.frontends,
            blocklist=self.blocklist,
        )
        return await intake.take(attachments, incoming.platform)

    async def _conclude(self, after: After, incoming: Incoming) -> None:
        """What the transaction has left to do."""
        if after.ring:
            await self.doorbell.ring()
        for screen in after.screens:
            await self.presenter.tell(incoming.chat, screen, language=after.language)
        if after.panel_changed:
            self.presenter.look(incoming.chat)
        await self._forget(after)
        for action in after.library:
            await self.librarian.after(action, incoming.chat, self.frontends[incoming.platform])
        for order in after.orders:
            await self.backroom.after(order, incoming.chat)
        for one in after.privacy:
            frontend = self.frontends[incoming.platform]
            await self.registrar.after(one, incoming.person.id, incoming.chat, frontend)
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

    async def _commit(
        self, incoming: Incoming, events: list[Event], tx: Tx, *, eager: bool = False
    ) -> After | None:
        """Rows alone, because it may come again. None: this update had its effect before.
        ``eager``: with all facts, needed or not.
        """
        after = After()
        now = time.time()
        chat = incoming.chat
        if not await _is_first(tx, incoming, now):
            return None
        language = await people_store.remember(tx, incoming.person, now=now)
        after.language = language if chat == incoming.person.id else None
        if incoming.out_file_bytes is not None:
            await limit_store.said(tx, chat, incoming.out_file_bytes, now=now)
        stored = await conversation_store.load(tx, chat)
        before = draft.from_json(stored.text) if stored else Conversation()
        conversation = before
        brings = any(isinstance(event, PhotoReceived) for event in events)
        held = brings and await self.reader.wants_consent(tx, incoming.person.id)
        last: Facts | None = None
        for event in events:
            if isinstance(event, PhotoReceived):
                # Known before the step, so that it is judged with the others.
                await look_store.put(tx, event.photo.sha256, event.look, chat, now=now, held=held)
                after.ring = True
            thought = await self.thinker.think(tx, incoming, conversation, event, last, eager=eager)
            last = thought.facts if isinstance(event, PhotoReceived) else None
            conversation = thought.conversation
            for action in thought.actions:
                ref = stored.panel_ref if stored else ""
                conversation = await self._do(
                    tx, action, conversation, thought.facts, chat, ref, after
                )
            if isinstance(event, PhotoReceived | FileRefused) and event.ref:
                sha256 = event.photo.sha256 if isinstance(event, PhotoReceived) else ""
                await mark_store.note(tx, chat, event.ref, sha256, now=now)
        if conversation != before:
            await conversation_store.save(tx, chat, draft.to_json(conversation), now=now)
            after.panel_changed = True
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
            case CancelJob() | AskSamples() | AskFinish():
                await ask_of_job(tx, action, facts, after)
            case Submit(held=held):
                job = job_of(conversation, facts, chat, ref)
                state = JobState.HELD if held else JobState.QUEUED
                await job_store.add(tx, replace(job, state=state))
                await mark_store.forget(tx, [chat])
                after.ended.append(conversation.draft)
                after.ring = after.jobs_changed = True
                # The panel's message has become the job's; the next draft begins a new one.
                return Conversation(panel=conversation.panel)
            case DropPhotos(draft_id, photos):
                after.dropped += [photo.sha256 for photo in photos]
                after.ended += [draft_id] if draft_id else []
                await mark_store.forget(tx, [chat] if draft_id else [])
            case (GiveConsent() | ChooseLanguage() | Prefer()) | (
                DropJobPhotos() | ForgetMe() | Export()
            ):
                await self.registrar.write(tx, action, facts, chat)
                after.privacy.append(action)
                after.language = None  # it may be another one now
                after.ring = True
            case SendResult() | SendCard() | SendStep() | RenameModel() | DeleteModel() | Rate():
                await self.librarian.write(tx, action, facts)
                after.library.append(action)
            case order:
                await self.backroom.write(tx, order, facts)
                after.orders.append(order)
                after.ring = after.jobs_changed = True
        return conversation

    async def _forget(self, after: After) -> None:
        """Pictures of an ended draft; and photos, with all that was seen on them, which nobody
        names any more.
        """
        unused: list[str] = []
        if after.dropped:
            async with self.database.write() as tx:
                unused = await look_store.unused(tx, after.dropped)
                await look_store.delete(tx, unused)
        try:
            for draft_id in after.ended:
                await self.blobs.delete_prefix(shown_prefix(draft_id))
            for job_id in after.cancelled:
                await self.blobs.delete_prefix(samples_prefix(job_id))
            for sha256 in unused:
                await self.blobs.delete(photo_key(sha256))
        except StoreError as error:
            # No row names them any more: the janitor finds them.
            log.warning("files stay for now (%s)", error)


async def _is_first(tx: Tx, incoming: Incoming, now: float) -> bool:
    """Claim the update's effect for this transaction; False: it had its effect already."""
    if incoming.once is not None:
        return await incoming.once(tx)
    return await inbox_store.first_time(tx, incoming.platform, incoming.update_id, now=now)
