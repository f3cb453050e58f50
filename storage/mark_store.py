"""Which message of a chat brought which photo, and which mark stands under it."""

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.marked import Marked
from storage.schema import marks


async def note(tx: Tx, chat: str, message: str, sha256: str, *, now: float) -> None:
    """A photo that another message of this chat brought before is not used a second time."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    same = sa.select(marks.c.message).where(
        marks.c.chat == chat, marks.c.sha256 == sha256, marks.c.message != message
    )
    if sha256 and (await tx.execute(same.limit(1))).first() is not None:
        sha256 = ""
    row = {"chat": chat, "message": message, "sha256": sha256, "shown": "", "got_at": now}
    await tx.execute(dialect.insert(marks).values(row).on_conflict_do_nothing())


async def of_chat(tx: Tx, chat: str) -> list[Marked]:
    """Oldest first."""
    found = await tx.execute(
        sa.select(marks).where(marks.c.chat == chat).order_by(marks.c.got_at, marks.c.message)
    )
    return [Marked(message=row.message, sha256=row.sha256, shown=row.shown) for row in found]


async def shown(tx: Tx, chat: str, message: str, mark: str) -> None:
    under = sa.and_(marks.c.chat == chat, marks.c.message == message)
    await tx.execute(marks.update().where(under).values(shown=mark))


async def forget(tx: Tx, chats: Collection[str]) -> None:
    await tx.execute(marks.delete().where(marks.c.chat.in_(list(chats))))


async def forget_old(tx: Tx, *, before: float) -> None:
    await tx.execute(marks.delete().where(marks.c.got_at < before))
