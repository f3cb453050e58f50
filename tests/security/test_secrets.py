"""Tokens: in no log, no command line, no other process's environment, no address that is kept."""

import asyncio
import logging
import pickle
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest
from arq.worker import Worker, func
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.links import SHORTEST_SECRET, WeakSecretError, secret_key
from lorabot import logs
from lorabot.seclusion import seclude
from storage import doorbell
from storage import settings as settings_module
from storage.redis_server import RedisServer
from storage.settings import Settings
from tests.http_server import serving
from tests.patience import PATIENCE_S
from tests.service import Service

TOKEN = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw"  # made up
DISCORD = "MTk4NjIyNDgzNDcxOTI1MjQ4.made.up-for-this-test"
KEY = "a key that signs, made up for this test"

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")


@pytest.fixture
async def networks() -> AsyncIterator[tuple[str, list[str]]]:
    """A server that refuses, drops and confuses every call; and the paths that it was asked for."""
    asked: list[str] = []

    async def answer(request: Request) -> Response:
        asked.append(request.url.path)
        match len(asked) % 3:
            case 0:
                return Response(b"not json", 502)
            case 1:
                return JSONResponse({"ok": False, "error_code": 500, "description": "oops"}, 500)
        return JSONResponse({"ok": False, "error_code": 401, "description": "Unauthorized"}, 401)

    app = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST", "PUT"])])
    async with serving(app) as address:
        yield address, asked


@linux
@pytest.mark.timeout(180)
async def test_a_whole_service_keeps_its_tokens_to_itself(
    tmp_path: Path, networks: tuple[str, list[str]]
) -> None:
    """Everything logs all that it can, and both networks fail in every way: nothing says a token.
    No process but bot and worker, which need them, is given one.
    """
    address, asked = networks
    kept = tmp_path / "token"
    kept.write_text(TOKEN + "\n")
    service = Service(
        tmp_path,
        LOG_LEVEL="DEBUG",
        TELEGRAM_BOT_TOKEN_FILE=str(kept),
        TELEGRAM_API_URL=f"{address}/telegram",
        DISCORD_BOT_TOKEN=DISCORD,
        DISCORD_API_URL=f"{address}/api/v10",
        SECRET_KEY=KEY,
    )
    await service.start()
    try:
        async with asyncio.timeout(120):
            while not {"telegram", "api"} <= {path.split("/")[1] for path in asked}:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        async with httpx.AsyncClient() as nobody:
            assert (await nobody.get(service.address)).status_code == 200
        for process in service.children():
            try:
                line, environment = " ".join(process.cmdline()), process.environ()
            except psutil.Error:
                continue
            assert not [one for one in (TOKEN, DISCORD, KEY) if one in line]
            if "lorabot" not in line:
                values = set(environment.values())
                assert not values & {TOKEN, DISCORD, KEY, str(kept)}, line
    finally:
        await service.stop()
    said = service.log.read_text() + "".join(
        path.read_text(errors="replace") for path in (service.data / "logs").rglob("*.log")
    )
    assert "DEBUG" in said
    assert not [one for one in (TOKEN, DISCORD, KEY, TOKEN.partition(":")[2]) if one in said]


def test_a_token_in_an_error_does_not_reach_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last net: whatever a library makes of it."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    settings = Settings(
        telegram_bot_token=SecretStr(TOKEN),
        secret_key=SecretStr(KEY),
        redis_url=SecretStr("redis://:hidden-word@host/0"),
    )
    for form in ("console", "json"):
        logs.configure(
            "DEBUG", form=logs.form_of(settings.model_copy(update={"log_format": form}), "bot")
        )
        try:
            Path(f"/nowhere/bot{TOKEN}/getMe").read_bytes()
        except OSError:
            logging.getLogger("bot").exception("wrong: %s", f"redis://:hidden-word@host {KEY}")
    said = capsys.readouterr().err
    assert "getMe" in said
    assert not [one for one in (TOKEN, KEY, "hidden-word") if one in said]


