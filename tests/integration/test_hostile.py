import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest

from pictures.limits import DEFAULT
from tests.hostile import fuzz, headers, meta, pictures, tiffs, unzip
from tests.hostile.case import Case
from tests.hostile.trial import Trial, trial
from tests.hostile.unzip import Unzipped

pytestmark = pytest.mark.timeout(240)

SEED = 20
MUTANTS = 60
HANG_S = 2 * DEFAULT.seconds
MOST_BYTES = 1_000_000_000
ZIP_BYTES = 300_000_000  # two copies of the largest photo, and what reads them
CODES = {"big", "broken", "long", "pixels", "slow", "tiny", "type"}
FOR_EVER = "bomb.jpeg.scans_for_ever"


@pytest.fixture(scope="module")
def uploads() -> dict[str, Case]:
    mutants = enumerate(fuzz.mutants(SEED, MUTANTS))
    mutated = (Case(f"fuzz.{n}", data, None) for n, data in mutants)
    return {case.name: case for case in (*pictures.cases(SEED), *mutated)}


@pytest.fixture(scope="module")
def tried(uploads: dict[str, Case], tmp_path_factory: pytest.TempPathFactory) -> Trial:
    folder: Path = tmp_path_factory.mktemp("hostile")
    ending = [case for case in uploads.values() if case.name != FOR_EVER]
    return asyncio.run(trial(ending, folder))


@pytest.fixture(scope="module")
def unzipped() -> list[Unzipped]:
    return unzip.unzipped(SEED)


def test_there_are_enough_of_them(tried: Trial) -> None:
    assert tried.cases >= 200 + MUTANTS


def test_what_is_good_is_opened_and_what_is_bad_refused(tried: Trial) -> None:
    assert "\n".join(tried.wrong) == ""


def test_each_refusal_has_a_reason_that_is_known(tried: Trial) -> None:
    assert {code.removeprefix("photo.") for code in tried.refused} <= CODES


def test_nothing_hangs(tried: Trial) -> None:
    assert tried.slowest[0] < HANG_S, tried.slowest


def test_memory_is_bounded(tried: Trial) -> None:
    assert 0 < tried.peak_bytes < MOST_BYTES


def test_nothing_is_written_anywhere(tried: Trial) -> None:
    assert tried.written == []


def test_the_same_cells_open_a_good_photo_afterwards(tried: Trial) -> None:
    assert tried.good_after


async def test_a_file_that_goes_on_for_ever_is_left_in_time(
    uploads: dict[str, Case], tmp_path: Path
) -> None:
    tried = await trial([uploads[FOR_EVER]], tmp_path, replace(DEFAULT, seconds=3.0))
    assert tried.refused == {"photo.slow": 1}
    assert tried.good_after


@pytest.mark.long
def test_uploads_are_the_same_for_the_same_seed() -> None:
    assert list(fuzz.mutants(3, 20)) == list(fuzz.mutants(3, 20))
    for family in (headers, meta, tiffs):
        first, again = (list(family.cases(random.Random(3))) for _ in range(2))
        assert first == again


def test_each_zip_is_read_or_refused_for_its_reason(unzipped: list[Unzipped]) -> None:
    assert len(unzipped) >= 40
    wrong = [f"{one.name}: {one.said or 'read'}" for one in unzipped if one.wrong]
    assert "\n".join(wrong) == ""


def test_no_zip_takes_much_memory_or_time(unzipped: list[Unzipped]) -> None:
    greedy = [one for one in unzipped if one.peak_bytes > ZIP_BYTES or one.seconds > HANG_S]
    assert "\n".join(map(str, greedy)) == ""
