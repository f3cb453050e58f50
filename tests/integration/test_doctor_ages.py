"""What the doctor says where the operator has set a least age: with a network for it, or none."""

from pathlib import Path

import pytest

pytest.importorskip("cv2")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("insightface")

from lorabot.doctor_ages import ages
from lorabot.finding import Health
from pipeline import packs
from storage.settings import Settings
from tests.truth import models


def known(folder: Path, **more: object) -> Settings:
    return Settings.model_validate({"data_dir": folder, "min_age": 18, **more})


def added(folder: Path, *, with_ages: bool) -> None:
    source = models.face_pack(folder / "source", ages=with_ages)
    packs.add(source, packs.home(folder, packs.FACES), name="drawn", licence="made here")


async def test_nobody_asks_for_ages(tmp_path: Path) -> None:
    found = await ages(known(tmp_path, min_age=0))
    assert (found.health, found.said) == (Health.OK, "not asked for (no MIN_AGE)")


async def test_without_networks_each_set_waits_and_the_fix_is_named(tmp_path: Path) -> None:
    found = await ages(known(tmp_path))
    assert found.health is Health.WARN
    assert found.said == "no face networks: with MIN_AGE each set waits for an admin"
    assert "genderage" in found.fix


async def test_a_broken_pack_estimates_nothing(tmp_path: Path) -> None:
    home = packs.home(tmp_path, packs.FACES)
    home.mkdir(parents=True)
    (home / packs.PACK).write_text("{}")
    found = await ages(known(tmp_path))
    assert (found.health, "are broken" in found.said) == (Health.WARN, True)


@pytest.mark.parametrize(
    ("with_ages", "action", "health", "said"),
    [
        (False, "hold", Health.WARN, "drawn has no network for ages: with MIN_AGE each set waits"),
        (True, "refuse", Health.OK, "a set with a face below 18 is refused"),
    ],
)
async def test_the_pack_itself_says_whether_it_has_ages(
    tmp_path: Path, action: str, health: Health, said: str, *, with_ages: bool
) -> None:
    """Loaded as a worker loads it: its files may have any names."""
    added(tmp_path, with_ages=with_ages)
    found = await ages(known(tmp_path, min_age_action=action))
    assert found.health is health
    assert said in found.said
