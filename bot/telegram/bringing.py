"""Have Telegram bring updates to the webhook, and see that it goes on doing so."""

import asyncio
import logging
from contextlib import suppress
from datetime import datetime

from telegram import Bot
from telegram.error import BadRequest, TelegramError

from bot.telegram.inbox import Inbox
from bot.telegram.polling import WANTED, patiently
from bot.telegram.webhook import Webhook

log = logging.getLogger(__name__)

AT_ONCE = 16  # requests that Telegram makes at the same time; each only writes one row
LOOK_S = 300.0


class Bringing:
    def __init__(self, bot: Bot, inbox: Inbox, webhook: Webhook) -> None:
        self._bot = bot
        self._inbox = inbox
        self._webhook = webhook
        self._told: datetime | None = None

    async def run(self) -> None:
        """For ever. The door is open before Telegram hears of it: it may know it from before."""
        await self._inbox.resume()
        self._webhook.open(self._inbox.keep)
        await patiently(self._set)
        while True:
            await asyncio.sleep(LOOK_S)
            with suppress(TelegramError):
                await self.look()

    async def look(self) -> None:
        """Whether Telegram still knows the address, and what it says of its last visits."""
        found = await self._bot.get_webhook_info()
        if found.url != self._webhook.url:
            log.warning("another program changed this bot's webhook; it is set again")
            await self._set()
        elif found.last_error_date not in (None, self._told):
            self._told = found.last_error_date
            waiting, why = found.pending_update_count, found.last_error_message
            log.warning("Telegram could not bring updates (%s); %d wait there", why, waiting)

    async def _set(self) -> None:
        try:
            await self._bot.set_webhook(
                self._webhook.url,
                allowed_updates=WANTED,
                max_connections=AT_ONCE,
                secret_token=self._webhook.secret,
            )
        except BadRequest as error:
            log.warning("Telegram refuses the webhook (%s): check PUBLIC_URL", error.message)
            raise
