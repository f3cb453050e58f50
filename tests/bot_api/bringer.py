"""Updates brought to a webhook, as the document of setWebhook has it."""

import asyncio
import re
from urllib.parse import urlsplit

import httpx

from tests.bot_api.feed import Feed, Update
from tests.bot_api.refusals import bad_request

PORTS = (443, 80, 88, 8443)
SECRET = re.compile(r"[A-Za-z0-9_-]{1,256}")
AGAIN_S = 0.05  # the real one waits longer


def check_address(url: str, *, local: bool) -> None:
    """A server in its local mode goes to any address."""
    parts = urlsplit(url)
    if local:
        return
    if parts.scheme != "https":
        raise bad_request("bad webhook: An HTTPS URL must be provided for webhook")
    if (parts.port or 443) not in PORTS:
        raise bad_request("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443")


def check_secret(secret: str) -> None:
    if secret and not SECRET.fullmatch(secret):
        raise bad_request("secret token contains unallowed characters")


class Bringer:
    """While it runs, each update is posted until a 2xx takes it. ``error`` is what was said last
    instead; ``posts`` counts.
    """

    def __init__(self, feed: Feed, url: str, secret: str, at_once: int) -> None:
        self.url = url
        self.error = ""
        self.posts = 0
        self.most_at_once = 0
        self._feed = feed
        self._headers = {"X-Telegram-Bot-Api-Secret-Token": secret} if secret else {}
        self._gate = asyncio.Semaphore(at_once)
        self._now = 0
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        on_the_way: dict[int, asyncio.Task[None]] = {}
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            try:
                while True:
                    self._feed.news.clear()
                    for update in self._feed.waiting:
                        number = int(str(update["update_id"]))
                        if number not in on_the_way or on_the_way[number].done():
                            post = self._post(client, update)
                            on_the_way[number] = asyncio.create_task(post)
                    await self._feed.news.wait()
            finally:
                for task in on_the_way.values():
                    task.cancel()
                await asyncio.gather(*on_the_way.values(), return_exceptions=True)

    async def _post(self, client: httpx.AsyncClient, update: Update) -> None:
        async with self._gate:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            try:
                while True:
                    if await self._taken(client, update):
                        break
                    await asyncio.sleep(AGAIN_S)
            finally:
                self._now -= 1
        await self._feed.taken(update)

    async def _taken(self, client: httpx.AsyncClient, update: Update) -> bool:
        self.posts += 1
        try:
            answer = await client.post(self.url, json=update, headers=self._headers)
        except httpx.HTTPError:
            self.error = "Connection refused"
            return False
        if not answer.is_success:
            code = f"{answer.status_code} {answer.reason_phrase}"
            self.error = f"Wrong response from the webhook: {code}"
        return answer.is_success
