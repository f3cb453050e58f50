"""What an update of Telegram says, in our words. Pure: a file is fetched only when it is wanted."""

import mimetypes
import re
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from pathlib import PurePath

from telegram import CallbackQuery, Document, Message, Update, User
from telegram.constants import ChatType

from bot import aloud
from bot.events import Choice, Command, Event, FileRefused, Text
from bot.frontend import Attachment, Incoming
from bot.screen import parse_data
from storage.people_store import Person

PLATFORM = "tg"
COMMAND = re.compile(r"/(?P<name>\w{1,32})(?:@(?P<bot>\w+))?(?:\s+(?P<argument>.*))?", re.DOTALL)
GROUPS = (ChatType.GROUP, ChatType.SUPERGROUP)
FOR_ALL = aloud.ANSWERS.keys()  # commands that a group gets its answer to
# Also those that the standard calls common only, WebP among them.
KINDS = mimetypes.types_map | mimetypes.common_types
ARCHIVES = ("application/zip", "application/x-zip-compressed")

Fetch = Callable[[str], Awaitable[bytes]]


def translate(update: Update, bot_name: str, fetch: Fetch) -> Incoming | None:
    """None: not for us. ``fetch`` downloads a file by its id."""
    person = update.effective_user
    chat = update.effective_chat
    if person is None or chat is None:
        return None
    if chat.type != ChatType.PRIVATE:
        return _for_all(update, bot_name, chat.id, person)
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


def _for_all(update: Update, bot_name: str, group: int, person: User) -> Incoming | None:
    """What may be said aloud in a group."""
    message = update.message
    if message is None or message.chat.type not in GROUPS:
        return None
    said = _words(message.text or "", bot_name)
    if not isinstance(said, Command) or said.name not in FOR_ALL:
        return None
    return Incoming(
        platform=PLATFORM,
        update_id=str(update.update_id),
        chat=f"{PLATFORM}:{group}",
        person=_person(person),
        event=said,
        in_group=True,
    )


def asked_in_group(update: Update, bot_name: str, names: Collection[str]) -> str | None:
    """One of our commands, ``names``, said where others read along, and not for all of them. The
    word that goes on with it in private.
    """
    message = update.message
    if message is None or message.chat.type not in GROUPS:
        return None
    found = COMMAND.fullmatch(message.text or "")
    if found is None or not _is_for(bot_name, found["bot"]):
        return None
    name = found["name"].lower()
    if name in FOR_ALL or not (found["bot"] or name in names):
        return None
    return name if name in names else "train"


def moved(update: Update) -> tuple[int, int] | None:
    """A group's old and new number, where it became a supergroup."""
    message = update.message
    if message is None or message.migrate_to_chat_id is None:
        return None
    return message.chat.id, message.migrate_to_chat_id


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
        ref, size = str(message.message_id), largest.file_size
        return (Attachment(fetch=fetched, file_bytes=size, suffix=".jpg", ref=ref),)
    if message.document is not None and _may_hold_pictures(message.document):
        sent = message.document
        fetched = partial(fetch, sent.file_id)
        ref, size = str(message.message_id), sent.file_size
        return (Attachment(fetch=fetched, file_bytes=size, suffix=_suffix(sent), ref=ref),)
    return ()


def _may_hold_pictures(document: Document) -> bool:
    """As far as can be told before the download. Clients leave out or invent the type."""
    guessed = KINDS.get(_suffix(document), "")
    kinds = {document.mime_type or "", guessed}
    return any(kind.startswith("image/") or kind in ARCHIVES for kind in kinds)


def _suffix(document: Document) -> str:
    return PurePath(document.file_name or "").suffix.lower()
