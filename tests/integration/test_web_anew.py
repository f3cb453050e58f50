"""Whoever deletes everything sees it go: on an open page, and on one that was away meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from bot.frontend import Message
from bot.frontends.web import Site, Web
from bot.links import Links
from lorabot.compose import assemble, run
from pictures.sandbox import Cells
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.settings import Settings
from tests.browser import need_browser, open_page, serving
from tests.web_client import WebPerson

LAST_WORD = "Deleted: your photos"


@pytest.fixture
async def address(database: Database, cells: Cells, tmp_path: Path) -> AsyncIterator[str]:
    """The page with the whole bot behind it."""
    site = Site(secret="secret", spool=tmp_path / "spool", port=0)
    blobs, links = LocalBlobs(tmp_path / "blobs"), Links("secret", hours=1)
    web = Web(database, blobs, links, site, cells)
    stop = asyncio.Event()
    bot = assemble(Settings(data_dir=tmp_path), database, [web], cells)
    running = asyncio.create_task(run(bot, stop))
    await web.ready.wait()
    yield web.address
    stop.set()
    await running


async def told(one: WebPerson, since: int) -> list[tuple[str, str]]:
    """Kind and data of all that a page hears which has seen so much."""
    heard, kind = [], "message"
    async with one.http.stream("GET", "/events", params={"since": since}) as answer:
        async for line in answer.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                kind = value
            if kind == "ready":
                break
            if name == "data":
                heard.append((kind, value))
                kind = "message"
    return heard


async def said_much(one: WebPerson) -> None:
    await one.until(lambda: one.chat)
    for name in ("help", "status", "privacy"):
        await one.say(f"/{name}")
    await one.until(lambda: one.said("Your data on this server"))


async def deletes_everything(one: WebPerson) -> None:
    await one.say("/delete")
    await one.press("Delete everything about me")
    await one.press("Yes, delete everything")


async def test_an_open_page_reads_the_last_word_and_forgets_the_rest(address: str) -> None:
    async with WebPerson(address) as one:
        await said_much(one)
        await deletes_everything(one)
        await one.until(lambda: one.said(LAST_WORD))
        assert not one.said("Your data on this server")
        assert not any(shown["from"] == "me" for shown in one.in_order())
        # The chat goes on as before.
        await one.say("/help")
        await one.until(lambda: one.said("/train"))


async def test_a_page_that_was_away_forgets_it_when_it_is_back(address: str) -> None:
    async with WebPerson(address) as one:
        await said_much(one)
        seen = len(await told(one, 0))
        await deletes_everything(one)
        await one.until(lambda: one.said(LAST_WORD))
        # By then the chat may have more messages than the page had seen.
        for _ in range(seen):
            await one.say("/help")
        await one.until(lambda: len(one.messages) >= 2 * seen)
        heard = await told(one, seen)
    assert heard[0] == ("anew", "{}")
    assert len([kind for kind, _ in heard if kind == "message"]) == len(one.messages)
    assert any(LAST_WORD in data for _, data in heard)


async def test_a_page_from_after_a_backup_begins_at_its_beginning(
    database: Database, tmp_path: Path
) -> None:
    async with serving(database, tmp_path) as script, WebPerson(script.web.address) as one:
        await one.until(lambda: one.chat)
        for number in range(3):
            await script.web.send(one.chat, Message(text=f"m{number}"), key=f"k{number}")
        assert [kind for kind, _ in await told(one, 900)] == ["anew", *["message"] * 3]
        assert [kind for kind, _ in await told(one, 2)] == ["message"]


@pytest.mark.browser
@pytest.mark.timeout(120)
async def test_in_the_browser_it_goes_without_a_reload(address: str) -> None:
    need_browser()
    complaints: list[str] = []
    async with open_page(address, complaints) as page:
        log = page.locator("#log")
        box = page.get_by_role("textbox")
        for words in ("/help", "/privacy", "/delete"):
            await box.fill(words)
            await box.press("Enter")
        await page.get_by_role("button", name="Delete everything about me").last.click()
        await page.evaluate("window.untouched = true")
        await page.get_by_role("button", name="Yes, delete everything").last.click()
        await expect(log.get_by_text(LAST_WORD)).to_be_visible()
        await expect(log.get_by_text("Your data on this server")).to_have_count(0)
        await expect(log.locator("li.me")).to_have_count(0)
        await box.fill("/help")
        await box.press("Enter")
        await expect(log.locator("li.me")).to_have_count(1)
        assert await page.evaluate("window.untouched")
    assert complaints == []
