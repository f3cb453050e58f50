"""The page's own words in a real browser, in three languages, on a phone and in the dark."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from bot.events import Command
from bot.frontend import Message
from bot.screen import Slot
from bot.texts.catalog import Catalog
from storage.database import Database
from tests.browser import Script, need_browser, open_page, serving
from tests.drawn import photos

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]

WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
NAMELESS = """() => [...document.querySelectorAll("button, a, input, textarea")]
  .filter((n) => !n.textContent.trim() && !n.ariaLabel && !n.labels?.length)
  .map((n) => n.outerHTML)"""
CUT = "(n) => n.scrollWidth > n.clientWidth"
PHONE = {"width": 360, "height": 740}
SPOKEN = [
    ("en-GB", "en", "light", ["1 file", "2 files", "5 files"]),
    ("ru-RU", "ru", "dark", ["1 файл", "2 файла", "5 файлов"]),
    ("zh-CN", "zh", "light", ["1 个文件", "2 个文件", "5 个文件"]),
]


@pytest.fixture(autouse=True)
def browser_or_skip() -> None:
    need_browser()


@pytest.fixture
async def script(database: Database, tmp_path: Path) -> AsyncIterator[Script]:
    async with serving(database, tmp_path) as one:
        yield one


@pytest.mark.parametrize(("locale", "language", "colours", "counted"), SPOKEN)
async def test_the_page_speaks_and_fits(
    script: Script, tmp_path: Path, locale: str, language: str, colours: str, counted: list[str]
) -> None:
    text = Catalog.load(language).text
    paths = []
    for number, data in enumerate(photos(8)):
        (tmp_path / f"{number}.png").write_bytes(data)
        paths.append(str(tmp_path / f"{number}.png"))
    complaints: list[str] = []
    looks = {"viewport": PHONE, "locale": locale, "color_scheme": colours}
    async with open_page(script.web.address, complaints, **looks) as page:
        await expect(page.locator("html")).to_have_attribute("lang", language)
        await expect(page.locator("#state")).to_have_text(text("web.online"))
        await expect(page.get_by_label(text("web.message"), exact=True)).to_be_visible()
        for count, words in zip((1, 2, 5), counted, strict=True):
            await page.locator("#picker").set_input_files(paths[:count])
            await expect(page.locator(".count").last).to_have_text(words)
        assert await page.evaluate(NAMELESS) == []
        assert not await page.evaluate(WIDER)
        for button in await page.locator("#chips button").all():
            assert not await button.evaluate(CUT)
    assert complaints == []


async def test_a_command_in_a_text_can_be_pressed_and_a_path_cannot(script: Script) -> None:
    complaints: list[str] = []
    async with open_page(script.web.address, complaints) as page:
        await expect(page.locator("#state")).to_have_text("online")
        said = Message(text="See /models, or /data/models and /nothing.\n/help – what there is")
        await script.web.send(script.chat, said, key="said")
        commands = page.locator("#log .command")
        await expect(commands).to_have_text(["/models", "/help"])
        await commands.first.click()
        assert (await script.until(2))[1].event == Command("models")
    assert complaints == []


async def test_a_panel_that_has_moved_on_steps_back(script: Script) -> None:
    async with open_page(script.web.address, []) as page:
        await expect(page.locator("#state")).to_have_text("online")
        old = Message(text="12 of 12 in use", slot=Slot.PANEL)
        await script.web.send(script.chat, old, key="old")
        await expect(page.locator("#m-old")).to_have_class("bot spent")
        await expect(page.locator("#m-hello")).to_have_class("bot")
