"""The largest file that each chat takes: what its network says of it, or what it refused."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import chat_limits

REFUSAL_S = 7 * 24 * 3600.0  # after so long the network is asked again: limits also rise


async def said(tx: Tx, chat: str, out_file_bytes: int, *, now: float) -> None:
    """The network's own word. It counts until it says something else, unless it refused less."""
    row = await _row(tx, chat)
    if row is not None and row.out_file_bytes == out_file_bytes and not row.refused:
        return
    if row is None or not _is_refusal(row, now) or row.out_file_bytes > out_file_bytes:
        await _put(tx, chat, out_file_bytes, refused=False, now=now)


async def refused(tx: Tx, chat: str, out_file_bytes: int, *, now: float) -> None:
    """A larger file was sent, and not taken."""
    await _put(tx, chat, out_file_bytes, refused=True, now=now)


async def _put(tx: Tx, chat: str, out_file_bytes: int, *, refused: bool, now: float) -> None:
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"out_file_bytes": out_file_bytes, "refused": refused, "learned_at": now}
    first = dialect.insert(chat_limits).values(chat=chat, **row)
    await tx.execute(first.on_conflict_do_update(index_elements=["chat"], set_=row))


async def out_file_bytes(tx: Tx, chat: str, usual: int, *, now: float) -> int:
    """What this chat takes, where ``usual`` is what its network takes in general."""
    row = await _row(tx, chat)
    if row is None or (row.refused and not _is_refusal(row, now)):
        return usual
    return min(usual, row.out_file_bytes) if row.refused else row.out_file_bytes


@dataclass(frozen=True, slots=True)
class _Row:
    out_file_bytes: int
    refused: bool
    learned_at: float


async def _row(tx: Tx, chat: str) -> _Row | None:
    found = await tx.execute(sa.select(chat_limits).where(chat_limits.c.chat == chat))
    row = found.first()
    return None if row is None else _Row(row.out_file_bytes, row.refused, row.learned_at)


def _is_refusal(row: _Row, now: float) -> bool:
    """One that is still believed."""
    return row.refused and row.learned_at + REFUSAL_S > now
