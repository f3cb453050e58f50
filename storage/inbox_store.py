"""Updates from networks, which deliver at least once: kept before they are confirmed, done once."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import inbox, seen_updates

ONE = sa.and_(inbox.c.platform == sa.bindparam("of"), inbox.c.update_id == sa.bindparam("number"))
# The text goes, for it is somebody's words; the id stays, against a repetition.
HANDLED = inbox.update().where(ONE).values(done=True, body="")
SETTLED = HANDLED.where(inbox.c.done.is_(False))


async def first_time(tx: Tx, platform: str, update_id: str, *, now: float) -> bool:
    """Claim this update's effect for the transaction at hand; False: it had its effect already."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"platform": platform, "update_id": update_id, "seen_at": now}
    added = await tx.execute(dialect.insert(seen_updates).values(row).on_conflict_do_nothing())
    return added.rowcount == 1


async def keep(tx: Tx, platform: str, items: list[tuple[str, str]], *, now: float) -> None:
    """Raw updates as (id, JSON); the ones that are there already stay as they are."""
    if not items:
        return
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    rows = [
        {"platform": platform, "update_id": name, "body": body, "kept_at": now, "done": False}
        for name, body in items
    ]
    await tx.execute(dialect.insert(inbox).on_conflict_do_nothing(), rows)


async def pending(tx: Tx, platform: str) -> list[tuple[str, str]]:
    """What was kept and never handled, oldest first."""
    waiting = sa.select(inbox.c.update_id, inbox.c.body).where(
        inbox.c.platform == platform, inbox.c.done.is_(False)
    )
    return [(row.update_id, row.body) for row in await tx.execute(waiting.order_by(inbox.c.seq))]


async def done(tx: Tx, platform: str, update_id: str) -> None:
    await tx.execute(HANDLED, {"of": platform, "number": update_id})


async def settle(tx: Tx, platform: str, update_id: str) -> bool:
    """Done, in the transaction of its effect; False: it was handled before."""
    return (await tx.execute(SETTLED, {"of": platform, "number": update_id})).rowcount == 1


async def last_update_id(tx: Tx, platform: str) -> int | None:
    highest = sa.select(sa.func.max(sa.cast(inbox.c.update_id, sa.BigInteger)))
    return (await tx.execute(highest.where(inbox.c.platform == platform))).scalar()


async def forget(tx: Tx, *, before: float) -> None:
    """Drop ids of long ago: no network repeats an update for so long."""
    await tx.execute(seen_updates.delete().where(seen_updates.c.seen_at < before))
    await tx.execute(inbox.delete().where(inbox.c.kept_at < before, inbox.c.done.is_(True)))


async def waiting(tx: Tx, platform: str, ids: Collection[str]) -> frozenset[str]:
    """Those of the ids that are kept, and not handled yet."""
    ours = sa.and_(inbox.c.platform == platform, inbox.c.update_id.in_(list(ids)))
    found = await tx.execute(sa.select(inbox.c.update_id).where(ours, inbox.c.done.is_(False)))
    return frozenset(row.update_id for row in found)
