"""What a line of the log looks like: its job, its one line, and no secret in it."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
from pydantic import SecretStr

from lorabot import logs
from storage.log_context import about
from storage.settings import Settings

log = logging.getLogger("pipeline.somewhere")


@pytest.fixture(autouse=True)
def quiet_again() -> Iterator[None]:
    """The root logger as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    for ours in set(root.handlers) - set(handlers):
        ours.close()
    root.handlers[:] = handlers
    root.setLevel(level)


def written(tmp_path: Path, form: logging.Formatter) -> Path:
    path = tmp_path / "logs" / "one.log"
    logs.configure("INFO", file=path, form=form)
    return path


def objects(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_each_task_s_lines_carry_its_own_job(tmp_path: Path) -> None:
    path = written(tmp_path, logs.Json("worker"))
    both = asyncio.Barrier(2)

    async def work(job: str) -> None:
        with about(job):
            await both.wait()
            await asyncio.create_task(deeper(job))
            await asyncio.to_thread(log.info, "in a thread for %s", job)

    async def deeper(job: str) -> None:
        log.info("deeper for %s", job)
        await both.wait()

    await asyncio.gather(work("A"), work("B"))
    log.info("afterwards")
    found = objects(path)
    assert len(found) == 5
    assert all(one["message"].endswith(f"for {one['job']}") for one in found[:4])
    assert "job" not in found[4]
    assert {one["process"] for one in found} == {"worker"}


def test_a_line_is_one_line_and_cannot_begin_another(tmp_path: Path) -> None:
    path = written(tmp_path, logs.Plain())
    log.warning("odd name %s", "x\n2026-01-01 ERROR forged\x1b[2J")
    (line,) = path.read_text().splitlines()
    assert "forged" in line
    assert "\x1b" not in line


def test_plain_lines_name_the_job_once(tmp_path: Path) -> None:
    path = written(tmp_path, logs.Plain())
    with about("01JOB"):
        log.info("the disk is slow")
        log.info("job %s: training", "01JOB")
    first, second = path.read_text().splitlines()
    assert first.endswith("pipeline.somewhere: job 01JOB: the disk is slow")
    assert second.endswith("pipeline.somewhere: job 01JOB: training")


@pytest.mark.parametrize("form", ["console", "json"])
def test_no_secret_reaches_the_disk_even_in_a_traceback(
    tmp_path: Path, form: Literal["console", "json"]
) -> None:
    settings = Settings(
        data_dir=tmp_path,
        log_format=form,
        telegram_bot_token=SecretStr("123456:AAtoken"),
        redis_url=SecretStr("redis://bell:pass-word@10.0.0.1/0"),
    )
    path = written(tmp_path, logs.form_of(settings, "bot"))
    try:
        Path("/nowhere/bot123456:AAtoken/getMe as pass-word").read_bytes()
    except OSError:
        log.exception("asked with %s", "123456:AAtoken")
    said = path.read_text()
    assert "AAtoken" not in said
    assert "pass-word" not in said
    assert "FileNotFoundError" in said


def test_json_says_when_in_utc() -> None:
    record = logging.LogRecord("a", logging.INFO, "f", 1, "hello", (), None)
    record.created, record.msecs = 0.25, 250.0
    assert json.loads(logs.Json("bot").format(record))["at"] == "1970-01-01T00:00:00.250Z"