def test_a_name_with_a_line_break_makes_no_line_of_the_log(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    logs.configure("INFO")
    evil = "mochi\n2026-01-01 00:00:00 ERROR bot: all is lost\r\x1b[2J\u2028x"
    logging.getLogger("bot").warning("a name: %s", evil)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "\x1b" not in said
    assert "\u2028" not in said


def test_settings_do_not_show_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("DATABASE_URL", "postgresql://lora:hidden-word@db/lora")
    settings = settings_module.load()
    shown = f"{settings!r} {settings} {settings.model_dump_json()} {settings.model_dump()}"
    assert TOKEN not in shown
    assert "hidden-word" not in shown


def test_a_key_that_could_be_guessed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="letters"):
        Settings(secret_key=SecretStr("secret"))
    (tmp_path / "secret.key").write_text("")
    with pytest.raises(WeakSecretError, match="delete it"):
        secret_key(tmp_path, None)
    (tmp_path / "secret.key").unlink()
    assert len(secret_key(tmp_path, None)) >= SHORTEST_SECRET


@linux
async def test_what_a_service_keeps_is_for_its_user_alone(tmp_path: Path) -> None:
    """Also what was open to others before, and whatever is written later."""
    script = (
        "import sys, pathlib, resource\n"
        "from lorabot.seclusion import seclude\n"
        "from bot.links import secret_key\n"
        "home = pathlib.Path(sys.argv[1])\n"
        "seclude(home)\n"
        "secret_key(home, None)\n"
        "(home / 'new').write_text('x')\n"
        "(home / 'logs' / 'new.log').write_text('x')\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE), flush=True)\n"
        "sys.stdin.read()\n"
    )
    (tmp_path / "logs").mkdir(mode=0o755)
    (tmp_path / "lorabot.db").touch(mode=0o644)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(tmp_path)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    assert await child.stdout.readline() == b"(0, 0)\n"
    try:
        # Nobody of the same user looks into it: the kernel gives such a process to root.
        assert Path(f"/proc/{child.pid}/environ").stat().st_uid == 0
    finally:
        await child.communicate(b"")
    for path in tmp_path.rglob("*"):
        assert not path.stat().st_mode & 0o077, path


# --- Redis ---------------------------------------------------------------------------------------


class Evil:
    """Unpickled, it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self.mark,)


async def test_whoever_writes_to_redis_runs_nothing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pickled jobs, forged names and rubbish in the queue: the worker's ear rings for the true one
    and for nothing else.
    """
    monkeypatch.setattr(doorbell, "RING_S", 5.0)  # busy machines need longer than a person should
    server = RedisServer(tmp_path / "run" / "redis.sock")
    path = await server.start()
    assert path is not None
    mark = tmp_path / "owned"
    pickle.loads(pickle.dumps(Evil(tmp_path / "trial")))
    assert (tmp_path / "trial").exists(), "the payload itself works"
    rang: list[object] = []
    bell = doorbell.Doorbell(f"unix://{path}")
    assert bell._redis is not None

    async def ring(_: dict[object, object]) -> None:
        rang.append(1)

    try:
        payloads = (
            pickle.dumps(Evil(mark)),
            b"\x80\x04.",
            b"{}",
            b"[]",
            b"null",
            b"\xff",
            b"{" * 9000,
        )
        for number, payload in enumerate(payloads):
            await bell._redis.set(f"arq:job:evil{number}", payload)
            await bell._redis.zadd(doorbell.QUEUE, {f"evil{number}": 1})
        assert await bell.ring()
        ear = Worker(
            functions=[func(ring, name=doorbell.RING, keep_result=0, max_tries=1)],  # type: ignore[arg-type]
            queue_name=doorbell.QUEUE,
            redis_settings=doorbell.redis_settings(f"unix://{path}"),
            handle_signals=False,
            burst=True,
            poll_delay=0.01,
            job_serializer=doorbell.serialize,
            job_deserializer=doorbell.deserialize,
        )
        async with asyncio.timeout(PATIENCE_S):
            await ear.async_run()
        await ear.pool.aclose(close_connection_pool=True)
        assert rang == [1]
        assert not mark.exists()
    finally:
        await bell.close()
        await server.stop()


def test_a_long_lived_process_secludes_itself_first() -> None:
    """Each command that holds tokens for long does it, and does it before it opens anything."""
    source = Path(sys.modules[seclude.__module__].__file__ or "").with_name("cli.py").read_text()
    for name in ("up", "bot", "worker", "chat"):
        body = source.partition(f"\ndef {name}(")[2].partition("\n@app.")[0]
        assert "seclude(settings.data_dir)" in body, name
