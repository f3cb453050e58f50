"""One text for each chat; what is inside is the conversation's own business."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from storage.database import Tx
from storage.schema import conversations

OF_CHAT = sa.select(conversations).where(conversations.c.chat == sa.bindparam("of"))


@dataclass(frozen=True, slots=True)
class Stored:
    """``shown_version`` is what the chat shows, in the message ``panel_ref``."""

    text: str
    version: int
    shown_version: int
    panel_ref: str


async def load(tx: Tx, chat: str) -> Stored | None:
    found = await tx.execute(OF_CHAT, {"of": chat})
    row = found.first()
    if row is None:
        return None
    return Stored(row.text, row.version, row.shown_version, row.panel_ref)


async def save(tx: Tx, chat: str, text: str, *, now: float) -> int:
    """Write the text, return its new version."""
    dialect = postgresql if tx.dialect.name == "postgresql" else sqlite
    row = {"chat": chat, "text": text, "updated_at": now}
    first = dialect.insert(conversations).values(**row, version=1, shown_version=0, panel_ref="")
    again = first.on_conflict_do_update(
        index_elements=["chat"],
        set_={"text": text, "updated_at": now, "version": conversations.c.version + 1},
    )
    return int((await tx.execute(again.returning(conversations.c.version))).scalar_one())


async def mark_shown(tx: Tx, chat: str, version: int, panel_ref: str) -> None:
    newest = sa.case(
        (conversations.c.shown_version < version, version), else_=conversations.c.shown_version
    )
    shown = conversations.update().where(conversations.c.chat == chat)
    await tx.execute(shown.values(shown_version=newest, panel_ref=panel_ref))


async def unshown(tx: Tx, platforms: Collection[str]) -> list[str]:
    """Chats of these networks that show less than what is stored."""
    named = (conversations.c.chat.startswith(f"{name}:", autoescape=True) for name in platforms)
    ours = sa.or_(sa.false(), *named)
    behind = conversations.c.shown_version < conversations.c.version
    found = await tx.execute(sa.select(conversations.c.chat).where(behind, ours))
    return [row.chat for row in found]


async def panels(tx: Tx, platform: str, *, since: float, limit: int = 100) -> list[tuple[str, str]]:
    """Chats of this network that show a panel, and its name; changed ``since``, newest first."""
    ours = conversations.c.chat.startswith(f"{platform}:", autoescape=True)
    shown = sa.select(conversations.c.chat, conversations.c.panel_ref).where(
        ours, conversations.c.panel_ref != "", conversations.c.updated_at > since
    )
    found = await tx.execute(shown.order_by(conversations.c.updated_at.desc()).limit(limit))
    return [(row.chat, row.panel_ref) for row in found]
