"""What hangs in public, as rows: the last decision counts, whatever was under way before it."""

from dataclasses import replace

from storage import exhibit_store
from storage.database import Database
from storage.exhibit_store import Exhibit

ON_BOTH = True
ONE = Exhibit(job_id="J" * 26, person="dc:1", place="dc")


async def test_what_is_shown_twice_hangs_once(database: Database) -> None:
    async with database.write() as tx:
        await exhibit_store.add(tx, ONE, now=1.0)
        await exhibit_store.hung(tx, ONE.job_id, "1:2")
        await exhibit_store.add(tx, ONE, now=2.0)
        assert await exhibit_store.get(tx, ONE.job_id) == replace(ONE, ref="1:2", at=1.0)
        assert await exhibit_store.to_do(tx) == []


async def test_what_has_yet_to_go_stays_if_that_is_wanted(database: Database) -> None:
    async with database.write() as tx:
        await exhibit_store.add(tx, ONE, now=1.0)
        await exhibit_store.hung(tx, ONE.job_id, "1:2")
        await exhibit_store.take_down(tx, ONE.job_id)
        (going,) = await exhibit_store.to_do(tx)
        await exhibit_store.add(tx, ONE, now=2.0)
        assert await exhibit_store.to_do(tx) == []
        # Unless it went just then: then it hangs anew.
        await exhibit_store.forget(tx, going)
        assert await exhibit_store.to_do(tx) == [replace(ONE, at=2.0)]


async def test_what_went_is_forgotten(database: Database) -> None:
    async with database.write() as tx:
        await exhibit_store.add(tx, ONE, now=1.0)
        await exhibit_store.hung(tx, ONE.job_id, "1:2")
        await exhibit_store.take_down_all(tx, ONE.person)
        (going,) = await exhibit_store.to_do(tx)
        assert (going.person, going.ref, going.gone) == ("", "1:2", True)
        await exhibit_store.forget(tx, going)
        assert await exhibit_store.get(tx, ONE.job_id) is None
