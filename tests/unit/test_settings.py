"""Settings from the environment, from files, and what is said when they are wrong."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.links import Links, secret_key
from storage import bases, settings
from storage.job import IllegalTransitionError, JobState, new_id
from tests.jobs import make_job


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in settings.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("WEB_PORT=1111\nADMIN_IDS=tg:1, dc:2\nLORA_DIR=\n")
    monkeypatch.setenv("WEB_PORT", "2222")
    found = settings.load()
    assert found.web_port == 2222
    assert found.admin_ids == {"tg:1", "dc:2"}
    assert found.lora_dir is None


def test_a_secret_can_be_a_file_and_is_never_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("1:secret\n")
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN_FILE", str(tmp_path / "token"))
    found = settings.load()
    assert found.telegram_bot_token is not None
    assert found.telegram_bot_token.get_secret_value() == "1:secret"
    assert "1:secret" not in repr(found)
    assert "TELEGRAM_BOT_TOKEN" not in os.environ


def test_an_admin_without_a_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_IDS", "12345")
    with pytest.raises(ValidationError, match="tg:123"):
        settings.load()


def test_an_empty_token_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", "")
    assert settings.load().telegram_bot_token is None


def test_the_demo_is_always_there_and_others_come_from_the_file(tmp_path: Path) -> None:
    assert list(bases.load(tmp_path, None)) == ["demo"]
    (tmp_path / "bases.toml").write_text(
        '[real]\nfamily = "sd15"\npath = "model"\nsteps = 7\ntitle = "Real"\n'
    )
    found = bases.load(tmp_path, None)["real"]
    assert (found.title, found.overrides.steps, found.installed) == ("Real", 7, False)
    (tmp_path / "model").mkdir()
    assert found.installed


@pytest.mark.parametrize(
    "text",
    ["[x]", '[x]\nfamily = "sd9"\npath = "p"', "not toml", '["a b"]\nfamily="sd15"\npath="p"'],
)
def test_a_bad_list_of_bases_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "bases.toml").write_text(text)
    with pytest.raises(bases.BasesFileError):
        bases.load(tmp_path, None)


def test_a_link_opens_for_its_job_and_person_alone() -> None:
    links = Links("secret", hours=1)
    token = links.path("JOB", "web:me").removeprefix("/dl/")
    found = links.read(token)
    assert found is not None
    assert (found.job_id, found.person, found.expired) == ("JOB", "web:me", False)
    assert links.read(token[:-2] + "xx") is None
    assert Links("other", hours=1).read(token) is None
    late = Links("secret", hours=-1).read(token)
    assert late is not None
    assert late.expired


def test_the_secret_is_made_once_and_is_private(tmp_path: Path) -> None:
    made = secret_key(tmp_path, None)
    assert len(made) == 64
    assert secret_key(tmp_path, None) == made
    assert (tmp_path / "secret.key").stat().st_mode & 0o777 == 0o600
    assert secret_key(tmp_path, "own") == "own"


def test_ids_sort_by_time() -> None:
    assert new_id(1.0) < new_id(2.0)
    assert len(new_id()) == 26


def test_a_job_goes_only_where_the_table_leads() -> None:
    job = make_job().enter(JobState.PREPARING)
    assert job.version == 2
    with pytest.raises(IllegalTransitionError, match="preparing does not lead to done"):
        job.enter(JobState.DONE)
