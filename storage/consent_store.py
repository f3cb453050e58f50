"""Who agreed to which policy, and when. A new version of the policy is asked for again."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import consents


@dataclass(frozen=True, slots=True)
class Consent:
    """``given_at`` in seconds since the epoch."""

    policy: str
    given_at: float


async def give(tx: Tx, person: str, policy: str, *, now: float) -> None:
    """The first time counts: to say it again changes nothing."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"person": person, "policy": policy, "given_at": now}
    await tx.execute(dialect.insert(consents).values(row).on_conflict_do_nothing())


async def given(tx: Tx, person: str, policy: str) -> bool:
    ours = sa.and_(consents.c.person == person, consents.c.policy == policy)
    return (await tx.execute(sa.select(consents.c.given_at).where(ours))).first() is not None


async def of_person(tx: Tx, person: str) -> list[Consent]:
    theirs = sa.select(consents).where(consents.c.person == person).order_by(consents.c.given_at)
    return [Consent(row.policy, row.given_at) for row in await tx.execute(theirs)]
