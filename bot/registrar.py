"""What people decide about their data becomes true: consent, photos that go, exports, good-byes."""

import asyncio
import logging
from dataclasses import dataclass, field

from bot.events import (
    ChooseLanguage,
    DropJobPhotos,
    Export,
    ForgetMe,
    GiveConsent,
    Prefer,
    PrivacyAction,
)
from bot.exporter import Exporter
from bot.facts import Facts
from bot.frontend import Frontend
from bot.janitor import Janitor
from storage import consent_store, erase_store, look_store, people_store, preference_store
from storage.database import Tx

log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Registrar:
    """``policy`` is the version of the rules that people agree to."""

    janitor: Janitor
    exporter: Exporter
    policy: str
    _beside: set[asyncio.Task[None]] = field(default_factory=set)

    async def write(self, tx: Tx, action: PrivacyAction, facts: Facts, chat: str) -> None:
        """Its part in the update's transaction."""
        match action:
            case GiveConsent(photos):
                await consent_store.give(tx, facts.person, self.policy, now=facts.now)
                await look_store.release(tx, [photo.sha256 for photo in photos])
            case ChooseLanguage(language):
                await people_store.choose_language(tx, facts.person, language)
            case Prefer(preferences):
                await preference_store.put(tx, facts.person, preferences)
            case ForgetMe():
                await erase_store.ask(tx, facts.person, chat, now=facts.now)

    async def after(
        self, action: PrivacyAction, person: str, chat: str, frontend: Frontend
    ) -> None:
        """Once that is committed."""
        match action:
            case DropJobPhotos(job_id):
                await self.janitor.drop_photos(job_id, person)
            case ForgetMe():
                self.janitor.wake()
            case Export():
                # Beside everything else: to pack hundreds of photos takes a while.
                task = asyncio.create_task(self.exporter.send(person, chat, frontend))
                self._beside.add(task)
                task.add_done_callback(self._beside.discard)

    async def close(self) -> None:
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
