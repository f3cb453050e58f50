"""A chat that goes on under another name: everything that is kept by the old one goes along."""

import sqlalchemy as sa

from storage.database import Tx
from storage.schema import chat_limits, conversations, jobs, leaving, looks, marks, nudges

KEYED = (conversations, chat_limits)  # one row for each chat
NAMED = (jobs, leaving, looks, nudges)


async def move(tx: Tx, old: str, new: str) -> None:
    """Told twice it changes nothing. What the new chat has of its own by then stays. Messages do
    not come along: whoever shows something sends it anew.
    """
    for table in KEYED:
        other = table.alias()
        there = sa.exists(sa.select(other.c.chat).where(other.c.chat == new))
        await tx.execute(table.update().where(table.c.chat == old, ~there).values(chat=new))
        await tx.execute(table.delete().where(table.c.chat == old))
    for table in NAMED:
        await tx.execute(table.update().where(table.c.chat == old).values(chat=new))
    await tx.execute(marks.delete().where(marks.c.chat == old))
