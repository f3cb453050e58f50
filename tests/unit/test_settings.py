"""Settings from the environment, from files, and what is said when they are wrong."""

import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from bot.links import Links, secret_key
from storage import bases, settings
from storage.job import IllegalTransitionError, JobState, new_id
from storage.stores import blobs_of
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


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("BLOB_URL", "https://bucket", "begins with s3://"),
        ("BLOB_URL", "s3://", "name of a bucket"),
        ("BLOB_URL", "s3://key:word@bucket", "no keys in it"),
        ("AWS_ENDPOINT_URL", "http://s3.example.com", "BLOB_ALLOW_HTTP"),
        ("AWS_ENDPOINT_URL", "http://8.8.8.8:9000", "BLOB_ALLOW_HTTP"),
        ("AWS_ENDPOINT_URL", "minio:9000", "begins with https://"),
        ("AWS_ACCESS_KEY_ID", "half-of-it", "go together"),
    ],
)
def test_a_store_that_cannot_be_right_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=words):
        settings.load()


@pytest.mark.parametrize(
    "address",
    ["https://s3.example.com", "http://127.0.0.1:9000", "http://10.0.0.5", "http://minio:9000"],
)
def test_a_store_nearby_needs_no_tls(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("BLOB_URL", "s3://bucket/folder/")
    monkeypatch.setenv("AWS_ENDPOINT_URL", address)
    found = settings.load()
    assert (found.blob_url, found.aws_endpoint_url) == ("s3://bucket/folder", address)


def test_the_keys_of_a_store_can_be_files_and_empty_names_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("very-secret\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    for name in ("AWS_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("BLOB_URL", "s3://bucket")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:9000")
    found = settings.load()
    assert found.aws_session_token is None
    assert "very-secret" not in repr(found)
    blobs = blobs_of(found)
    assert blobs.place("photos/aa/x") == "s3://bucket/photos/aa/x"
    assert not [name for name in os.environ if name.startswith("AWS_") and not os.environ[name]]


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


@pytest.mark.parametrize(
    ("url", "local", "fine"),
    [
        ("https://loras.example", False, True),
        ("https://loras.example", True, True),
        ("http://bot.lan:8765", True, True),
        ("http://bot.lan:8765", False, False),
        ("", False, False),
        ("", True, False),
    ],
)
def test_a_webhook_needs_an_address_that_telegram_can_reach(
    url: str, *, local: bool, fine: bool
) -> None:
    given = {"public_url": url, "telegram_local": local, "telegram_webhook": True}
    if fine:
        assert settings.Settings.model_validate(given).telegram_webhook
        return
    with pytest.raises(ValidationError, match="TELEGRAM_WEBHOOK needs PUBLIC_URL"):
        settings.Settings.model_validate(given)
