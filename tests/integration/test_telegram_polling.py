"""No update is lost, whatever happens to the bot and the network between its steps."""

import asyncio
import logging

import pytest

from bot.events import Text
from bot.frontend import Incoming
from bot.frontends.telegram import Telegram
from bot.telegram import polling
from bot.telegram.errors import TokenRejectedError
from storage import inbox_store
from storage.database import Database
from tests.bot_api import BotApi, Person, RefusedError
from tests.bot_api.adapter import Recorder, running
from tests.conftest import eventually


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr("bot.frontends.telegram.STOP_S", 0.1)


async def kept(database: Database) -> list[str]:
    async with database.read() as tx:
        return [number for number, _ in await inbox_store.pending(tx, "tg")]


async def test_an_update_is_kept_before_it_is_confirmed(
    api: BotApi, ada: Person, database: Database
) -> None:
    seen: list[str] = []

    async def confirming(ids: list[int]) -> None:
        waiting = await kept(database)
        seen.extend(str(one) for one in ids if str(one) in waiting)

    api.feed.on_confirm = confirming
    core = Recorder()
    core.gate.clear()  # nothing is ever finished, so what is kept can be seen
    async with running(api, database, core.receive):
        ids = [await ada.says("one"), await ada.says("two")]
        await eventually(lambda: _confirmed(api, 2))
    assert seen == [str(one) for one in ids]
    assert api.feed.confirmed == ids


async def test_what_was_in_work_when_the_bot_was_killed_is_done_after_the_start(
    api: BotApi, ada: Person, database: Database
) -> None:
    core = Recorder()
    core.gate.clear()
    async with running(api, database, core.receive):
        ids = [await ada.says("one"), await ada.says("two")]
        await eventually(lambda: _confirmed(api, 2))
        await core.has(2)
    assert await kept(database) == [str(one) for one in ids]
    again = Recorder()
    async with running(api, database, again.receive):
        await again.has(2)
        await eventually(lambda: _nothing(database))
    assert again.events == [Text("one"), Text("two")]


async def test_what_is_done_does_not_come_again(
    api: BotApi, ada: Person, database: Database
) -> None:
    core = Recorder()
    async with running(api, database, core.receive):
        await ada.says("one")
        await core.has(1)
        await eventually(lambda: _nothing(database))
    api.feed.add("message", {})  # the server repeats what it has not seen confirmed
    api.feed.waiting[0] = {**api.feed.waiting[0], "update_id": int(core.incoming[0].update_id)}
    async with running(api, database, core.receive):
        await ada.says("two")
        await core.has(2)
    assert core.events == [Text("one"), Text("two")]


