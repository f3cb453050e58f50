"""The lane that looks at photos that were just sent: real networks in a real child process."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pictures import faces, look
from pictures.captions import Described
from pictures.look import Look
from pictures.sandbox import Cells
from pipeline import packs
from pipeline.eyes import BlindError, Eyes, EyesConfig
from pipeline.inspector import Inspector
from storage import conversation_store, look_store, worker_store
from storage.blob_store import LocalBlobs, photo_key
from storage.database import Database
from storage.look_store import Known
from tests.conftest import eventually
from tests.drawn import photo
from tests.truth.figures import Shot, draw
from tests.truth.models import face_pack, tagger
from tests.truth.people import Outfit, Person, Pose, identity
from tests.truth.scenes import Scene

pytest.importorskip("insightface")
CHAT = "web:one"
OUTFIT = Outfit(shirt=(200, 40, 40), trousers=(60, 60, 90))


def portrait(number: int, seed: int = 0) -> bytes:
    import cv2

    person = Person(identity=identity(number), pose=Pose(head=0.4), outfit=OUTFIT)
    pixels, _ = draw(Shot(people=(person,), scene=Scene(seed), seed=seed), 480, 640)
    done, data = cv2.imencode(".png", pixels[:, :, ::-1])
    assert done
    return data.tobytes()


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> EyesConfig:
    home = tmp_path_factory.mktemp("models")
    for kind, source in (("faces", face_pack(home / "a")), ("tagger", tagger(home / "b"))):
        packs.add(source, home / kind, licence="made here")
    return EyesConfig(faces=str(home / "faces"), tagger=str(home / "tagger"), device="cpu")


@pytest.fixture
async def eyes(config: EyesConfig) -> AsyncIterator[Eyes]:
    opened = Eyes(config)
    yield opened
    await opened.close()


@pytest.fixture
def blobs(tmp_path: Path) -> LocalBlobs:
    return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def inspector(database: Database, blobs: LocalBlobs, cells: Cells, eyes: Eyes) -> Inspector:
    return Inspector(database, blobs, cells, eyes)


async def sent(database: Database, blobs: LocalBlobs, cells: Cells, data: bytes) -> str:
    """What the chat side does with an upload."""
    seen = await cells.look(data)
    assert isinstance(seen, Look)
    key = look.key_of(data)
    await blobs.put(photo_key(key), data)
    async with database.write() as tx:
        await conversation_store.save(tx, CHAT, "{}", now=time.time())
        text = json.dumps(look.to_json(seen))
        await look_store.put(tx, key, text, CHAT, now=time.time())
    return key


async def known(database: Database, key: str) -> Known:
    async with database.read() as tx:
        return (await look_store.get(tx, [key]))[key]


async def version(database: Database) -> int:
    async with database.read() as tx:
        stored = await conversation_store.load(tx, CHAT)
    assert stored is not None
    return stored.version


def faces_of(row: Known) -> tuple[faces.Face, ...]:
    found = faces.from_json(json.loads(row.faces or ""))
    assert found is not None
    return found.faces


async def test_a_photo_gets_its_faces_and_its_words_and_the_chat_hears_of_it(
    database: Database, blobs: LocalBlobs, cells: Cells, inspector: Inspector, eyes: Eyes
) -> None:
    empty = await sent(database, blobs, cells, photo(1))
    key = await sent(database, blobs, cells, portrait(3))
    before = await version(database)
    assert await inspector.look_at_one()
    assert await inspector.look_at_one()
    assert not await inspector.look_at_one()
    assert await version(database) == before + 2
    row = await known(database, key)
    (face,) = faces_of(row)
    assert 0.25 < face.box.height < 0.6
    assert len(face.embedding) == 1024
    assert Described.from_json(json.loads(row.described or "")).tags
    assert row.seen
    assert faces_of(await known(database, empty)) == ()
    assert eyes.providers == ("CPUExecutionProvider",)


async def test_a_photo_that_was_deleted_meanwhile_holds_up_nobody(
    database: Database, blobs: LocalBlobs, cells: Cells, inspector: Inspector
) -> None:
    gone = await sent(database, blobs, cells, photo(1))
    stays = await sent(database, blobs, cells, photo(2))
    await blobs.delete(photo_key(gone))
    assert await inspector.look_at_one()
    assert await inspector.look_at_one()
    assert (await known(database, stays)).faces is not None


async def test_the_lane_runs_beside_everything_and_hears_the_bell(
    database: Database, blobs: LocalBlobs, cells: Cells, inspector: Inspector
) -> None:
    running = asyncio.create_task(inspector.run())
    key = await sent(database, blobs, cells, photo(3))
    inspector.rung.set()

    async def is_seen() -> bool:
        return (await known(database, key)).seen

    await eventually(is_seen)
    running.cancel()


async def test_networks_that_are_killed_come_back(
    database: Database, blobs: LocalBlobs, cells: Cells, inspector: Inspector, eyes: Eyes
) -> None:
    await sent(database, blobs, cells, photo(4))
    await inspector.look_at_one()
    assert eyes._child is not None
    os.kill(eyes._child.process.pid, signal.SIGKILL)
    key = await sent(database, blobs, cells, photo(5))
    with pytest.raises(BlindError):
        await inspector.look_at_one()
    async with database.write() as tx:
        await look_store.look_again(tx, [key])
    assert await inspector.look_at_one()
    assert (await known(database, key)).faces is not None


async def test_networks_that_cannot_be_loaded_say_why(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "broken.onnx").write_bytes(b"no network")
    packs.add(tmp_path / "pack", tmp_path / "faces", licence="made here")
    eyes = Eyes(EyesConfig(faces=str(tmp_path / "faces"), device="cpu"))
    with pytest.raises(BlindError):
        await eyes.see((64, 64), bytes(64 * 64 * 3))


async def test_a_file_that_was_changed_is_not_loaded(config: EyesConfig, tmp_path: Path) -> None:
    source = Path(config.faces)
    packs.add(source, tmp_path / "faces", licence="made here")
    with (tmp_path / "faces" / "det_10g.onnx").open("ab") as file:
        file.write(b"x")
    eyes = Eyes(EyesConfig(faces=str(tmp_path / "faces"), device="cpu"))
    with pytest.raises(BlindError, match="sha256"):
        await eyes.see((64, 64), bytes(64 * 64 * 3))


async def test_without_networks_there_is_no_lane(
    database: Database, blobs: LocalBlobs, cells: Cells
) -> None:
    inspector = Inspector(database, blobs, cells, Eyes(EyesConfig()))
    await inspector.run()
    assert inspector.labels == []


def test_the_labels_say_what_a_worker_sees(eyes: Eyes) -> None:
    assert eyes.labels == [worker_store.SEES_FACES, worker_store.SEES_TAGS]
