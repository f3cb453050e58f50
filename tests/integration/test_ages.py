"""Ages from the face pack, and what they do to an order: the real library, the real bot."""

import json
import random
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("cv2")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("insightface")

from pictures import faces
from pictures.box import Box
from pictures.faces import Face, Faces
from pictures.sandbox import Cells
from pipeline.face_model import FaceModel
from storage import job_lists, look_store, worker_store
from storage.database import Database
from storage.job import JobState
from storage.settings import Settings
from storage.worker_store import SEES_FACES
from tests.chatting import ME, Chat, Open, opener
from tests.drawn import photos
from tests.fakes import FakeFrontend
from tests.truth import models, people
from tests.truth.figures import Light, Shot, draw
from tests.truth.scenes import Scene

pytestmark = pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")
ADMIN = "tg:9"


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.face_pack(tmp_path_factory.mktemp("pack"), ages=True)


def portrait(gain: float) -> Image.Image:
    dice = random.Random(3)
    (who,) = people.cast(5, 1)
    person = people.Person(
        identity=who, pose=people.pose(dice, "close"), outfit=people.outfit(dice)
    )
    shot = Shot(people=(person,), scene=Scene(1, "studio"), light=Light(gain=gain, cast=0, noise=1))
    return Image.fromarray(np.asarray(draw(shot, 512, 512)[0]))


def test_the_packs_estimate_is_read_only_where_it_is_asked_for(pack: Path) -> None:
    asked = FaceModel(pack, ("CPUExecutionProvider",), 0.5, ages=True)
    (bright,), (dark,) = asked.find(portrait(1.1)), asked.find(portrait(0.4))
    assert bright.age is not None
    assert dark.age is not None
    assert 0 <= dark.age < bright.age <= 100
    kept = faces.from_json(json.loads(json.dumps(faces.to_json(Faces(pack="p", faces=(bright,))))))
    assert kept is not None
    assert kept.faces[0].age == bright.age
    silent = FaceModel(pack, ("CPUExecutionProvider",), 0.5)
    (face,) = silent.find(portrait(1.1))
    assert face.age is None
    assert "age" not in json.dumps(faces.to_json(Faces(pack="p", faces=(face,))))


# --- in the chat ---------------------------------------------------------------------------------


def open_with(database: Database, cells: Cells, folder: Path, action: str) -> Open:
    settings = Settings(
        data_dir=folder,
        consent="never",
        min_age=18,
        min_age_action=action,  # type: ignore[arg-type]  # one of two words
        admin_ids=frozenset({ADMIN}),
    )
    return opener(settings, database, FakeFrontend(), cells)


async def seen(chat: Chat, *ages: int | None) -> None:
    """Photos of a draft, and what a worker says of them: one face each, of this age."""
    await chat.draft()
    await chat.send(*photos(len(ages)))
    async with chat.database.write() as tx:
        for age in ages:
            key = await look_store.claim(tx, now=time.time(), hold_s=60)
            assert key is not None
            box = Box(0.3, 0.2, 0.7, 0.8)
            face = Face(box=box, score=0.9, sharpness=90.0, embedding=b"", age=age)
            told = json.dumps(faces.to_json(Faces(pack="p", faces=(face,))))
            await look_store.answer(tx, key, faces=told, described=None, now=time.time())
    await chat.press("✅ Done")


async def states(database: Database) -> list[JobState]:
    async with database.read() as tx:
        return [job.state for job in await job_lists.of_person(tx, ME)]


async def test_a_set_with_a_young_face_waits_for_an_admin(
    database: Database, cells: Cells, tmp_path: Path
) -> None:
    async with open_with(database, cells, tmp_path, "hold")() as chat:
        await seen(chat, 30, 17, *[40] * 7)
        await chat.press("🚀")
        await chat.reads("younger than 18", ADMIN)
        assert await states(database) == [JobState.HELD]


async def test_grown_up_faces_need_nobody(database: Database, cells: Cells, tmp_path: Path) -> None:
    async with open_with(database, cells, tmp_path, "hold")() as chat:
        await seen(chat, 18, *[40] * 7)
        await chat.press("🚀")
        await chat.reads("in the queue")
        assert await states(database) == [JobState.QUEUED]


@pytest.mark.parametrize("action", ["hold", "refuse"])
async def test_where_nothing_estimates_an_admin_looks(
    database: Database, cells: Cells, tmp_path: Path, action: str
) -> None:
    async with open_with(database, cells, tmp_path, action)() as chat:
        await seen(chat, None, *[40] * 7)
        await chat.press("🚀")
        await chat.reads("nothing estimated an age", ADMIN)
        assert await states(database) == [JobState.HELD]


async def test_young_faces_are_to_be_left_out_where_the_operator_wants_that(
    database: Database, cells: Cells, tmp_path: Path
) -> None:
    async with open_with(database, cells, tmp_path, "refuse")() as chat:
        await seen(chat, 30, *[40] * 7, 9)
        await chat.press("🚀")
        await chat.reads("only an estimate")
        assert await states(database) == []
        (young,) = [n for n in range(1, 10) if _named(chat, n)]
        await chat.press("🖼 All photos")
        await chat.press(f"✅ {young}")
        await chat.reads("8 of 9 in use")
        await chat.press("← Back")
        await chat.press("✅ Done")
        await chat.press("🚀")
        await chat.reads("in the queue")
        assert await states(database) == [JobState.QUEUED]


def _named(chat: Chat, number: int) -> bool:
    return any(f"that #{number} may show" in text for text in chat.network.texts(ME))


async def test_nothing_begins_while_a_photo_is_still_looked_at(
    database: Database, cells: Cells, tmp_path: Path
) -> None:
    async with open_with(database, cells, tmp_path, "hold")() as chat:
        async with database.write() as tx:
            await worker_store.beat(tx, "w", "h", [SEES_FACES], now=time.time())
        await chat.draft()
        await chat.send(*photos(8))
        await chat.press("✅ Done")
        await chat.press("🚀")
        await chat.reads("still being looked at")
        assert await states(database) == []
