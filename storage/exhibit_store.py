"""What people show in public. A row first, then the message: after a crash it goes on."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import exhibits


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """``place`` is a chat network; ``ref`` names the message there, empty until it is there.
    ``gone``: it has to be taken down. ``at`` is when it was decided, in epoch seconds.
    """

    job_id: str
    person: str
    place: str
    ref: str = ""
    gone: bool = False
    at: float = 0.0


async def add(tx: Tx, one: Exhibit, *, now: float) -> None:
    """Once; what is there already stays as it is, and what has yet to go stays after all."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"job_id": one.job_id, "person": one.person, "place": one.place, "at": now}
    added = dialect.insert(exhibits).values(**row, ref="", gone=False)
    again = {"gone": False, "person": one.person, "at": now}
    await tx.execute(
        added.on_conflict_do_update(
            index_elements=["job_id"], set_=again, where=exhibits.c.gone.is_(True)
        )
    )


async def get(tx: Tx, job_id: str) -> Exhibit | None:
    found = (await tx.execute(sa.select(exhibits).where(exhibits.c.job_id == job_id))).first()
    return None if found is None else _exhibit(found)


async def to_do(tx: Tx) -> list[Exhibit]:
    """What has yet to come or to go, oldest first."""
    waiting = sa.or_(exhibits.c.gone.is_(True), exhibits.c.ref == "")
    rows = await tx.execute(sa.select(exhibits).where(waiting).order_by(exhibits.c.at))
    return [_exhibit(row) for row in rows]


async def hung(tx: Tx, job_id: str, ref: str) -> None:
    """It is there now; whether it has to go is another matter."""
    await tx.execute(exhibits.update().where(exhibits.c.job_id == job_id).values(ref=ref))


async def take_down(tx: Tx, job_id: str) -> None:
    await tx.execute(exhibits.update().where(exhibits.c.job_id == job_id).values(gone=True))


async def take_down_all(tx: Tx, person: str) -> None:
    """Of somebody who wants to be forgotten."""
    theirs = exhibits.update().where(exhibits.c.person == person)
    await tx.execute(theirs.values(gone=True, person=""))


async def forget(tx: Tx, one: Exhibit) -> None:
    """It hangs no more. If that was decided anew meanwhile, it has yet to hang."""
    row = exhibits.c.job_id == one.job_id
    ended = await tx.execute(exhibits.delete().where(row, exhibits.c.at == one.at))
    if not ended.rowcount:
        await tx.execute(exhibits.update().where(row).values(ref=""))


def _exhibit(row: sa.Row[tuple[object, ...]]) -> Exhibit:
    known = row._mapping  # noqa: SLF001  SQLAlchemy's public name for it
    return Exhibit(
        job_id=str(known["job_id"]),
        person=str(known["person"]),
        place=str(known["place"]),
        ref=str(known["ref"]),
        gone=bool(known["gone"]),
        at=float(str(known["at"])),
    )
