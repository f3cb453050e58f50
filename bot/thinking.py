"""One step of a conversation, with the facts that it turns out to need."""

from dataclasses import dataclass, replace

from bot import library, privacy
from bot.backroom import Backroom
from bot.conversation import step
from bot.draft import Conversation
from bot.events import Action, Choice, Event, PhotoReceived
from bot.facts import Facts
from bot.frontend import Incoming
from bot.reading import Reader
from bot.unread import GROUPS, UnreadError
from storage.database import Tx
from storage.job import Photo


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """What follows from an event, and the facts that it followed from."""

    conversation: Conversation
    actions: tuple[Action, ...]
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Thinker:
    """The conversation's pure step, and those who read for it."""

    reader: Reader
    backroom: Backroom

    async def think(
        self,
        tx: Tx,
        incoming: Incoming,
        conversation: Conversation,
        event: Event,
        last: Facts | None,
        *,
        eager: bool = False,
    ) -> Thought:
        """``last`` are the facts of a photo just before this event; ``eager``: everything is read
        at once, for whoever uses facts after the step. The step is pure, so it is simply made again
        when it asks for something that was not read.
        """
        photos = conversation.photos
        if isinstance(event, PhotoReceived):
            photos += (event.photo,)
        else:
            last = None  # one photo's facts serve the next photo alone
        if last is None:
            facts = await self._facts(tx, incoming, conversation, event, photos, eager=eager)
        else:
            facts = await self.reader.looked(tx, last, photos)
        while True:
            try:
                known = await self.backroom.look(tx, event, facts) if last is None else facts
                after, actions = step(conversation, event, known)
            except UnreadError as unread:
                facts = await self.reader.fill(tx, facts, unread.what)
            else:
                return Thought(conversation=after, actions=tuple(actions), facts=known)

    async def _facts(
        self,
        tx: Tx,
        incoming: Incoming,
        conversation: Conversation,
        event: Event,
        photos: tuple[Photo, ...],
        *,
        eager: bool,
    ) -> Facts:
        facts = await self.reader.facts(
            tx,
            incoming.person,
            event.draft if isinstance(event, Choice) else "",
            photos,
            library.looked_at(conversation, event),
            counted=privacy.looks_up(event),
            known=GROUPS if eager else (),
        )
        return replace(facts, in_group=incoming.in_group)
