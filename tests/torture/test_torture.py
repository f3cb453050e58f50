"""The short run, and the arithmetic of the long one."""

import asyncio
import sys
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from storage.database import Database
from tests import postgres
from tests.conftest import eventually
from tests.torture import troop
from tests.torture.base import POSTGRES, of_sqlite
from tests.torture.blows import ON_POSTGRES, ON_SQLITE, WEIGHTS, Blow, Kind, planned
from tests.torture.siege import Plan, besiege
from tests.torture.table import written
from tests.torture.wounds import Row, Wounds

SEED = 7


@pytest.mark.timeout(240)
async def test_nothing_is_lost_or_doubled_or_shown_wrong(
    capsys: pytest.CaptureFixture[str],
) -> None:
    plan = Plan(jobs=8, for_s=10.0, seed=SEED, every_s=1.8, job_s=1.5, lease_s=3.0)
    verdict = await besiege(plan)
    with capsys.disabled():
        print("\n" + written(plan, verdict))
    assert verdict.faults(plan.lease_s) == []
    assert verdict.done == plan.jobs
    assert verdict.recovery


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_a_database_that_dies_under_everybody_loses_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    postgres.found_or_skip()
    plan = Plan(jobs=6, for_s=12.0, seed=SEED, every_s=3, database=POSTGRES, only="database")
    verdict = await besiege(plan)
    with capsys.disabled():
        print("\n" + written(plan, verdict))
    assert verdict.faults(plan.lease_s) == []
    assert verdict.done == plan.jobs
    assert verdict.away.keys() <= verdict.recovery.keys()


def test_the_same_seed_strikes_the_same_blows() -> None:
    once, again = (planned(SEED, 300, 2, 3) for _ in range(2))
    assert once == again != planned(SEED + 1, 300, 2, 3)
    assert {blow.kind for blow in once} == set(WEIGHTS)
    assert all(0 < blow.at_s < 300 for blow in once)


def test_a_freeze_past_the_lease_is_longer_than_the_lease() -> None:
    for blow in planned(SEED, 3000, 1, 3):
        if blow.kind is Kind.WORKER_FREEZE:
            assert blow.lasts_s > 3
        if blow.kind is Kind.WORKER_NAP:
            assert 0 < blow.lasts_s < 3


def test_a_gap_lasts_until_a_later_claim_runs_the_job() -> None:
    wounds = Wounds()
    mine = {"a": Row(1, running=True, ended=False, holder=5), "b": Row(1, True, False, 6)}
    assert wounds.strike(Kind.WORKER_KILL, 5, mine, 10.0) == 1
    wounds.look(mine, 11.0)
    wounds.look({"a": Row(1, running=False, ended=False)}, 12.0)
    assert len(wounds.open) == 1
    wounds.look({"a": Row(2, running=True, ended=False, holder=6)}, 13.5)
    assert wounds.gaps([Kind.WORKER_KILL]) == [3.5]
    assert not wounds.open


def test_time_in_which_nobody_is_free_is_told_apart() -> None:
    wounds = Wounds()
    rows = {"a": Row(1, running=True, ended=False, holder=5)}
    wounds.strike(Kind.WORKER_KILL, 5, rows, 1.0)
    wounds.look(rows, 2.0)
    wounds.look(rows, 5.0, crowded=True)
    wounds.look({"a": Row(2, running=True, ended=False, holder=6)}, 6.0)
    assert wounds.gaps(Kind) == [5.0]
    assert wounds.own_gaps(Kind) == [2.0]


def test_a_job_that_is_hit_again_waits_anew() -> None:
    wounds = Wounds()
    rows = {"a": Row(1, running=True, ended=False, holder=5)}
    wounds.strike(Kind.TRAINER_KILL, 5, rows, 1.0)
    wounds.strike(Kind.WORKER_KILL, 5, rows, 4.0)
    wounds.look({"a": Row(2, running=False, ended=True)}, 5.0)
    assert wounds.gaps(Kind) == [1.0]


def test_a_thawed_worker_that_still_has_its_job_goes_on() -> None:
    wounds = Wounds()
    rows = {"a": Row(1, running=True, ended=False, holder=5)}
    wounds.strike(Kind.WORKER_NAP, 5, rows, 1.0)
    wounds.thawed(6, rows, 2.0)
    assert len(wounds.open) == 1
    wounds.thawed(5, rows, 2.0)
    assert wounds.gaps([Kind.WORKER_NAP]) == [1.0]


def test_blows_on_the_database_change_no_other_blow() -> None:
    usual = planned(SEED, 300, 3, 3)
    for database, kinds in (("", ON_SQLITE), (POSTGRES, ON_POSTGRES)):
        found = Plan(jobs=1, for_s=300, seed=SEED, database=database).blows()
        assert [blow for blow in found if blow.kind in WEIGHTS] == usual
        assert {blow.kind for blow in found} - set(WEIGHTS) == set(kinds)
    assert Plan(jobs=1, for_s=300, seed=SEED, database="postgresql://far").blows() == usual


def test_who_was_cut_off_from_the_database_goes_on_with_the_next_renewal() -> None:
    wounds = Wounds()
    rows = {
        "a": Row(1, running=True, ended=False, holder=5, renewed_at=99.0),
        "b": Row(1, running=False, ended=False),
    }
    assert wounds.strike_all(Kind.DATABASE_KILL, rows, 1.0, 100.0) == 1
    assert wounds.strike_all(Kind.DATABASE_FREEZE, rows, 1.5, 100.5) == 0  # it waits already
    wounds.look(rows, 2.0)
    wounds.look({"a": Row(1, running=True, ended=False, holder=5, renewed_at=102.0)}, 3.5)
    assert wounds.gaps([Kind.DATABASE_KILL]) == [2.5]
    assert not wounds.open


async def test_another_programs_lock_holds_up_whoever_writes(
    database: Database, tmp_path: Path
) -> None:
    base = of_sqlite(tmp_path / "test.db", troop.marked(tmp_path, Path(__file__).parents[2]))
    blow = Blow(0.0, Kind.DATABASE_LOCK, 0.5, lasts_s=1.0)
    hurt = asyncio.Event()
    striking = asyncio.create_task(base.strike(blow, hurt.set))
    await hurt.wait()
    assert base.struck
    assert not await base.strike(blow, hurt.set)
    began = time.monotonic()
    async with database.write() as tx:
        await tx.execute(sa.text("SELECT 1"))
    assert time.monotonic() - began > 0.5
    assert await striking
    assert base.away_s[Kind.DATABASE_LOCK][0] >= 1.0


async def test_a_process_that_was_left_over_is_found(tmp_path: Path) -> None:
    environment = troop.marked(tmp_path, Path(__file__).parents[2])
    waits = [sys.executable, "-c", "import time; time.sleep(600)"]
    member = troop.Member("one", waits, environment, tmp_path, SEED)
    member.start()
    await _until_there(tmp_path)
    assert len(troop.left_over(tmp_path)) == 1
    await member.close()
    assert await troop.all_gone(tmp_path, 10) == []
    assert member.odd_ends == []


async def _until_there(folder: Path) -> None:
    async def there() -> bool:
        return bool(troop.left_over(folder))

    await eventually(there)
