"""The networks made by hand, through the loading code of the real ones, on people it never saw."""

import csv
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

pytest.importorskip("cv2")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("insightface")

from tests.truth import embedder, models, people, photos, scenes, tagger, truthset
from tests.truth.canvas import Picture
from tests.truth.figures import Face, Light, Shot, draw
from tests.truth.photos import Photo
from tests.truth.scenes import Scene
from tests.truth.truthset import Spec

pytestmark = pytest.mark.filterwarnings("ignore:`estimate` is deprecated:FutureWarning")

SEEDS = (101, 202)
PERSONS, TIMES, GROUPS, EMPTY = 4, 3, 2, 2  # in each seed
FEW = Spec(
    good=2,
    night=1,
    vignette=1,
    bokeh=1,
    bursts=1,
    burst_frames=2,
    duplicates=2,
    blurred=3,
    grey=1,
    bordered=2,
    other_person=1,
    several=1,
    no_face=1,
    small=1,
    dark=1,
    bright=1,
    sizes=(300, 400),
)


@dataclass
class Found:
    """What the networks said of all pictures of all seeds."""

    overlaps: list[float] = field(default_factory=list)
    missed: int = 0
    invented: int = 0
    apart: list[float] = field(default_factory=list)  # of points, in widths of the face
    embeddings: list[NDArray[np.float32]] = field(default_factory=list)
    persons: list[tuple[int, int]] = field(default_factory=list)  # seed and number


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from insightface.app import FaceAnalysis

    pack = models.face_pack(tmp_path_factory.mktemp("pack"))
    analysis = FaceAnalysis(
        name=str(pack),
        allowed_modules=["detection", "recognition"],
        providers=["CPUExecutionProvider"],
    )
    analysis.prepare(ctx_id=-1, det_thresh=0.5, det_size=(640, 640))
    return analysis


@pytest.fixture(scope="module")
def found(app: Any) -> Found:
    result = Found()
    for seed in SEEDS:
        for picture, faces in _pictures(seed):
            seen = app.get(np.ascontiguousarray(picture[:, :, ::-1]))
            _compare(result, seen, faces, seed)
    return result


def _pictures(seed: int) -> Iterator[tuple[Picture, list[Face]]]:
    dice = random.Random(seed)
    cast = people.cast(seed, PERSONS)
    groups = [[who] for who in cast for _ in range(TIMES)]
    groups += [dice.sample(cast, 3) for _ in range(GROUPS)] + [[] for _ in range(EMPTY)]
    for group in groups:
        persons = []
        for number, who in enumerate(group):
            pose = people.pose(dice, dice.choice(people.FRAMINGS) if len(group) == 1 else "half")
            if len(group) > 1:
                pose = replace(pose, x=0.18 + 0.32 * number, head=0.17, arms="down")
            persons.append(people.Person(identity=who, pose=pose, outfit=people.outfit(dice)))
        light = Light(gain=dice.uniform(0.75, 1.15), cast=dice.uniform(-0.08, 0.08), noise=3.0)
        scene = Scene(dice.randrange(10**9), dice.choice(scenes.KINDS))
        shot = Shot(people=tuple(persons), scene=scene, light=light, seed=dice.randrange(10**9))
        yield draw(shot, *((768, 1024) if len(group) == 1 else (1024, 768)))


def _compare(result: Found, seen: list[Any], faces: list[Face], seed: int) -> None:
    left = list(seen)
    for face in faces:
        best = max(left, key=lambda one: _overlap(one.bbox, face.box), default=None)
        if best is None or _overlap(best.bbox, face.box) < 0.5:
            result.missed += 1
            continue
        left = [one for one in left if one is not best]
        result.overlaps.append(_overlap(best.bbox, face.box))
        off = np.abs(best.kps - np.array(face.points)).max() / (face.box[2] - face.box[0])
        result.apart.append(float(off))
        result.embeddings.append(best.normed_embedding)
        result.persons.append((seed, face.person))
    result.invented += len(left)


def _overlap(one: Any, other: Any) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(0.0, float(width)) * max(0.0, float(height))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return shared / float(sum(areas) - shared)


def test_hardly_a_face_is_missed(found: Found) -> None:
    assert len(found.overlaps) / (len(found.overlaps) + found.missed) >= 0.97


def test_hardly_a_face_is_invented(found: Found) -> None:
    assert len(found.overlaps) / (len(found.overlaps) + found.invented) >= 0.99


def test_boxes_and_points_lie_where_the_faces_are(found: Found) -> None:
    assert np.mean(found.overlaps) >= 0.9
    assert np.median(found.apart) < 0.05


def test_photos_of_one_person_are_alike_and_those_of_two_are_not(found: Found) -> None:
    vectors, persons = np.array(found.embeddings), np.array(found.persons)
    cosines = vectors @ vectors.T
    one_set = persons[:, None, 0] == persons[None, :, 0]
    same = one_set & (persons[:, None, 1] == persons[None, :, 1])
    others = cosines[one_set & ~same]
    np.fill_diagonal(same, val=False)
    assert np.percentile(cosines[same], 5) > 0.45
    assert 0.6 < np.median(cosines[same]) < 0.97
    assert np.percentile(others, 99) < 0.3


