"""What the local web chat shows: messages by id, changed in place, each change with a number."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import chat_log


@dataclass(frozen=True, slots=True)
class Entry:
    """``seq`` numbers changes, ``first_seq`` is the message's place in the chat."""

    seq: int
    first_seq: int
    message_id: str
    body: str


async def put(tx: Tx, chat: str, message_id: str, body: str, *, now: float) -> int:
    """Write a message; the same id again changes it in place."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    last = sa.select(sa.func.max(chat_log.c.seq)).where(chat_log.c.chat == chat)
    seq = ((await tx.execute(last)).scalar() or 0) + 1
    row = {"chat": chat, "message_id": message_id, "body": body, "put_at": now}
    first = dialect.insert(chat_log).values(**row, seq=seq, first_seq=seq)
    changes = {"body": body, "put_at": now, "seq": seq}
    await tx.execute(
        first.on_conflict_do_update(index_elements=["chat", "message_id"], set_=changes)
    )
    return seq


async def since(tx: Tx, chat: str, seq: int, limit: int) -> list[Entry]:
    newer = sa.select(chat_log).where(chat_log.c.chat == chat, chat_log.c.seq > seq)
    found = await tx.execute(newer.order_by(chat_log.c.seq).limit(limit))
    return [Entry(row.seq, row.first_seq, row.message_id, row.body) for row in found]
