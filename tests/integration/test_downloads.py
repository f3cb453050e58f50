"""Finished files behind signed links, over real HTTP: broken off, gone on with, too old, forged."""

import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from bot.links import Links
from bot.packing import Post
from bot.web.app import create_app
from bot.web.downloads import Downloads
from bot.web.feed import Feed
from bot.web.room import Room
from bot.web.visitors import Visitors
from pictures.sandbox import Cells
from storage import job_store, library_store
from storage.blob_store import LocalBlobs, artifact_key
from storage.blobs import Blobs
from storage.database import Database
from storage.job import Artifact, Job, JobState
from storage.stores import blobs_of
from tests.faulty_proxy import Fault, faulty_proxy
from tests.http_server import serving
from tests.jobs import make_job
from tests.s3 import S3

FILE = random.Random(5).randbytes(3_000_000)
SHA256 = hashlib.sha256(FILE).hexdigest()


@dataclass
class Shop:
    """The web app with one finished file behind it."""

    http: httpx.AsyncClient
    post: Post
    database: Database
    job: Job

    def link(self, person: str = "", part: str = "") -> str:
        return self.post.links.path(self.job.id, person or self.job.person, part)


@pytest.fixture(params=["folder", "bucket"])
async def shop(
    request: pytest.FixtureRequest, database: Database, cells: Cells, tmp_path: Path
) -> AsyncIterator[Shop]:
    blobs: Blobs = LocalBlobs(tmp_path / "blobs")
    if request.param == "bucket":
        server: S3 = request.getfixturevalue("s3")
        blobs = server.blobs(tmp_path)
    async with opened(database, cells, blobs, tmp_path / "spool") as one:
        yield one


@asynccontextmanager
async def opened(
    database: Database, cells: Cells, blobs: Blobs, spool: Path
) -> AsyncIterator[Shop]:
    post = Post(blobs=blobs, links=Links("secret", hours=1))
    job = make_job(chat="tg:1", person="tg:1", state=JobState.DONE)
    key = artifact_key(job.id, 1, "mochi.safetensors")
    await blobs.put(key, FILE)
    made = Artifact(key=key, sha256=SHA256, file_bytes=len(FILE), name="mochi.safetensors")
    job = make_job(id=job.id, chat="tg:1", person="tg:1", state=JobState.DONE, artifact=made)
    async with database.write() as tx:
        await job_store.add(tx, job)

    async def receive(_: object) -> None:
        raise AssertionError("nobody speaks here")

    room = Room(
        feed=Feed(database),
        blobs=blobs,
        cells=cells,
        visitors=Visitors(secret="secret"),
        receive=receive,
        spool=spool,
    )
    app = create_app(room, Downloads(db=database, blobs=blobs, links=post.links))
    async with serving(app) as address, httpx.AsyncClient(base_url=address) as http:
        yield Shop(http, post, database, job)


async def test_a_whole_download(shop: Shop) -> None:
    answer = await shop.http.get(shop.link())
    assert answer.status_code == 200
    assert answer.content == FILE
    assert answer.headers["etag"] == f'"{SHA256}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == 'attachment; filename="mochi.safetensors"'
    assert "no-cache" in answer.headers["cache-control"]


async def test_a_look_at_it_costs_nothing(shop: Shop) -> None:
    answer = await shop.http.head(shop.link(), headers={"range": "bytes=5-"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(FILE))


async def test_a_download_that_broke_off_goes_on_and_is_the_same_file(shop: Shop) -> None:
    """Cut three times while it comes, each time with what is there so far."""
    got = b""
    etag = ""
    for enough in (200_000, 900_000, 1_700_000):
        headers = {"range": f"bytes={len(got)}-", "if-range": etag} if got else {}
        async with shop.http.stream("GET", shop.link(), headers=headers) as answer:
            assert answer.status_code == (206 if got else 200)
            etag = answer.headers["etag"]
            async for piece in answer.aiter_bytes():
                got += piece
                if len(got) > enough:
                    break
    rest = {"range": f"bytes={len(got)}-", "if-range": etag}
    answer = await shop.http.get(shop.link(), headers=rest)
    assert answer.headers["content-range"] == f"bytes {len(got)}-{len(FILE) - 1}/{len(FILE)}"
    assert hashlib.sha256(got + answer.content).hexdigest() == SHA256


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=-1000", 206, slice(-1000, None)),
        ("bytes=10-19", 206, slice(10, 20)),
        ("bytes=0-1,5-6", 200, slice(None)),
        ("bytes=9-8", 200, slice(None)),
    ],
)
async def test_parts(shop: Shop, asked: str, status: int, part: slice) -> None:
    answer = await shop.http.get(shop.link(), headers={"range": asked})
    assert answer.status_code == status
    assert answer.content == FILE[part]


