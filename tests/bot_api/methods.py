"""The methods of the Bot API, each as its document describes it."""

import itertools
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from telegram.constants import ReactionEmoji

from tests.bot_api import entities
from tests.bot_api.bringer import Bringer, check_address, check_secret
from tests.bot_api.call import Call
from tests.bot_api.chats import BOT, Chat, Chats
from tests.bot_api.feed import Feed
from tests.bot_api.files import Files
from tests.bot_api.media import add_small, media_of
from tests.bot_api.refusals import RefusedError, bad_request
from tests.bot_api.shown import Json, Shown, check_caption, check_text, rows_of

POLL_S = 50.0
EMOJI = frozenset(str(one.value) for one in ReactionEmoji)


@dataclass
class Methods:
    feed: Feed
    files: Files
    chats: Chats
    menus: dict[str, list[Json]] = field(default_factory=dict)
    own_menus: dict[tuple[int, str], list[Json]] = field(default_factory=dict)
    queries: set[str] = field(default_factory=set)
    query_ids: Iterator[int] = field(default_factory=lambda: itertools.count(90_000))
    answered: list[str] = field(default_factory=list)
    webhook: str = ""
    bringer: Bringer | None = None
    dropped: bool = False  # somebody had waiting updates thrown away
    reactions: list[tuple[int, str, float]] = field(default_factory=list)

    def table(self) -> dict[str, Callable[[Call], Awaitable[object]]]:
        return {
            "getme": self.get_me,
            "getupdates": self.get_updates,
            "deletewebhook": self.delete_webhook,
            "setwebhook": self.set_webhook,
            "getwebhookinfo": self.get_webhook_info,
            "setmessagereaction": self.set_reaction,
            "setmycommands": self.set_my_commands,
            "deletemycommands": self.delete_my_commands,
            "getfile": self.get_file,
            "answercallbackquery": self.answer_callback_query,
            "sendmessage": self.send_message,
            "senddocument": self.send_document,
            "sendphoto": self.send_photo,
            "sendmediagroup": self.send_media_group,
            "editmessagetext": self.edit_text,
            "editmessagecaption": self.edit_caption,
            "editmessagemedia": self.edit_media,
            "editmessagereplymarkup": self.edit_markup,
            "deletemessage": self.delete_message,
        }

    async def get_me(self, _: Call) -> Json:
        return BOT | {"can_join_groups": True, "can_read_all_group_messages": False}

    async def get_updates(self, call: Call) -> object:
        if self.webhook:
            raise RefusedError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook "
                "to delete the webhook first",
            )
        if isinstance(wanted := call.values.get("allowed_updates"), list):
            self.feed.wanted = tuple(wanted)
        limit = min(100, call.number("limit", 100))
        wait_s = min(POLL_S, call.number("timeout"))
        return await self.feed.get(call.number("offset"), limit, wait_s)

    async def delete_webhook(self, call: Call) -> bool:
        self.dropped |= call.flag("drop_pending_updates")
        await self.unhook()
        return True

    async def unhook(self) -> None:
        self.webhook = ""
        if self.bringer is not None:
            await self.bringer.stop()
        self.bringer = None

    async def set_webhook(self, call: Call) -> bool:
        self.dropped |= call.flag("drop_pending_updates")
        url, secret = call.text("url"), call.text("secret_token")
        check_address(url, local=self.files.folder is not None)
        check_secret(secret)
        if isinstance(wanted := call.values.get("allowed_updates"), list):
            self.feed.wanted = tuple(wanted)
        await self.unhook()
        self.webhook = url
        if url:
            self.bringer = Bringer(self.feed, url, secret, call.number("max_connections", 40))
        return True

    async def get_webhook_info(self, _: Call) -> Json:
        info: Json = {
            "url": self.webhook,
            "has_custom_certificate": False,
            "pending_update_count": len(self.feed.waiting),
        }
        if self.bringer is not None and self.bringer.error:
            info |= {
                "last_error_date": int(time.time()),
                "last_error_message": self.bringer.error,
            }
        return info

    async def set_reaction(self, call: Call) -> bool:
        """A bot sets at most one, of those that everybody has."""
        chat = self.chats.writable(call.values.get("chat_id"))
        wanted = call.values.get("reaction") or []
        if not isinstance(wanted, list) or len(wanted) > 1:
            raise bad_request("REACTIONS_TOO_MANY")
        emoji = "".join(str(one.get("emoji", "")) for one in wanted)
        if wanted and (wanted[0].get("type") != "emoji" or emoji not in EMOJI):
            raise bad_request("REACTION_INVALID")
        number = call.number("message_id")
        found = [one for one in chat.messages if one.message_id == number]
        if not found:
            raise bad_request("message to react not found")
        found[0].reaction = emoji
        self.reactions.append((number, emoji, time.monotonic()))
        await self.chats.tell()
        return True

    async def set_my_commands(self, call: Call) -> bool:
        commands = call.values.get("commands")
        code = call.text("language_code")
        if not isinstance(commands, list) or len(code) not in (0, 2):
            raise bad_request("can't parse commands")
        for one in commands:
            if not 1 <= len(one["description"]) <= 256:
                raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
        scope = call.values.get("scope") or {}
        if isinstance(scope, dict) and scope.get("type") == "chat":
            self.own_menus[int(scope["chat_id"]), code] = commands
        else:
            self.menus[code] = commands
        return True

    async def delete_my_commands(self, call: Call) -> bool:
        scope = call.values.get("scope") or {}
        code = call.text("language_code")
        if isinstance(scope, dict) and scope.get("type") == "chat":
            self.own_menus.pop((int(scope["chat_id"]), code), None)
        else:
            self.menus.pop(code, None)
        return True

    async def get_file(self, call: Call) -> Json:
        return self.files.get_file(call.text("file_id"))

    async def answer_callback_query(self, call: Call) -> bool:
        query = call.text("callback_query_id")
        if query not in self.queries:
            raise bad_request(
                "query is too old and response timeout expired or query ID is invalid"
            )
        self.queries.discard(query)
        self.answered.append(query)
        return True

    async def send_message(self, call: Call) -> Json:
        chat = self.chats.writable(call.values.get("chat_id"))
        text, spans = entities.parse(call.text("text"), call.text("parse_mode"))
        check_text(text)
        return await self._show(chat, call, text, spans)

    async def send_document(self, call: Call) -> Json:
        chat = self.chats.writable(call.values.get("chat_id"))
        media = media_of(self.files, "document", call.text("document") or "attach://document", call)
        add_small(self.files, media, call.text("thumbnail") or "attach://thumbnail", call)
        return await self._show_media(chat, call, media)

    async def send_photo(self, call: Call) -> Json:
        chat = self.chats.writable(call.values.get("chat_id"))
        media = media_of(self.files, "photo", call.text("photo") or "attach://photo", call)
        return await self._show_media(chat, call, media)

    async def send_media_group(self, call: Call) -> list[Json]:
        chat = self.chats.writable(call.values.get("chat_id"))
        items = call.values.get("media")
        if not isinstance(items, list) or not 2 <= len(items) <= 10:
            raise bad_request("expected 2-10 media")
        shown = []
        for one in items:
            media = media_of(self.files, str(one["type"]), str(one["media"]), call)
            parts = Call({**call.values, **one}, call.uploads)
            shown.append(await self._show_media(chat, parts, media))
        return shown

    async def edit_text(self, call: Call) -> Json:
        chat, shown = self._editable(call)
        if shown.media:
            raise bad_request("there is no text in the message to edit")
        text, spans = entities.parse(call.text("text"), call.text("parse_mode"))
        check_text(text)
        rows = rows_of(call.values.get("reply_markup"))
        await self.chats.change(shown, rows, text=text, entities=spans)
        return self.chats.json(chat, shown)

    async def edit_caption(self, call: Call) -> Json:
        chat, shown = self._editable(call)
        if not shown.media:
            raise bad_request("there is no caption in the message to edit")
        text, spans = entities.parse(call.text("caption"), call.text("parse_mode"))
        check_caption(text)
        rows = rows_of(call.values.get("reply_markup"))
        await self.chats.change(shown, rows, text=text, entities=spans)
        return self.chats.json(chat, shown)

    async def edit_media(self, call: Call) -> Json:
        chat, shown = self._editable(call)
        given = call.values.get("media")
        if not isinstance(given, dict):
            raise bad_request("can't parse media")
        media, data = media_of(self.files, str(given["type"]), str(given["media"]), call)
        add_small(self.files, (media, data), str(given.get("thumbnail", "")), call)
        text, spans = entities.parse(
            str(given.get("caption", "")), str(given.get("parse_mode", ""))
        )
        check_caption(text)
        rows = rows_of(call.values.get("reply_markup"))
        await self.chats.change(shown, rows, text=text, entities=spans, media=media)
        shown.data = data
        return self.chats.json(chat, shown)

    async def edit_markup(self, call: Call) -> Json:
        chat, shown = self._editable(call)
        await self.chats.change(shown, rows_of(call.values.get("reply_markup")))
        return self.chats.json(chat, shown)

    async def delete_message(self, call: Call) -> bool:
        chat = self.chats.writable(call.values.get("chat_id"))
        number = call.number("message_id")
        if all(one.message_id != number for one in chat.messages):
            raise bad_request("message to delete not found")
        chat.messages = [one for one in chat.messages if one.message_id != number]
        await self.chats.tell()
        return True

    def _editable(self, call: Call) -> tuple[Chat, Shown]:
        chat = self.chats.writable(call.values.get("chat_id"))
        return chat, self.chats.editable(chat, call.values.get("message_id"))

    async def _show_media(self, chat: Chat, call: Call, media: tuple[Json, bytes]) -> Json:
        text, spans = entities.parse(call.text("caption"), call.text("parse_mode"))
        check_caption(text)
        return await self._show(chat, call, text, spans, media)

    async def _show(
        self,
        chat: Chat,
        call: Call,
        text: str,
        spans: list[entities.Entity],
        media: tuple[Json, bytes] = ({}, b""),
    ) -> Json:
        reply = call.values.get("reply_parameters")
        shown = await self.chats.add(
            chat,
            BOT,
            text,
            entities=spans,
            rows=rows_of(call.values.get("reply_markup")),
            media=media[0] or None,
            data=media[1],
            silent=call.flag("disable_notification"),
            reply_to=int(reply["message_id"]) if isinstance(reply, dict) else None,
        )
        return self.chats.json(chat, shown)
