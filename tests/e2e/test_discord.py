"""Everything real but Discord itself: bot, worker and trainer, from the form to the file."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.discord_api import DiscordApi
from tests.discord_api.adapter import orders, ready
from tests.drawn import photos
from tests.service import Service

pytestmark = [pytest.mark.timeout(300), pytest.mark.long]


@pytest.fixture
async def api() -> AsyncIterator[DiscordApi]:
    async with DiscordApi() as one:
        yield one


async def test_from_the_form_to_the_file(api: DiscordApi, tmp_path: Path) -> None:
    service = Service(tmp_path, DISCORD_BOT_TOKEN=api.token, DISCORD_API_URL=api.url)
    await service.start()
    ada = api.person("Ada")
    try:
        await ready(api, 60)
        await orders(ada, photos(8))
        await ada.reads("8 photos", 60)
        await ada.presses("✅ Done – use 8")
        await ada.reads("Ready to train mochi", 60)
        await ada.presses("🚀 Start training")
        result = await ada.reads("is ready", 200)
        await ada.until(lambda: any(one.files for one in ada.sees), 60)
    finally:
        await service.stop()
    (lora,) = service.loras.iterdir()
    files = {name: data for one in ada.sees for name, data in one.files.items()}
    assert result.channel == ada.dm.number
    assert lora.name == "mochi.safetensors"
    sent = hashlib.sha256(files["mochi.safetensors"]).hexdigest()
    assert sent == hashlib.sha256(lora.read_bytes()).hexdigest()
    assert ada.failed == 0
    said = service.log.read_text()
    assert api.token not in said
    assert not any(token in said for token in api.interactions.by_token)
