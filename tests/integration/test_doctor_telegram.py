"""What the doctor says of how Telegram's updates come: a real Bot API server, real visits."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from telegram import Bot

from bot.telegram.webhook import PATH
from lorabot.doctor_webhook import webhook
from lorabot.finding import Finding, Health
from lorabot.operations import checkup
from storage.settings import Settings
from tests.bot_api import BotApi
from tests.conftest import eventually
from tests.http_server import serving
from tests.service import free_port


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[BotApi]:
    """In its local mode: another one would go to no address of this machine."""
    async with BotApi() as one:
        one.files.folder = tmp_path / "server"
        yield one


def fetching(api: BotApi, folder: Path) -> Settings:
    return Settings(
        data_dir=folder, telegram_bot_token=SecretStr(api.token), telegram_api_url=api.url
    )


def visited(api: BotApi, folder: Path, url: str) -> Settings:
    changes = {"telegram_webhook": True, "telegram_local": True, "public_url": url}
    return fetching(api, folder).model_copy(update=changes)


async def set_to(api: BotApi, url: str) -> None:
    """What whoever has the token can do."""
    async with Bot(api.token, base_url=f"{api.url}/bot") as client:
        await client.set_webhook(url, secret_token="of-theirs")


def summary(found: Finding) -> tuple[Health, str]:
    return found.health, found.said


async def test_without_telegram_there_is_nothing_to_say(tmp_path: Path) -> None:
    assert summary(await webhook(Settings(data_dir=tmp_path))) == (Health.OK, "no Telegram")


async def test_fetched_updates_are_counted_while_they_wait(api: BotApi, tmp_path: Path) -> None:
    await api.person("Ada").says("hello")
    found = await webhook(fetching(api, tmp_path))
    assert summary(found) == (Health.OK, "none: updates are fetched; 1 waiting")


async def test_a_webhook_of_somebody_else_is_a_conflict_and_keeps_its_secrets(
    api: BotApi, tmp_path: Path
) -> None:
    address = f"http://127.0.0.1:{free_port()}/hidden-way"
    await set_to(api, address)
    for settings in (fetching(api, tmp_path), visited(api, tmp_path, "http://127.0.0.1:9")):
        found = await webhook(settings)
        assert found.health is Health.FAIL
        assert "set to 127.0.0.1" in found.said
        assert "another program uses this token" in found.fix
        assert "hidden" not in repr(found)
        assert api.token not in repr(found)
    # To look changes nothing.
    assert api.methods.webhook == address


async def test_our_own_from_before_goes_with_the_next_start(api: BotApi, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    await set_to(api, url + PATH)
    settings = fetching(api, tmp_path).model_copy(update={"public_url": url})
    found = await webhook(settings)
    assert found.health is Health.WARN
    assert "from before" in found.said
    assert "TELEGRAM_WEBHOOK=1" in found.fix


async def test_a_webhook_that_is_not_set_yet_waits_for_the_bot(api: BotApi, tmp_path: Path) -> None:
    found = await webhook(visited(api, tmp_path, "http://127.0.0.1:9"))
    assert found.health is Health.WARN
    assert found.fix == "start the bot: it sets it"


async def test_a_good_webhook_is_named_with_what_waits(api: BotApi, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    await set_to(api, url + PATH)
    found = await webhook(visited(api, tmp_path, url))
    assert summary(found) == (Health.OK, "set with its secret to 127.0.0.1; 0 waiting")


@pytest.mark.parametrize(("closed", "fix"), [(True, "over HTTPS"), (False, "the secret anew")])
async def test_what_telegram_cannot_bring_is_told_with_its_reason(
    api: BotApi, tmp_path: Path, *, closed: bool, fix: str
) -> None:
    """Nobody listens there; or a door that does not know this secret, as ours answers then."""
    async with serving(Starlette()) as other:
        url = f"http://127.0.0.1:{free_port()}" if closed else other
        await set_to(api, url + PATH)
        await api.person("Ada").says("hello")

        async def refused() -> str:
            return api.methods.bringer.error if api.methods.bringer is not None else ""

        reason = str(await eventually(refused))
        found = await webhook(visited(api, tmp_path, url))
        await api.methods.unhook()
    assert summary(found) == (
        Health.FAIL,
        f"Telegram cannot bring updates ({reason}); 1 waiting",
    )
    assert fix in found.fix


async def test_a_rejected_token_is_one_fault_and_not_two(api: BotApi, tmp_path: Path) -> None:
    settings = fetching(api, tmp_path).model_copy(
        update={"telegram_bot_token": SecretStr("1:another-token-that-nobody-knows-here")}
    )
    found = await webhook(settings)
    assert summary(found) == (Health.FAIL, "InvalidToken")
    assert "another-token" not in repr(found)


async def test_both_lines_stand_in_the_whole_answer_and_in_the_chats(
    api: BotApi, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    settings = fetching(api, tmp_path / "data")
    told = {what: said for _, what, said, _ in await checkup(settings)}
    assert told["webhook"].startswith("none: updates are fetched")
    assert told["ages"] == "not asked for (no MIN_AGE)"
