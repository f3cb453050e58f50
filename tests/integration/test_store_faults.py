"""A store that breaks: what comes and what goes is whole or not there, and the words are plain."""

import asyncio
import hashlib
import logging
import random
import time
import traceback
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from storage.blobs import BlobExistsError, Blobs, StoreError
from storage.settings import Settings
from storage.stores import blobs_of, check
from tests.faulty_proxy import Fault, FaultyProxy, faulty_proxy
from tests.s3 import S3

KEY = "artifacts/JOB/1/mochi.safetensors"
FILE = random.Random(1).randbytes(9_000_000)  # more than two pieces
PASSING = [Fault.BROKEN, Fault.BUSY, Fault.RESET]
SECRETS = ("very-secret", "key-id")


@dataclass
class Store:
    """One store, seen straight and through a proxy that breaks things."""

    proxy: FaultyProxy
    through: Blobs
    straight: Blobs
    settings: Settings


@pytest.fixture
async def store(s3: S3, tmp_path: Path) -> AsyncIterator[Store]:
    async with faulty_proxy(s3.address) as proxy:
        keys = {"aws_access_key_id": SECRETS[1], "aws_secret_access_key": SECRETS[0]}
        settings = s3.settings(tmp_path / "a", proxy.address, **keys)
        straight = settings.model_copy(update={"aws_endpoint_url": s3.address})
        yield Store(proxy, blobs_of(settings, patience_s=20), blobs_of(straight), settings)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    path = tmp_path / "made"
    path.write_bytes(FILE)
    return path


@pytest.mark.parametrize("fault", [*PASSING, Fault.CUT_UP, Fault.NO_ANSWER])
async def test_a_file_goes_up_whole_after_faults(store: Store, made: Path, fault: Fault) -> None:
    store.proxy.fail(fault, times=2, only="PUT")
    await store.through.put_file(KEY, made)
    assert len(store.proxy.broken) == 2
    assert await store.straight.get(KEY) == FILE


@pytest.mark.parametrize("fault", [*PASSING, Fault.CUT_DOWN])
async def test_a_file_comes_down_whole_after_faults(store: Store, fault: Fault) -> None:
    await store.straight.put(KEY, FILE)
    store.proxy.fail(fault, times=2, only="GET")
    file = await store.through.open(KEY)
    got = b"".join([piece async for piece in file.read(0, file.size - 1)])
    assert len(store.proxy.broken) == 2
    assert hashlib.sha256(got).digest() == hashlib.sha256(FILE).digest()
    store.proxy.fail(fault, times=1, only="GET")
    assert await store.through.get(KEY) == FILE


async def test_half_an_upload_leaves_nothing_behind(store: Store, s3: S3, made: Path) -> None:
    store.proxy.fail(Fault.CUT_UP, only="PUT")
    hasty = blobs_of(store.settings, patience_s=0.5)
    with pytest.raises(StoreError, match="does not answer"):
        await hasty.put_file(KEY, made)
    assert await store.straight.older("artifacts", before=time.time() + 60) == []
    # Nobody else can find a part of it later, either: there is no upload that was begun.
    async with httpx.AsyncClient(base_url=s3.address) as http:
        begun = await http.get("/lorabot?uploads")
    assert begun.status_code == 200
    assert "<Upload>" not in begun.text


async def test_an_answer_that_was_lost_is_no_conflict(store: Store) -> None:
    """It was stored; the second try finds its own file, and another content is still refused."""
    store.proxy.fail(Fault.NO_ANSWER, times=1, only="PUT")
    await store.through.put(KEY, b"mine")
    assert await store.straight.get(KEY) == b"mine"
    with pytest.raises(BlobExistsError):
        await store.through.put(KEY, b"another")


