"""What the local web chat shows: messages by id, changed in place, each change with a number.

The numbers of a chat never go back: an open page asks for what came after the last one it saw.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import chat_log

ANEW = "anew"  # the entry whose effect is that all before it is gone


@dataclass(frozen=True, slots=True)
class Entry:
    """``seq`` numbers changes, ``first_seq`` is the message's place in the chat. Without a
    ``body``: what the chat showed before is gone.
    """

    seq: int
    first_seq: int
    message_id: str
    body: str


async def put(tx: Tx, chat: str, message_id: str, body: str, *, now: float) -> int:
    """Write a message; the same id again changes it in place."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    seq = await last(tx, chat) + 1
    row = {"chat": chat, "message_id": message_id, "body": body, "put_at": now}
    first = dialect.insert(chat_log).values(**row, seq=seq, first_seq=seq)
    changes = {"body": body, "put_at": now, "seq": seq}
    await tx.execute(
        first.on_conflict_do_update(index_elements=["chat", "message_id"], set_=changes)
    )
    return seq


async def last(tx: Tx, chat: str) -> int:
    """The number of the newest change; 0: there is none."""
    newest = sa.select(sa.func.max(chat_log.c.seq)).where(chat_log.c.chat == chat)
    return int((await tx.execute(newest)).scalar() or 0)


async def begin_anew(tx: Tx, chat: str, *, now: float) -> None:
    """Delete all that was said, and say so to whoever still shows it."""
    if not await last(tx, chat):
        return
    seq = await put(tx, chat, ANEW, "", now=now)
    older = sa.and_(chat_log.c.chat == chat, chat_log.c.seq < seq)
    await tx.execute(chat_log.delete().where(older))


async def since(tx: Tx, chat: str, seq: int, limit: int) -> list[Entry]:
    newer = sa.select(chat_log).where(chat_log.c.chat == chat, chat_log.c.seq > seq)
    found = await tx.execute(newer.order_by(chat_log.c.seq).limit(limit))
    return [Entry(row.seq, row.first_seq, row.message_id, row.body) for row in found]
