"""What Discord tells us, in our words; and those words as a text that survives a crash. Pure.

An interaction is acknowledged within three seconds and never repeated. So what it says is kept
first: `Kept` is all that its effect needs, and a bot that is killed goes on from it.
"""

import json
import mimetypes
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import PurePath
from typing import Any

import discord

from bot.discord.markup import PICK
from bot.events import Choice, Command, Event, FileRefused, Filled, Text
from bot.frontend import Attachment, Incoming
from bot.screen import parse_data
from storage.people_store import Person

PLATFORM = "dc"
ADMIN_GROUP = "lora"
# Also those that the standard calls common only, WebP among them.
KINDS = mimetypes.types_map | mimetypes.common_types
ARCHIVES = ("application/zip", "application/x-zip-compressed")
EVENTS: Mapping[str, type[Event]] = {
    one.__name__: one for one in (Choice, Command, FileRefused, Filled, Text)
}

Fetch = Callable[[str], Awaitable[bytes]]
Raw = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file that was sent: all of its name that we look at is the suffix."""

    url: str
    file_bytes: int
    suffix: str
    kind: str = ""

    @property
    def may_hold_pictures(self) -> bool:
        kinds = {self.kind.partition(";")[0], KINDS.get(self.suffix, "")}
        return any(kind.startswith("image/") or kind in ARCHIVES for kind in kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One update. ``token`` answers an interaction for some minutes from ``at`` (epoch seconds).

    ``message`` is the one whose button was pressed, ``ephemeral`` says that only one person sees
    it; ``fresh``: the answer is a message of its own. ``private``: this is a direct message.
    """

    id: str
    user: int
    name: str
    at: float
    channel: int
    private: bool
    language: str = ""
    token: str = ""
    message: int = 0
    ephemeral: bool = False
    fresh: bool = False
    out_file_bytes: int | None = None
    event: Event | None = None
    files: tuple[Sent, ...] = ()

    @property
    def chat(self) -> str:
        return f"{PLATFORM}:{self.user}"


def to_json(kept: Kept) -> str:
    name = type(kept.event).__name__ if kept.event else ""
    return json.dumps({**asdict(kept), "kind": name}, ensure_ascii=False)


def from_json(body: str) -> Kept:
    raw = json.loads(body)
    kind, event = raw.pop("kind"), raw.pop("event")
    files = tuple(Sent(**one) for one in raw.pop("files"))
    return Kept(**raw, event=EVENTS[kind](**event) if kind else None, files=files)


def incoming(kept: Kept, fetch: Fetch) -> Incoming:
    """``fetch`` downloads a file by its address."""
    usable = [one for one in kept.files if one.may_hold_pictures]
    event = kept.event
    if kept.files and not usable and event is None:
        event = FileRefused("photo.type")
    return Incoming(
        platform=PLATFORM,
        update_id=kept.id,
        chat=kept.chat,
        person=Person(id=kept.chat, name=kept.name, language=kept.language),
        event=event,
        attachments=tuple(
            Attachment(fetch=partial(fetch, one.url), file_bytes=one.file_bytes, suffix=one.suffix)
            for one in usable
        ),
        out_file_bytes=kept.out_file_bytes,
    )


def user_id(chat: str) -> int:
    return int(chat.partition(":")[2])


# --- messages ------------------------------------------------------------------------------------


def of_message(message: discord.Message, at: float) -> Kept | None:
    """A direct message; None: not for us. In servers we are told nothing, and ask for nothing."""
    if message.author.bot or message.guild is not None:
        return None
    files = tuple(_sent(one.to_dict()) for one in message.attachments)
    event = None if files else _said(message)
    if event is None and not files:
        return None
    return Kept(
        id=str(message.id),
        user=message.author.id,
        name=message.author.display_name,
        at=at,
        channel=message.channel.id,
        private=True,
        event=event,
        files=files,
    )


def _said(message: discord.Message) -> Event | None:
    words = message.content.strip()
    if not words:
        return FileRefused("photo.type") if message.stickers else None
    if words.startswith("/"):
        # Typed where the client did not offer it: meant all the same.
        name, _, argument = words[1:].partition(" ")
        return Command(name.lower(), argument.strip())
    return Text(words)


# --- interactions --------------------------------------------------------------------------------