async def test_an_update_that_nobody_can_read_stops_no_other(
    api: BotApi, ada: Person, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    api.feed.add("message", {"message_id": "?", "secret": "words of somebody"})
    core = Recorder()
    async with running(api, database, core.receive):
        await ada.says("hello")
        await core.has(1)
        await eventually(lambda: _logged(caplog, "was not handled"))
    assert core.events == [Text("hello")]
    assert "words of somebody" not in caplog.text


async def test_an_error_of_the_core_leaves_the_update_in_the_inbox(
    api: BotApi, ada: Person, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def receive(_: Incoming) -> None:
        raise RuntimeError("words of somebody")

    async with running(api, database, receive):
        number = await ada.says("hello")
        await eventually(lambda: _logged(caplog, "was not handled"))
    assert await kept(database) == [str(number)]
    assert "words of somebody" not in caplog.text


async def test_two_bots_with_one_token_go_on_asking(
    api: BotApi, ada: Person, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    core = Recorder()
    async with running(api, database, core.receive), running(api, database, core.receive):
        await eventually(lambda: _logged(caplog, "another program reads"))
        await ada.says("hello")
        await core.has(1)


@pytest.mark.parametrize(
    "refusal",
    [
        RefusedError(502, "Bad Gateway"),
        RefusedError(429, "Too Many Requests: retry after 1", {"retry_after": 1}),
        RefusedError(500, "Internal Server Error"),
    ],
)
async def test_a_network_in_trouble_is_asked_again(
    api: BotApi, ada: Person, database: Database, refusal: RefusedError
) -> None:
    api.refuse("getUpdates", refusal)
    api.refuse("getMe", refusal)
    core = Recorder()
    async with running(api, database, core.receive):
        await ada.says("hello")
        await core.has(1)


async def test_a_server_that_goes_away_and_comes_back_is_found_again(
    api: BotApi, ada: Person, database: Database
) -> None:
    core = Recorder()
    async with running(api, database, core.receive):
        await ada.says("one")
        await core.has(1)
        await api.stop()
        await ada.says("two")
        await api.start(int(api.url.rpartition(":")[2]))
        await core.has(2)
    assert core.events == [Text("one"), Text("two")]


async def test_a_webhook_of_before_is_taken_away(
    api: BotApi, ada: Person, database: Database
) -> None:
    api.methods.webhook = "https://old.example/hook"
    core = Recorder()
    async with running(api, database, core.receive):
        await ada.says("hello")
        await core.has(1)


@pytest.mark.parametrize("token", ["4242:another-one", "not-a-token"])
async def test_a_wrong_token_ends_the_run_with_what_to_do(
    api: BotApi, database: Database, token: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bot = Telegram(token, api_url=api.url, database=database)
    with pytest.raises(TokenRejectedError, match="@BotFather") as caught:
        await bot.run(Recorder().receive)
    assert token not in str(caught.value)
    assert caught.value.__suppress_context__
    assert token not in _client_log(caplog)


async def test_a_token_that_is_taken_back_ends_the_run(api: BotApi, database: Database) -> None:
    bot = Telegram(api.token, api_url=api.url, database=database)
    task = asyncio.create_task(bot.run(Recorder().receive))
    await eventually(lambda: _polled(api))
    api.token = "4242:the-next-one"
    await api.stop()
    await api.start(int(api.url.rpartition(":")[2]))
    with pytest.raises(TokenRejectedError):
        await task


async def test_neither_token_nor_words_get_into_the_log(
    api: BotApi, ada: Person, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    core = Recorder()
    async with running(api, database, core.receive):
        await ada.says("words of Ada's")
        await core.has(1)
    assert api.token not in _client_log(caplog)
    assert "words of Ada's" not in _client_log(caplog)


async def test_the_menu_of_commands_is_set_for_each_language(
    api: BotApi, database: Database
) -> None:
    async with running(api, database, Recorder().receive):
        await eventually(lambda: _menu(api))
    assert "train" in [one["command"] for one in api.methods.menus[""]]


async def test_nothing_runs_on_after_the_stop(api: BotApi, ada: Person, database: Database) -> None:
    before = asyncio.all_tasks()
    core = Recorder()
    core.gate.clear()
    async with running(api, database, core.receive):
        for number in range(20):
            await ada.says(str(number))
        await core.has(16)
        during = asyncio.all_tasks()
    assert {task for task in asyncio.all_tasks() - before if _ours(task)} == set()
    assert any(_ours(task) for task in during - before)
    assert len(await kept(database)) == 20


def _ours(task: asyncio.Task[object]) -> bool:
    """Not the server's."""
    return "Application" in task.get_name() or "telegram" in repr(task.get_coro())


def _client_log(caplog: pytest.LogCaptureFixture) -> str:
    """All but the server's own, and the database's, which writes only what it is told to."""
    others = ("uvicorn", "aiosqlite", "asyncio", "sqlalchemy")
    return "\n".join(one.getMessage() for one in caplog.records if not one.name.startswith(others))


async def _confirmed(api: BotApi, count: int) -> bool:
    return len(api.feed.confirmed) == count


async def _nothing(database: Database) -> bool:
    return await kept(database) == []


async def _logged(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    return words in caplog.text


async def _polled(api: BotApi) -> bool:
    return api.feed.polls > 0


async def _menu(api: BotApi) -> bool:
    return "" in api.methods.menus
