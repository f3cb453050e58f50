"""A bot that is killed at the moment at which its network has the file, and it does not know."""

from pathlib import Path

from storage import job_store
from storage.database import Database
from storage.job import JobState
from storage.settings import Settings
from tests.bot_api import BotApi
from tests.bot_api.adapter import start_process
from tests.conftest import eventually
from tests.jobs import waits_for_its_chat

WEIGHTS = b"safetensors"


async def test_a_bot_killed_before_it_hears_that_the_file_arrived_sends_no_second_one(
    api: BotApi, tmp_path: Path
) -> None:
    ada = api.person("Ada")
    settings = Settings(data_dir=tmp_path / "data")
    settings.data_dir.mkdir()
    database = await Database.open(settings.database)
    job_id = await waits_for_its_chat(database, ada.name, settings.data_dir, WEIGHTS)
    api.lose_answer("sendDocument")

    async def arrived() -> bool:
        return any(one.data == WEIGHTS for one in ada.sees)

    async def done() -> bool:
        async with database.read() as tx:
            return await job_store.state_of(tx, job_id) is JobState.DONE

    process = await start_process(api, tmp_path)
    try:
        await eventually(arrived, 40)
        process.kill()
        await process.wait()
        assert not await done()
        messages = len(ada.sees)
        process = await start_process(api, tmp_path)
        await eventually(done, 40)
    finally:
        process.kill()
        await process.wait()
        await database.close()
    assert api.calls["senddocument"] == 1
    assert len(ada.sees) == messages
    assert {one.data for one in ada.sees if one.data} == {WEIGHTS}
