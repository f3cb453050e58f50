"""The page by itself in a real browser, with a scripted bot behind it."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from bot.events import Choice, Command, Text
from bot.frontend import Message, RenderedButton
from storage.database import Database
from tests.browser import HELLO, Script, need_browser, open_page, serving
from tests.drawn import photos

pytestmark = [pytest.mark.browser, pytest.mark.timeout(90)]

PASTE = """
async (text) => {
  const data = new DataTransfer();
  const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  data.items.add(new File([bytes], "image.png", {type: "image/png"}));
  document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
}
"""
WIDER = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
AT_END = "(n) => n.scrollHeight - n.scrollTop - n.clientHeight < 5"


def said(page: Page, text: str) -> Locator:
    """In the dialogue; what is read out to a screen reader stands elsewhere."""
    return page.locator("#log").get_by_text(text)


@pytest.fixture(autouse=True)
def browser_or_skip() -> None:
    need_browser()


@pytest.fixture
async def script(database: Database, tmp_path: Path) -> AsyncIterator[Script]:
    async with serving(database, tmp_path) as one:
        yield one


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console may not hold: script errors, refusals of the content policy."""
    return []


@pytest.fixture
async def page(script: Script, complaints: list[str]) -> AsyncIterator[Page]:
    async with open_page(script.web.address, complaints) as one:
        await expect(said(one, "Hello from the script")).to_be_visible()
        yield one
    assert complaints == []


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    paths = []
    for number, data in enumerate(photos(12)):
        (tmp_path / f"photo{number}.png").write_bytes(data)
        paths.append(str(tmp_path / f"photo{number}.png"))
    return paths


async def test_the_first_visit_greets_once(page: Page, script: Script) -> None:
    await page.reload()
    await expect(said(page, "Hello from the script")).to_be_visible()
    await expect(page.locator("#state")).to_have_text("online")
    assert [one.event for one in script.came] == [Command("start")]
    await expect(page.locator("footer")).to_contain_text(script.chat)


