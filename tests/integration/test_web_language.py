"""The page's own words over real HTTP: in whose language, and that none is missing."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from bot.frontends.web import Site, Web
from bot.links import Links
from bot.texts.catalog import Catalog, languages, speak
from bot.web.language import spoken
from lorabot.compose import converse
from pictures.sandbox import Cells
from storage.blob_store import LocalBlobs
from storage.database import Database
from storage.settings import Settings
from tests.web_client import WebPerson

WRITES = {"en": "Write, or drop photos here", "ru": "Сообщение или фото", "zh": "输入文字"}
NOTHING = {"en": "Nothing here", "ru": "Здесь ничего нет", "zh": "这里什么都没有"}


@pytest.fixture
async def address(database: Database, cells: Cells, tmp_path: Path) -> AsyncIterator[str]:
    blobs = LocalBlobs(tmp_path / "blobs")
    site = Site(secret="secret", spool=tmp_path / "spool", port=0)
    web = Web(database, blobs, Links("secret", hours=1), site, cells)
    stop = asyncio.Event()
    told = web.listen()
    bot = converse(Settings(data_dir=tmp_path), database, [web], cells, stop)
    running = asyncio.create_task(bot)
    await web.ready.wait()
    yield told
    stop.set()
    await running


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("ru-RU,ru;q=0.9,en;q=0.5", "ru-RU"),
        ("de-DE,de;q=0.9,zh-CN;q=0.8,en;q=0.7", "zh-CN"),
        ("en;q=0.2, ru;q=0.8", "ru"),
        ("ru;q=0, de", "de"),
        ("de-AT, fr", "de-AT"),
        ("*", ""),
        ("<script>, ;;q=, en;q=x", ""),
        ("", ""),
    ],
)
def test_the_best_liked_language_that_there_is_counts(header: str, language: str) -> None:
    assert spoken(header) == language


@pytest.mark.parametrize("language", languages())
async def test_the_page_speaks_the_browsers_language(address: str, language: str) -> None:
    likes = {"accept-language": f"{language},de;q=0.5"}
    async with httpx.AsyncClient(base_url=address, headers=likes) as http:
        page = (await http.get("/")).text
        assert f'<html lang="{language}">' in page
        assert WRITES[language] in page
        gone = await http.get("/nothing")
        assert gone.status_code == 404
        assert NOTHING[language] in gone.text
        assert f'<html lang="{language}">' in gone.text
        refused = await http.post("/say", headers={"origin": address}, content=b"x")
        assert refused.json()["error"] == Catalog.load(language).text("web.not_json")
        http.cookies.clear()
        bounced = (await http.get("/", headers={"sec-fetch-site": "cross-site"})).text
        assert Catalog.load(language).text("web.open") in bounced


async def test_without_a_word_of_the_browsers_it_is_the_servers_language(address: str) -> None:
    speak("ru")
    try:
        async with httpx.AsyncClient(base_url=address, headers={"accept-language": "de"}) as http:
            assert WRITES["ru"] in (await http.get("/")).text
    finally:
        speak("en")


async def test_what_the_person_has_chosen_comes_before_the_browser(address: str) -> None:
    async with WebPerson(address) as ada:
        ada.http.headers["accept-language"] = "en"
        await ada.until(lambda: ada.chat)
        await ada.say("/language")
        await ada.until(lambda: ada.button("Русский"))
        button = ada.button("Русский")
        assert button is not None
        told = await ada.http.post("/press", json={"id": "press-1", "data": button["data"]})
        assert told.json() == {"ok": True, "language": "ru"}
        assert WRITES["ru"] in (await ada.http.get("/")).text
        assert NOTHING["ru"] in (await ada.http.get("/nothing")).text
    async with httpx.AsyncClient(base_url=address) as somebody_else:
        assert WRITES["en"] in (await somebody_else.get("/")).text


@pytest.mark.parametrize("language", languages())
async def test_no_english_is_left_in_the_page_of_another_language(
    address: str, language: str
) -> None:
    async with httpx.AsyncClient(base_url=address) as http:
        page = (await http.get("/", headers={"accept-language": language})).text
    seen = re.sub(r"<script.*?</script>|<code>.*?</code>|<[^>]*>", " ", page, flags=re.DOTALL)
    seen += " ".join(re.findall(r'(?:aria-label|title|placeholder|alt)="([^"]*)"', page))
    words = set(re.findall(r"[a-z]{3,}", seen.lower()))
    names = {"lorabot", "zip", "javascript", "chat"}
    assert language == "en" or words <= names
