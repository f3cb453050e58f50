"""What networks say of samples: real ones in a real child process, on people whom we drew."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("cv2")
pytest.importorskip("insightface")

from pictures.sandbox import Cells
from pipeline import packs
from pipeline.critic import Critic, wanted
from pipeline.eyes import Eyes, EyesConfig
from tests.jobs import PARAMS
from tests.truth.figures import Shot, draw
from tests.truth.models import face_pack, tagger
from tests.truth.people import Identity, Outfit, Person, Pose, cast
from tests.truth.scenes import Scene
from trainer.outside import Seen
from trainer.run import Prompt

pytestmark = pytest.mark.timeout(240)

OUTFIT = Outfit(shirt=(200, 40, 40), trousers=(60, 60, 90))
SHE, STRANGER = cast(7, 2)
HER = (Prompt(text="mochix person"), Prompt(text="mochix person, red shirt"))


@cache
def portrait(who: Identity, seed: int) -> Image.Image:
    pose = Pose(head=0.35 + 0.02 * (seed % 4))
    person = Person(identity=who, pose=pose, outfit=OUTFIT)
    pixels, _ = draw(Shot(people=(person,), scene=Scene(seed, "studio"), seed=seed), 288, 384)
    return Image.fromarray(pixels)


def laid(folder: Path, pictures: Sequence[Image.Image], name: str = "{:04}.png") -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name.format(number) for number, _ in enumerate(pictures, start=1)]
    for path, picture in zip(paths, pictures, strict=True):
        picture.save(path)
    return paths


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> EyesConfig:
    home = tmp_path_factory.mktemp("models")
    for kind, source in (("faces", face_pack(home / "a")), ("tagger", tagger(home / "b"))):
        packs.add(source, home / kind, licence="made here")
    return EyesConfig(faces=str(home / "faces"), tagger=str(home / "tagger"), device="cpu")


@pytest.fixture
async def eyes(models: EyesConfig) -> AsyncIterator[Eyes]:
    opened = Eyes(models)
    yield opened
    await opened.close()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Four photos of her, and what else lies in such a folder."""
    folder = tmp_path / "dataset"
    laid(folder, [portrait(SHE, seed) for seed in range(4)])
    laid(folder, [portrait(STRANGER, 9)], "contact-sheet.png")
    (folder / "0001.txt").write_text("mochix person")
    return folder


async def test_the_person_is_told_from_a_stranger_and_from_nobody(
    eyes: Eyes, cells: Cells, dataset: Path, tmp_path: Path
) -> None:
    critic = Critic(eyes, cells, dataset, PARAMS, person=True)

    async def look(name: str, pictures: list[Image.Image]) -> Seen:
        return await critic.look(laid(tmp_path / name, pictures), HER)

    she = await look("she", [portrait(SHE, seed) for seed in (11, 12)])
    stranger = await look("stranger", [portrait(STRANGER, seed) for seed in (11, 12)])
    nobody = await look("nobody", [Image.new("RGB", (288, 384), (90, 120, 90))] * 2)
    half = await look("half", [portrait(SHE, 11), Image.new("RGB", (288, 384), (90, 120, 90))])
    assert she.faces is not None
    assert she.among is not None
    assert stranger.faces is not None
    assert she.faces > 0.8 * she.among
    assert she.faces > stranger.faces + 0.2
    assert nobody.faces == 0.0
    assert half.faces is not None
    assert half.faces == pytest.approx(she.faces / 2, abs=0.1)
    # One of the prompts asked for something that the tagger has a word for.
    assert (she.obeys, nobody.obeys) == (1.0, 0.0)

    broken = laid(tmp_path / "broken", [portrait(SHE, 11)] * 2)
    broken[0].write_bytes(broken[1].read_bytes()[:200])
    assert (await critic.look(broken, HER)).faces == pytest.approx(2 * half.faces, abs=0.1)

    few = tmp_path / "few"
    laid(few, [portrait(SHE, 1)])
    critic = Critic(eyes, cells, few, PARAMS, person=True)
    assert (await critic.look(broken, HER)).faces is None


async def test_where_there_is_nothing_to_ask_nothing_is_measured(
    models: EyesConfig, cells: Cells, dataset: Path, tmp_path: Path
) -> None:
    samples = laid(tmp_path / "samples", [portrait(SHE, 11)])
    plain = (Prompt(text="a person"),)
    for config, person in ((models, False), (replace(models, faces=""), True)):
        eyes = Eyes(config)
        assert await Critic(eyes, cells, dataset, PARAMS, person=person).look(samples, plain) == (
            Seen()
        )
        await eyes.close()
    blind = Eyes(EyesConfig())
    assert not Critic(blind, cells, dataset, PARAMS, person=True).sees


async def test_networks_that_do_not_load_measure_nothing(
    cells: Cells, dataset: Path, tmp_path: Path
) -> None:
    eyes = Eyes(EyesConfig(faces=str(tmp_path / "nothing"), device="cpu"))
    (tmp_path / "nothing").mkdir()
    critic = Critic(eyes, cells, dataset, PARAMS, person=True)
    samples = laid(tmp_path / "samples", [portrait(SHE, 11)])
    assert await critic.look(samples, HER) == Seen()
    await eyes.close()


def test_the_words_of_a_prompt_are_those_beside_the_subject() -> None:
    asked = wanted("mochix person at night, in the city", PARAMS)
    assert asked[:5] == ("at", "night", "in", "the", "city")
    assert {"at night", "the city"} < set(asked)
    assert wanted("mochix person", PARAMS) == ()