async def test_marks_are_styles_and_a_code_can_be_copied(page: Page) -> None:
    await expect(page.locator("li.bot strong")).to_have_text("Hello")
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.locator(".code").click()
    await expect(page.locator(".code")).to_have_attribute("data-done", "Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == "script"


async def test_what_looks_like_html_is_shown_as_it_is(page: Page, script: Script) -> None:
    nasty = "<img src=x onerror=alert(1)> <b>x</b> **a<i>** `<script>`"
    await page.get_by_role("textbox").fill(nasty)
    await page.keyboard.press("Enter")
    await expect(page.locator("li.me")).to_have_text(nasty)
    await expect(page.locator("li.bot").last).to_contain_text("<img src=x onerror=alert(1)> <b>x")
    assert await page.locator("#log img, #log b, #log i, #log script").count() == 0
    bad = RenderedButton(label="Open", url="javascript:alert(1)")
    await script.web.send(script.chat, Message(text="link", buttons=((bad,),)), key="bad")
    await expect(page.get_by_role("link", name="Open")).to_have_attribute("href", "#")


async def test_a_pressed_button_waits_and_the_message_changes_in_place(
    page: Page, script: Script
) -> None:
    await script.web.send(script.chat, Message(text="below"), key="below")
    await expect(said(page, "below")).to_be_visible()
    script.hold.clear()
    button = page.locator(".keys button")
    await button.click()
    await expect(button).to_be_disabled()
    assert (await script.until(2))[1].event == Choice("train")
    script.hold.set()
    await expect(said(page, "Pressed train")).to_be_visible()
    await expect(button).to_be_enabled()
    assert await page.locator("#log li").all_text_contents() == ["Pressed trainTrain", "below"]


async def test_the_focus_stays_on_a_button_whose_message_changes(
    page: Page, script: Script
) -> None:
    button = page.locator(".keys button")
    await button.focus()
    await script.web.edit(script.chat, "hello", Message(text="Changed", buttons=HELLO.buttons))
    await expect(said(page, "Changed")).to_be_visible()
    await expect(button).to_be_focused()


async def test_a_row_of_blocks_is_a_bar(page: Page, script: Script) -> None:
    for full in (3, 6):
        bar = "▓" * full + "░" * (10 - full)
        await script.web.send(script.chat, Message(text=f"{bar} {full}0 %"), key="status")
        await expect(page.get_by_role("progressbar")).to_have_js_property("value", full)
    await expect(said(page, "60 %")).to_be_visible()


async def test_many_files_go_out_at_once_with_pictures(
    page: Page, script: Script, pictures: list[str]
) -> None:
    script.hold.clear()
    await page.locator("#picker").set_input_files(pictures)
    await expect(page.locator(".tile img[src^='blob:']")).to_have_count(12)
    assert len((await script.until(2))[1].attachments) == 12
    await expect(said(page, "Looking at them")).to_be_visible()
    script.hold.set()
    await expect(said(page, "12 came")).to_be_visible()
    await expect(page.locator(".track")).to_have_count(0)
    await expect(page.locator("li.me")).to_have_count(1)
    await page.reload()
    await expect(page.locator(".tile img[src*='/thumb/']")).to_have_count(12)
    await expect(said(page, "12 files")).to_be_visible()


async def test_a_picture_can_be_pasted(page: Page, script: Script) -> None:
    await page.evaluate(PASTE, base64.b64encode(photos(1)[0]).decode())
    (attachment,) = (await script.until(2))[1].attachments
    assert attachment.suffix == ".png"


async def test_a_file_over_the_limit_is_told_before_it_is_sent(
    page: Page, script: Script, tmp_path: Path
) -> None:
    (tmp_path / "huge.png").write_bytes(b"\0" * 50_000_001)
    await page.locator("#picker").set_input_files(str(tmp_path / "huge.png"))
    await expect(page.get_by_role("alert")).to_contain_text("huge.png is too large")
    assert len(script.came) == 1


async def test_an_upload_that_fails_can_be_sent_again(
    page: Page, script: Script, pictures: list[str], complaints: list[str]
) -> None:
    refused = '{"error": "This server has no room for these files."}'
    await page.route("**/upload*", lambda route: route.fulfill(status=507, body=refused))
    await page.locator("#picker").set_input_files(pictures[:2])
    await expect(page.get_by_role("alert")).to_have_text("This server has no room for these files.")
    await page.unroute("**/upload*")
    await page.get_by_role("button", name="Try again").click()
    await expect(said(page, "2 came")).to_be_visible()
    assert len(script.came) == 2
    assert all("507" in one for one in complaints)
    complaints.clear()


async def test_an_upload_that_is_cut_off_is_repeated_under_the_same_name(
    page: Page, script: Script, pictures: list[str], complaints: list[str]
) -> None:
    names: list[str] = []

    async def cut(route: object) -> None:
        names.append(route.request.url)  # type: ignore[attr-defined]
        await (route.abort() if len(names) == 1 else route.continue_())  # type: ignore[attr-defined]

    await page.route("**/upload*", cut)
    await page.locator("#picker").set_input_files(pictures[:2])
    await expect(said(page, "2 came")).to_be_visible()
    assert names[0] == names[1]
    assert len(script.came) == 2
    complaints.clear()


async def test_enter_sends_and_shift_enter_does_not(page: Page, script: Script) -> None:
    box = page.get_by_role("textbox")
    await expect(page.get_by_role("button", name="Send")).to_be_disabled()
    await box.press_sequentially("one")
    await box.press("Shift+Enter")
    await box.press_sequentially("two")
    await box.press("Enter")
    assert (await script.until(2))[1].event == Text("one\ntwo")
    await expect(box).to_have_value("")
    await page.get_by_role("button", name="My models").click()
    assert (await script.until(3))[2].event == Command("models")


async def test_a_button_copies_its_words_and_says_so(page: Page, script: Script) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copier = RenderedButton(label="Copy the trigger", copy="mochix")
    await script.web.send(script.chat, Message(text="ready", buttons=((copier,),)), key="r")
    before = len(script.came)
    await page.get_by_role("button", name="Copy the trigger").click()
    await expect(page.locator("#spoken")).to_have_text("Copied")
    assert await page.evaluate("navigator.clipboard.readText()") == "mochix"
    assert len(script.came) == before


async def test_who_reads_further_up_is_not_pulled_down(page: Page, script: Script) -> None:
    for n in range(30):
        await script.web.send(script.chat, Message(text=f"line {n}\n" * 3), key=f"m{n}")
    scroller = page.locator("#scroll")
    await expect(said(page, "line 29").first).to_be_in_viewport()
    await scroller.evaluate("(n) => { n.scrollTop = 0; }")
    await script.web.send(script.chat, Message(text="news"), key="news")
    newest = page.get_by_role("button", name="Go to the newest message")
    await expect(newest).to_be_visible()
    assert await scroller.evaluate("(n) => n.scrollTop") == 0
    await newest.click()
    await expect(said(page, "news")).to_be_in_viewport()
    assert await scroller.evaluate(AT_END)


async def test_a_bot_that_starts_again_finds_its_pages(
    database: Database, tmp_path: Path, complaints: list[str]
) -> None:
    async with serving(database, tmp_path) as script:
        address = script.web.address
        port = int(address.rpartition(":")[2])
        opening = open_page(address, complaints)
        page = await opening.__aenter__()
        await expect(page.locator("#state")).to_have_text("online")
        chat = (await script.until(1))[0].chat
    await expect(page.locator("#state")).to_have_text("reconnecting…")
    async with serving(database, tmp_path, port) as script:
        await script.web.send(chat, Message(text="I am back"), key="back")
        await expect(said(page, "I am back")).to_be_visible(timeout=20_000)
        await expect(page.locator("#state")).to_have_text("online")
        await expect(said(page, "Hello from the script")).to_have_count(1)
        assert script.came == []
        await opening.__aexit__(None, None, None)


@pytest.mark.parametrize("width", [320, 360, 768])
async def test_nothing_is_wider_than_the_page(page: Page, script: Script, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 740})
    rows = tuple(
        tuple(RenderedButton(label=f"A rather long label {i}{j}", data="a::") for j in range(4))
        for i in range(2)
    )
    long = Message(text="x" * 300 + " `" + "y" * 200 + "`\n" + "▓" * 25, buttons=rows)
    await script.web.send(script.chat, long, key="long")
    await expect(page.get_by_role("button", name="A rather long label 13")).to_be_visible()
    assert not await page.evaluate(WIDER)
    assert not await page.locator("#scroll").evaluate("(n) => n.scrollWidth > n.clientWidth")


async def test_everything_to_press_has_a_name_and_every_field_a_label(page: Page) -> None:
    nameless = await page.evaluate(
        """() => [...document.querySelectorAll("button, a, input, textarea")]
          .filter((n) => !n.textContent.trim() && !n.ariaLabel && !n.labels?.length)
          .map((n) => n.outerHTML)"""
    )
    assert nameless == []
    await expect(page.get_by_role("log")).to_have_attribute("aria-busy", "false")
    await expect(page.get_by_label("Message", exact=True)).to_be_visible()


async def test_news_is_read_out_without_its_marks(page: Page, script: Script) -> None:
    await script.web.send(script.chat, Message(text="**mochi** is ready"), key="news")
    await expect(page.locator("#spoken")).to_have_text("lorabot says: mochi is ready")