async def test_a_part_behind_the_end_is_refused_with_the_size(shop: Shop) -> None:
    answer = await shop.http.get(shop.link(), headers={"range": f"bytes={len(FILE)}-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(FILE)}"


async def test_the_rest_of_another_file_is_not_handed_out(shop: Shop) -> None:
    headers = {"range": "bytes=10-", "if-range": '"of-another-file"'}
    assert (await shop.http.get(shop.link(), headers=headers)).content == FILE
    answer = await shop.http.get(shop.link(), headers={"if-match": '"of-another-file"'})
    assert answer.status_code == 412


async def test_whoever_has_it_gets_no_second_one(shop: Shop) -> None:
    answer = await shop.http.get(shop.link(), headers={"if-none-match": f'"{SHA256}"'})
    assert (answer.status_code, answer.content) == (304, b"")


async def test_a_link_is_for_one_file_and_one_person(shop: Shop) -> None:
    other = make_job(chat="tg:2", person="tg:2", state=JobState.DONE, artifact=shop.job.artifact)
    async with shop.database.write() as tx:
        await job_store.add(tx, other)
    for path in (
        shop.link("tg:2"),
        shop.post.links.path(other.id, "tg:1"),
        shop.post.links.path("0" * 26, "tg:1"),
        Links("another secret", hours=1).path(shop.job.id, "tg:1"),
    ):
        assert (await shop.http.get(path)).status_code == 404


async def test_every_change_of_a_link_makes_it_worthless(shop: Shop) -> None:
    token = shop.link()
    dice = random.Random(9)
    for _ in range(60):
        at = dice.randrange(len("/dl/"), len(token))
        forged = token[:at] + dice.choice("ABCxyz019-_.") + token[at + 1 :]
        answer = await shop.http.get(forged)
        # The last letter of a signature holds bits that mean nothing.
        assert answer.status_code == 404 or forged == token or at == len(token) - 1


@pytest.mark.parametrize("part", ["photos/aa/secret", "artifacts/other/1/x", "artifacts/../x"])
async def test_a_link_never_leads_out_of_its_jobs_files(shop: Shop, part: str) -> None:
    assert (await shop.http.get(shop.link(part=part))).status_code == 404


async def test_an_old_link_says_what_to_do(shop: Shop) -> None:
    shop.post.links.hours = -1
    answer = await shop.http.get(shop.link())
    assert answer.status_code == 410
    assert "/models" in answer.text


async def test_a_deleted_model_takes_its_links_with_it(shop: Shop) -> None:
    link = shop.link()
    async with shop.database.write() as tx:
        await library_store.doom(tx, shop.job, with_copy=False)
    answer = await shop.http.get(link)
    assert answer.status_code == 410
    assert "deleted" in answer.text


async def test_a_file_that_is_missing_is_gone(shop: Shop) -> None:
    assert shop.job.artifact is not None
    await shop.post.blobs.delete(shop.job.artifact.key)
    assert (await shop.http.get(shop.link())).status_code == 410


@pytest.mark.parametrize("shop", ["folder"], indirect=True)
async def test_a_download_outlives_its_file(shop: Shop) -> None:
    """Deleted while it is read: whoever has begun gets it whole. A bucket cannot promise that."""
    assert shop.job.artifact is not None
    async with shop.http.stream("GET", shop.link()) as answer:
        await shop.post.blobs.delete(shop.job.artifact.key)
        got = b"".join([piece async for piece in answer.aiter_bytes()])
    assert hashlib.sha256(got).hexdigest() == SHA256


async def test_a_store_that_is_away_is_said_plainly_and_the_download_goes_on_later(
    s3: S3, database: Database, cells: Cells, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.remote_blobs.PIECE_BYTES", 1_000_000)
    async with faulty_proxy(s3.address) as proxy:
        blobs = blobs_of(s3.settings(tmp_path, proxy.address), patience_s=0.3)
        async with opened(database, cells, blobs, tmp_path / "spool") as shop:
            proxy.fail(Fault.BUSY)
            answer = await shop.http.get(shop.link())
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
            assert "try again" in answer.text
            proxy.heal()
            got = b""
            with suppress(httpx.RemoteProtocolError):
                async with shop.http.stream("GET", shop.link()) as answer:
                    async for piece in answer.aiter_bytes():
                        got += piece
                        proxy.fail(Fault.RESET)
            proxy.heal()
            assert 0 < len(got) < len(FILE)
            rest = {"range": f"bytes={len(got)}-", "if-range": answer.headers["etag"]}
            answer = await shop.http.get(shop.link(), headers=rest)
            assert answer.status_code == 206
            assert hashlib.sha256(got + answer.content).hexdigest() == SHA256