async def test_a_store_that_says_nothing_is_left_in_time(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.remote_blobs.TRY_S", 0.3)
    store.proxy.fail(Fault.SILENT)
    hasty = blobs_of(store.settings, patience_s=0.5)
    began = time.monotonic()
    with pytest.raises(StoreError, match="too slow"):
        await hasty.get(KEY)
    assert time.monotonic() - began < 5


async def test_patience_ends_and_the_fault_is_known_until_it_is_over(store: Store) -> None:
    hasty = blobs_of(store.settings, patience_s=0.3)
    store.proxy.fail(Fault.BUSY)
    with pytest.raises(StoreError, match="answers 503") as caught:
        await hasty.exists(KEY)
    assert not caught.value.permanent
    assert await hasty.fault() == "the store answers 503"
    store.proxy.heal()
    assert await hasty.fault() == ""


async def test_a_wrong_key_is_told_at_once(store: Store) -> None:
    store.proxy.fail(Fault.FORBIDDEN)
    with pytest.raises(StoreError, match="refuses our key") as caught:
        await store.through.put(KEY, b"x")
    assert caught.value.permanent
    assert len(store.proxy.broken) == 1


async def test_a_missing_bucket_is_not_a_missing_file(s3: S3, tmp_path: Path) -> None:
    settings = s3.settings(tmp_path, blob_url="s3://nobody-made-it/x")
    blobs = blobs_of(settings)
    for ask in (blobs.get, blobs.exists, blobs.size, blobs.open, blobs.delete_prefix):
        with pytest.raises(StoreError, match="bucket is not there") as caught:
            await ask("photos/aa/x")
        assert caught.value.permanent
    with pytest.raises(StoreError, match="bucket is not there"):
        await blobs.put("photos/aa/x", b"x")


async def test_a_key_that_the_server_itself_refuses(s3: S3, tmp_path: Path) -> None:
    """A server that checks who asks, and does not know us."""
    blobs = blobs_of(s3.settings(tmp_path))
    async with httpx.AsyncClient(base_url=s3.address) as http:
        await http.post("/moto-api/reset-auth", content=b"0")
        try:
            with pytest.raises(StoreError, match="refuses our key"):
                await blobs.put(KEY, b"x")
        finally:
            await http.post("/moto-api/reset-auth", content=b"inf")


async def test_no_secret_and_no_file_name_is_in_what_is_said(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hasty = blobs_of(store.settings, patience_s=0.2)
    key, said = "photos/aa/of-somebody", repr(hasty)
    for fault in (Fault.BUSY, Fault.FORBIDDEN, Fault.RESET):
        store.proxy.fail(fault)
        with pytest.raises(StoreError) as caught:
            await hasty.get(key)
        said += str(caught.value) + "".join(traceback.format_exception(caught.value))
    said += caplog.text
    assert not [word for word in (*SECRETS, "of-somebody", store.proxy.address) if word in said]


async def test_of_many_hosts_that_publish_one_wins(store: Store) -> None:
    """Conditional writes, by a store behind faults."""
    store.proxy.fail(Fault.NO_ANSWER, times=4, only="PUT")
    puts = (store.through.put(KEY, str(number).encode()) for number in range(8))
    ended = await asyncio.gather(*puts, return_exceptions=True)
    assert sum(isinstance(one, BlobExistsError) for one in ended) == 7
    assert (await store.straight.get(KEY)).decode() == str(ended.index(None))


async def test_the_check_says_what_to_do(store: Store, tmp_path: Path) -> None:
    good = await check(store.settings)
    assert good.works
    assert "written and read" in good.said
    store.proxy.fail(Fault.FORBIDDEN)
    bad = await check(store.settings)
    assert not bad.works
    assert "refuses our key" in bad.said
    assert "AWS_" in bad.fix
    store.proxy.heal()
    assert (await check(Settings(data_dir=tmp_path))).works
    assert not [word for word in SECRETS if word in good.said + bad.said + bad.fix]


async def test_copies_here_are_few_and_go_again(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.stores.NEAR_BYTES", 250_000)
    monkeypatch.setattr("storage.near.KEEP_S", 0.0)
    blobs = s3.blobs(tmp_path)
    for number in range(5):
        await blobs.put(f"samples/j/{number}.jpg", bytes(100_000))
        await blobs.at_hand(f"samples/j/{number}.jpg")
    near = tmp_path / "near"
    kept = [path for path in near.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in kept) <= 250_000
    monkeypatch.setattr("storage.near.FORGET_S", -1.0)
    (near / ".new-killed").mkdir()
    await blobs.sweep_half_written(before=time.time() + 60)
    assert not [path for path in near.rglob("*") if path.is_file()]
    assert not (near / ".new-killed").exists()
