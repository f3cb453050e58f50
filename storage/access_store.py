"""What admins decided about people. Every check reads it anew, so a lost role is lost."""

from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.access import Member, Standing
from storage.database import Tx
from storage.schema import audit, letters, members

AT_DOOR = sa.select(members).where(
    sa.or_(members.c.person == sa.bindparam("of"), members.c.is_admin.is_(True))
)


async def get(tx: Tx, person: str) -> Member:
    found = await tx.execute(sa.select(members).where(members.c.person == person))
    row = found.mappings().first()
    return Member(person=person) if row is None else _member(row)


async def at_door(tx: Tx, person: str) -> tuple[Member, frozenset[str]]:
    """The person, and all whose role stands in the database: both at one look."""
    rows = (await tx.execute(AT_DOOR, {"of": person})).mappings().all()
    own = [_member(row) for row in rows if row["person"] == person]
    steering = frozenset(str(row["person"]) for row in rows if row["is_admin"])
    return own[0] if own else Member(person=person), steering


async def admins(tx: Tx) -> frozenset[str]:
    """People whose role stands in the database."""
    found = await tx.execute(sa.select(members.c.person).where(members.c.is_admin.is_(True)))
    return frozenset(row.person for row in found)


async def asking(tx: Tx) -> int:
    """How many wait for a decision."""
    waiting = sa.select(sa.func.count()).where(members.c.standing == Standing.ASKED.value)
    return int((await tx.execute(waiting)).scalar_one())


async def make_admin(tx: Tx, person: str, *, by: str, now: float) -> None:
    member = await get(tx, person)
    await _put(tx, replace(member, is_admin=True, standing=Standing.ALLOWED), by, now)


async def dismiss_admin(tx: Tx, person: str, *, others: bool, by: str, now: float) -> bool:
    """False: nobody else steers, so the role stays. ``others``: there are admins by the settings.

    Held against each other: two admins who dismiss one another at once must not both be gone.
    """
    steering = sa.select(members.c.person).where(members.c.is_admin.is_(True)).with_for_update()
    rest = {row.person for row in await tx.execute(steering)} - {person}
    if not rest and not others:
        return False
    await _put(tx, replace(await get(tx, person), is_admin=False), by, now)
    return True


async def set_standing(tx: Tx, person: str, standing: Standing, *, by: str, now: float) -> None:
    await _put(tx, replace(await get(tx, person), standing=standing), by, now)


async def set_limits(
    tx: Tx, person: str, at_once: int | None, a_day: int | None, *, by: str, now: float
) -> None:
    await _put(tx, replace(await get(tx, person), at_once=at_once, a_day=a_day), by, now)


async def forget(tx: Tx, person: str) -> None:
    """All that is known of somebody who wants to be forgotten. A ban stays: to forget it would end
    it; so does the role of an admin, without which nobody could steer.
    """
    stays = sa.or_(members.c.is_admin.is_(True), members.c.standing == Standing.BANNED.value)
    await tx.execute(members.delete().where(members.c.person == person, ~stays))
    await tx.execute(letters.delete().where(letters.c.person == person))
    for column in (audit.c.who, audit.c.whom):
        named = audit.update().where(column == person)
        await tx.execute(named.values({column.name: ""}))


async def _put(tx: Tx, member: Member, by: str, now: float) -> None:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {
        "standing": member.standing.value,
        "is_admin": member.is_admin,
        "at_once": member.at_once,
        "a_day": member.a_day,
        "changed_by": by,
        "changed_at": now,
    }
    first = dialect.insert(members).values(person=member.person, **row)
    await tx.execute(first.on_conflict_do_update(index_elements=["person"], set_=row))


def _member(row: sa.RowMapping) -> Member:
    return Member(
        person=row["person"],
        standing=Standing(row["standing"]),
        is_admin=row["is_admin"],
        at_once=row["at_once"],
        a_day=row["a_day"],
        changed_by=row["changed_by"],
    )
