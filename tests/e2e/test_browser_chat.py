"""The local page in a real browser, with the whole service behind it."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests import tiny_base
from tests.browser import need_browser, open_page
from tests.drawn import photos
from tests.service import Service

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

SLOW_MS = 60_000
SHOWN = "[...document.querySelectorAll('#log img.shown')].map((one) => one.naturalWidth > 0)"


@pytest.fixture(autouse=True)
def browser_or_skip() -> None:
    need_browser()


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    one = Service(tmp_path)
    tiny_base.lay(one.data, steps=60)
    yield await one.start()
    assert await one.stop() == 0


@pytest.fixture
async def page(service: Service) -> AsyncIterator[Page]:
    """A page that must not complain: no script error, no refused resource."""
    complaints: list[str] = []
    size = {"width": 900, "height": 1000}
    async with open_page(service.address, complaints, viewport=size) as page:
        yield page
    assert complaints == []


@pytest.fixture
def files(tmp_path: Path) -> Iterator[list[str]]:
    paths = []
    for number, data in enumerate(photos(8)):
        path = tmp_path / f"photo{number}.png"
        path.write_bytes(data)
        paths.append(str(path))
    return iter([paths])


def same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


async def press(page: Page, label: str) -> None:
    await page.get_by_role("button", name=label).last.click(timeout=SLOW_MS)


async def say(page: Page, text: str) -> None:
    box = page.get_by_role("textbox")
    await box.fill(text)
    await box.press("Enter")


async def questions(page: Page) -> None:
    await press(page, "Train a model")
    await press(page, "A character")
    await expect(page.get_by_text("short name")).to_be_visible()
    await say(page, "mochi")
    await press(page, "mochix")
    await expect(page.get_by_text("Now send me")).to_be_visible()


async def test_a_person_trains_a_lora_in_the_browser(
    page: Page, service: Service, files: Iterator[list[str]]
) -> None:
    await questions(page)
    await page.locator("#picker").set_input_files(next(files))
    await press(page, "Done")
    await press(page, "Start training")
    link = page.get_by_role("link", name="Download")
    await expect(link).to_be_visible(timeout=2 * SLOW_MS)
    async with page.expect_download() as coming:
        await link.click()
    download = await coming.value
    assert download.suggested_filename == "mochi.safetensors"
    await download.save_as(service.data / "saved")
    assert same(service.data / "saved", service.loras / "mochi.safetensors")
    await expect(page.locator("#log").get_by_text("mochi · done")).to_be_visible()
    await expect(page.locator("#log").get_by_text("samples after 100 %")).to_have_count(1)
    # The grid in its own message, and with the result.
    assert await page.evaluate(SHOWN) == [True, True]
    await page.reload()
    await expect(page.get_by_role("link", name="Download")).to_be_visible()
    assert await page.locator("img[src*='/thumb/']").count() == 8


DROP = """
async (names) => {
  const data = new DataTransfer();
  for (const [name, text] of Object.entries(names)) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    data.items.add(new File([bytes], name, {type: "image/png"}));
  }
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.body.dispatchEvent(
      new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true}));
  }
}
"""


async def test_photos_can_be_dropped_anywhere_and_the_tally_is_one_message(page: Page) -> None:
    await questions(page)
    dropped = {f"{n}.png": base64.b64encode(data).decode() for n, data in enumerate(photos(3))}
    await page.evaluate(DROP, dropped)
    await expect(page.locator("#log").get_by_text("3 photos of up to 25")).to_be_visible()
    more = {"x.png": base64.b64encode(photos(1, first=50)[0]).decode()}
    await page.evaluate(DROP, more)
    await expect(page.locator("#log").get_by_text("4 photos of up to 25")).to_be_visible()
    await expect(page.locator("#log").get_by_text("3 photos of up to 25")).to_have_count(0)


async def test_all_photos_are_shown_and_one_is_taken_out(page: Page) -> None:
    await questions(page)
    dropped = {f"{n}.png": base64.b64encode(data).decode() for n, data in enumerate(photos(3))}
    await page.evaluate(DROP, dropped)
    await press(page, "All photos")
    await expect(page.locator("#log").get_by_text("3 of 3 in use")).to_be_visible()
    sheet = page.locator("img.shown")
    before = await sheet.get_attribute("src")
    await press(page, "✅ 2")
    await expect(page.locator("#log").get_by_text("2 of 3 in use")).to_be_visible()
    await expect(sheet).not_to_have_attribute("src", before or "")
    await expect(sheet).to_have_js_property("complete", value=True)
    assert await sheet.evaluate("image => image.naturalWidth") > 400


async def test_the_page_fits_a_phone(page: Page) -> None:
    await page.set_viewport_size({"width": 360, "height": 740})
    await questions(page)
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wide)
