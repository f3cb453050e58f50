"""The demo as somebody meets it who has no photos at hand."""

from pathlib import Path

import pytest

from storage import bases
from tests import tiny_base
from tests.service import Service
from tests.web_client import WebPerson

pytestmark = pytest.mark.timeout(300)


async def test_the_sample_photos_become_a_file(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.data.mkdir()
    # The real demo, for a twentieth of its steps.
    (service.data / "bases.toml").write_text(
        tiny_base.LIST.format(path=bases.demo().path, steps=30).replace("= 64", "= 128")
    )
    await service.start()
    try:
        async with WebPerson(service.address) as person:
            await person.say("/train")
            await person.press("A character")
            await person.say("mochi")
            await person.press("mochix")
            await person.press("Use sample photos")
            await person.press("✅ Done", within_s=60)
            await person.press("Quick")
            await person.press("🚀 Start")
            await person.until(lambda: person.said("is ready"), within_s=200)
            assert person.said("samples after 100 %")
        assert (service.loras / "mochi.safetensors").exists()
    finally:
        await service.stop()