def test_the_same_pack_is_written_twice(tmp_path: Path) -> None:
    first = models.face_pack(tmp_path / "a")
    embedder._whitening.cache_clear()  # measured anew, not remembered
    second = models.face_pack(tmp_path / "b")
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes()


@pytest.fixture(scope="module")
def tags(tmp_path_factory: pytest.TempPathFactory) -> Any:
    import onnxruntime

    folder = models.tagger(tmp_path_factory.mktemp("tagger"))
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    with (folder / "selected_tags.csv").open(encoding="utf-8") as file:
        names = [row["name"] for row in csv.DictReader(file)]

    def ask(picture: Picture) -> set[str]:
        small = Image.fromarray(picture).resize((tagger.SIDE, tagger.SIDE))
        batch = np.asarray(small, np.float32)[None, :, :, ::-1]
        (answer,) = session.run(None, {"input": np.ascontiguousarray(batch)})
        return {name for name, share in zip(names, answer[0], strict=True) if share > 0.5}

    return ask


def test_the_tagger_knows_a_place(tags: Any) -> None:
    for seed in SEEDS:
        garden, city = (scenes.draw(Scene(seed, kind), 400, 400) for kind in ("garden", "city"))
        assert {"outdoors", "blue_sky", "grass"} <= tags(garden)
        assert "night" in tags(city)
        assert "indoors" not in tags(garden)


def test_the_tagger_knows_a_shirt_and_hair(tags: Any) -> None:
    who = replace(people.identity(1), hair=(97, 62, 37), fringe=(-0.6,) * people.FRINGE)
    dress = people.Outfit(shirt=(200, 30, 40), trousers=(40, 40, 60), neckline=0.05)
    pose = people.Pose(y=0.4, head=0.35)
    person = people.Person(identity=who, pose=pose, outfit=dress)
    picture, _ = draw(Shot(people=(person,), scene=Scene(3, "beach")), 500, 500)
    assert {"red_shirt", "brown_hair", "1girl"} <= tags(picture)
    assert not {"blue_shirt", "blue_hair", "night"} & tags(picture)


def test_the_tags_are_listed_as_the_real_ones_are(tmp_path: Path) -> None:
    text = (models.tagger(tmp_path) / "selected_tags.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert list(rows[0]) == ["tag_id", "name", "category", "count"]
    kinds = [int(row["category"]) for row in rows]
    assert kinds[:4] == [tagger.RATING] * 4
    place = kinds.index(tagger.CHARACTER)
    assert tagger.GENERAL in kinds[4:place]
    assert tagger.GENERAL in kinds[place:]


def test_a_truth_set_is_written_twice(tmp_path: Path) -> None:
    first, second = (truthset.make(tmp_path / name, 5, spec=FEW) for name in "ab")
    assert first == second
    for truth in first:
        assert (tmp_path / "a" / truth.name).read_bytes() == (
            tmp_path / "b" / truth.name
        ).read_bytes()
    assert truthset.make(tmp_path / "c", 6, spec=FEW) != first


def test_what_is_known_of_a_file_is_true(tmp_path: Path) -> None:
    for truth in truthset.make(tmp_path, 7, spec=FEW):
        with Image.open(tmp_path / truth.name) as image:
            assert image.getexif().get(photos.ORIENTATION) == truth.orientation
            assert ImageOps.exif_transpose(image).size == truth.size
        left, top, right, bottom = truth.content
        assert 0 <= left < right <= truth.size[0] + 0.01
        assert 0 <= top < bottom <= truth.size[1] + 0.01
        for _, box in truth.faces:
            assert left - 1 <= box[0] < box[2] <= right + 1
            assert top - 1 <= box[1] < box[3] <= bottom + 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_file_is_upright_again(tmp_path: Path, orientation: int) -> None:
    picture = scenes.draw(Scene(1, "room"), 90, 60)
    path = photos.save(Photo.of(picture, []), tmp_path / "a.png", orientation=orientation)
    with Image.open(path) as image:
        assert np.array_equal(np.asarray(ImageOps.exif_transpose(image)), picture)


def test_a_mirror_moves_the_faces_along() -> None:
    who, dice = people.identity(4), random.Random(4)
    person = people.Person(identity=who, pose=people.Pose(x=0.3), outfit=people.outfit(dice))
    before = Photo.of(*draw(Shot(people=(person,)), 200, 200))
    after = photos.mirrored(before)
    assert after.faces[0].box[0] == pytest.approx(200 - before.faces[0].box[2])
    (back,) = photos.mirrored(after).faces
    assert np.allclose(back.points, before.faces[0].points)


def test_sessions_hold_each_person_so_often(tmp_path: Path) -> None:
    truths = truthset.sessions(tmp_path, 8, each=(3, 2), strays=1, spec=FEW)
    assert sorted(truth.faces[0][0] for truth in truths) == [0, 0, 0, 1, 1, 2]