def of_interaction(interaction: discord.Interaction, at: float) -> Kept:
    """Without an event or files it is one that only opens a form, or one that is not known."""
    message = interaction.message
    private = interaction.guild_id is None
    event, files = _read(interaction)
    return Kept(
        id=str(interaction.id),
        user=interaction.user.id,
        name=interaction.user.display_name,
        language=interaction.locale.value,
        at=at,
        channel=_place(interaction),
        private=private,
        token=interaction.token,
        message=message.id if message else 0,
        ephemeral=message is not None and message.flags.ephemeral,
        fresh=message is None,
        # What a server allows counts for answers there; a file comes in a direct message.
        out_file_bytes=interaction.filesize_limit if private else None,
        event=event,
        files=files,
    )


def _place(interaction: discord.Interaction) -> int:
    """The channel; of a thread the one that it hangs on, because threads have none themselves."""
    channel = interaction.channel
    if isinstance(channel, discord.Thread):
        return channel.parent_id
    return interaction.channel_id or 0


def custom_id(interaction: discord.Interaction) -> tuple[str, str, str]:
    """Verb, draft and argument of the pressed button, or of the form's name."""
    parts = parse_data(str(_data(interaction).get("custom_id", "")))
    return parts or ("", "", "")


def command(interaction: discord.Interaction) -> Command:
    """The name, and what was given with it; one of the admins' group goes by its own name."""
    data = _data(interaction)
    if data.get("name") == ADMIN_GROUP and data.get("options"):
        data = data["options"][0]
    given = [str(one.get("value", "")) for one in data.get("options", ())]
    return Command(str(data.get("name", "")).lower(), " ".join(given).strip())


def posted(interaction: discord.Interaction) -> tuple[int, tuple[Sent, ...]]:
    """Author and files of the message whose menu was used."""
    data = _data(interaction)
    messages = data.get("resolved", {}).get("messages", {})
    message = messages.get(str(data.get("target_id", "")), {})
    files = tuple(_sent(one) for one in message.get("attachments", ()))
    return int(message.get("author", {}).get("id", 0)), files


def _read(interaction: discord.Interaction) -> tuple[Event | None, tuple[Sent, ...]]:
    match interaction.type:
        case discord.InteractionType.application_command:
            if "target_id" in _data(interaction):
                return None, posted(interaction)[1]
            return command(interaction), ()
        case discord.InteractionType.component:
            return _pressed(interaction), ()
        case discord.InteractionType.modal_submit:
            return _submitted(interaction)
    return None, ()


def _pressed(interaction: discord.Interaction) -> Choice | None:
    data = _data(interaction)
    verb, draft, argument = custom_id(interaction)
    if verb == PICK:
        chosen = parse_data(str(next(iter(data.get("values", ())), "")))
        return Choice(*chosen) if chosen else None
    return Choice(verb, draft, argument) if verb else None


def _submitted(interaction: discord.Interaction) -> tuple[Event | None, tuple[Sent, ...]]:
    data = _data(interaction)
    fields = {one.get("custom_id"): one for one in _fields(data.get("components", ()))}
    files = _uploaded(fields.get("photos", {}), data.get("resolved", {}))
    verb = custom_id(interaction)[0]
    if verb == "train":
        filled = _filled(fields)
        # What nobody has agreed to is not even fetched.
        return filled, files if filled.consent else ()
    words = str(fields.get("words", {}).get("value", ""))
    return (Text(words) if words else None), files


def _fields(parts: Iterable[Raw]) -> Iterable[Raw]:
    """The form's fields, out of their labels and rows."""
    for part in parts:
        if "component" in part:
            yield part["component"]
        elif "components" in part:
            yield from _fields(part["components"])
        else:
            yield part


def _filled(fields: Mapping[Any, Raw]) -> Filled:
    chosen = fields.get("base", {}).get("values") or [""]
    return Filled(
        name=str(fields.get("name", {}).get("value") or "").strip(),
        kind=str(fields.get("kind", {}).get("value") or ""),
        base=str(chosen[0]),
        consent=fields.get("agree", {}).get("value") is True,
    )


def _uploaded(field: Raw, resolved: Raw) -> tuple[Sent, ...]:
    known = resolved.get("attachments", {})
    return tuple(_sent(known[str(one)]) for one in field.get("values") or () if str(one) in known)


def _sent(raw: Any) -> Sent:
    return Sent(
        url=str(raw["url"]),
        file_bytes=int(raw.get("size", 0)),
        suffix=PurePath(str(raw.get("filename", ""))).suffix.lower(),
        kind=str(raw.get("content_type") or ""),
    )


def _data(interaction: discord.Interaction) -> dict[str, Any]:
    return dict(interaction.data or {})
