"""Fetch updates: each lies in the inbox before the next question confirms it."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar, cast
from urllib.parse import urlencode

from telegram import Bot
from telegram.constants import UpdateType
from telegram.error import Conflict, InvalidToken, RetryAfter, TelegramError
from telegram.request import BaseRequest

from bot.lasting import lasting
from bot.telegram.errors import TokenRejectedError, name, says, seconds
from bot.telegram.inbox import Inbox, Raw

log = logging.getLogger(__name__)

WANTED = (UpdateType.MESSAGE, UpdateType.CALLBACK_QUERY, UpdateType.MY_CHAT_MEMBER)
WAIT_S = 25  # Telegram holds the answer back for so long while there is no news
ANSWER_S = 20.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
WEBHOOK = "webhook is active"

Answer = TypeVar("Answer")


class Polling:
    """``request`` carries the long questions alone: they must not take a place among the others."""

    def __init__(self, request: BaseRequest, bot: Bot, inbox: Inbox) -> None:
        self._request = request
        self._bot = bot
        self._inbox = inbox

    async def run(self) -> None:
        """For ever. An offset is sent only to confirm: after a week of silence Telegram begins to
        count anew, perhaps lower. What it repeats is known by its id.
        """
        await patiently(self._bot.delete_webhook)
        await lasting(self._inbox.resume)
        offset = 0
        while True:
            updates = await patiently(partial(self._fetch, offset))
            # Until it lies there: only the next question confirms it.
            await lasting(partial(self._inbox.keep, updates))
            offset = max((one["update_id"] + 1 for one in updates), default=0)

    async def _fetch(self, offset: int) -> list[Raw]:
        wanted = json.dumps(WANTED)
        asked = urlencode({"offset": offset, "timeout": WAIT_S, "allowed_updates": wanted})
        try:
            answer = await self._request.post(
                f"{self._bot.base_url}/getUpdates?{asked}", read_timeout=WAIT_S + ANSWER_S
            )
        except Conflict as error:
            if not says(error, WEBHOOK):
                raise
            log.warning("another program set a webhook for this bot; it is taken away again")
            await self._bot.delete_webhook()
            raise
        return cast(list[Raw], answer)


async def patiently(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Until Telegram answers, with a growing pause. Only a wrong token is hopeless."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except InvalidToken:
            raise TokenRejectedError from None
        except RetryAfter as error:
            pause = max(pause, seconds(error))
        except Conflict as error:
            if not says(error, WEBHOOK):
                log.warning(
                    "another program reads this bot's messages: stop it, or change its token"
                )
        except TelegramError as error:
            log.warning("Telegram does not answer (%s)", name(error))
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)
