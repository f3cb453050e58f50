"""What an update of Telegram says, in our words. Pure: a file is fetched only when it is wanted."""

import mimetypes
import re
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from pathlib import PurePath

from telegram import CallbackQuery, Document, Message, Update, User
from telegram.constants import ChatType

from bot.events import Choice, Command, Event, FileRefused, Text
from bot.frontend import Attachment, Incoming
from bot.screen import parse_data
from storage.people_store import Person

PLATFORM = "tg"
COMMAND = re.compile(r"/(?P<name>\w{1,32})(?:@(?P<bot>\w+))?(?:\s+(?P<argument>.*))?", re.DOTALL)
GROUPS = (ChatType.GROUP, ChatType.SUPERGROUP)
# Also those that the standard calls common only, WebP among them.
KINDS = mimetypes.types_map | mimetypes.common_types
ARCHIVES = ("application/zip", "application/x-zip-compressed")

Fetch = Callable[[str], Awaitable[bytes]]


def translate(update: Update, bot_name: str, fetch: Fetch) -> Incoming | None:
    """None: not for us. ``fetch`` downloads a file by its id."""
    person = update.effective_user
    chat = update.effective_chat
    if person is None or chat is None or chat.type != ChatType.PRIVATE:
        return None
    event: Event | None = None
    attachments: tuple[Attachment, ...] = ()
    if update.callback_query is not None:
        event = _choice(update.callback_query)
    elif update.message is not None:
        attachments = _files(update.message, fetch)
        event = None if attachments else _said(update.message, bot_name)
    if event is None and not attachments:
        return None
    return Incoming(
        platform=PLATFORM,
        update_id=str(update.update_id),
        chat=f"{PLATFORM}:{chat.id}",
        person=_person(person),
        event=event,
        attachments=attachments,
    )


def asks_in_group(update: Update, bot_name: str, names: Collection[str]) -> bool:
    """One of our commands, ``names``, said where others read along."""
    message = update.message
    if message is None or message.chat.type not in GROUPS:
        return False
    found = COMMAND.fullmatch(message.text or "")
    if found is None or not _is_for(bot_name, found["bot"]):
        return False
    return bool(found["bot"]) or found["name"].lower() in names


def chat_id(chat: str) -> int:
    return int(chat.partition(":")[2])


def _person(user: User) -> Person:
    return Person(
        id=f"{PLATFORM}:{user.id}", name=user.first_name, language=user.language_code or ""
    )


def _choice(query: CallbackQuery) -> Choice | None:
    parts = parse_data(query.data or "")
    return Choice(*parts) if parts else None


def _said(message: Message, bot_name: str) -> Event | None:
    if message.text:
        return _words(message.text, bot_name)
    # Stickers, voices, places: whatever is in the message instead of words.
    return FileRefused("photo.type") if message.effective_attachment else None


def _words(text: str, bot_name: str) -> Command | Text | None:
    found = COMMAND.fullmatch(text)
    if found is None:
        return Text(text)
    if not _is_for(bot_name, found["bot"]):
        return None
    return Command(found["name"].lower(), (found["argument"] or "").strip())


def _is_for(bot_name: str, addressed: str | None) -> bool:
    return addressed is None or addressed.lower() == bot_name.lower()


def _files(message: Message, fetch: Fetch) -> tuple[Attachment, ...]:
    if message.photo:
        largest = max(message.photo, key=lambda one: one.width * one.height)
        fetched = partial(fetch, largest.file_id)
        return (Attachment(fetch=fetched, file_bytes=largest.file_size, suffix=".jpg"),)
    if message.document is not None and _may_hold_pictures(message.document):
        sent = message.document
        fetched = partial(fetch, sent.file_id)
        return (Attachment(fetch=fetched, file_bytes=sent.file_size, suffix=_suffix(sent)),)
    return ()


def _may_hold_pictures(document: Document) -> bool:
    """As far as can be told before the download. Clients leave out or invent the type."""
    guessed = KINDS.get(_suffix(document), "")
    kinds = {document.mime_type or "", guessed}
    return any(kind.startswith("image/") or kind in ARCHIVES for kind in kinds)


def _suffix(document: Document) -> str:
    return PurePath(document.file_name or "").suffix.lower()
