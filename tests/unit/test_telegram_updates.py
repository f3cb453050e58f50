"""Updates as Telegram sends them, and what they become."""

from typing import Any

import pytest
from telegram import Update

from bot.events import Choice, Command, FileRefused, Text
from bot.frontend import Attachment, Incoming
from bot.telegram.updates import asked_in_group, chat_id, moved, translate
from storage.people_store import Person

ME = "my_lora_bot"
ADA: dict[str, Any] = {
    "id": 5501,
    "is_bot": False,
    "first_name": "Ada",
    "last_name": "L",
    "username": "ada",
    "language_code": "zh-hans",
}
PRIVATE = {"id": 5501, "first_name": "Ada", "username": "ada", "type": "private"}
GROUP = {"id": -1001, "title": "Friends", "type": "supergroup"}
BOT = {"id": 42, "is_bot": True, "first_name": "LoRA", "username": ME}
SIZES = [
    {"file_id": "small", "file_unique_id": "a", "file_size": 1253, "width": 67, "height": 90},
    {"file_id": "large", "file_unique_id": "c", "file_size": 91_203, "width": 960, "height": 1280},
    {"file_id": "middle", "file_unique_id": "b", "file_size": 18_320, "width": 240, "height": 320},
]
DOCUMENT = {"file_id": "doc", "file_unique_id": "d", "file_size": 3_000_000}
FILE = {"file_id": "f", "file_unique_id": "g", "file_size": 10}


def update(**content: Any) -> Update:
    return Update.de_json({"update_id": 10_000, **content}, None)


def message(*, chat: dict[str, Any] = PRIVATE, **parts: Any) -> Update:
    body = {"message_id": 7, "from": ADA, "chat": chat, "date": 1_790_000_000, **parts}
    return update(message=body)


def said(text: str, **rest: Any) -> Update:
    return message(text=text, **rest)


def document(name: str = "", mime: str = "") -> Update:
    named = {"file_name": name} if name else {}
    typed = {"mime_type": mime} if mime else {}
    return message(document={**DOCUMENT, **named, **typed})


def pressed(data: str, **rest: Any) -> Update:
    body = {"message_id": 8, "from": BOT, "chat": PRIVATE, "date": 1_790_000_000, "text": "?"}
    query = {"id": "99", "from": ADA, "chat_instance": "-4", "message": body, "data": data}
    return update(callback_query=query | rest)


async def fetch(file_id: str) -> bytes:
    return file_id.encode()


def incoming(of: Update) -> Incoming:
    found = translate(of, ME, fetch)
    assert found is not None
    return found


def attachment(of: Update) -> Attachment:
    (only,) = incoming(of).attachments
    return only


def test_an_update_says_who_and_where() -> None:
    assert incoming(said("hello")) == Incoming(
        platform="tg",
        update_id="10000",
        chat="tg:5501",
        person=Person(id="tg:5501", name="Ada", language="zh-hans"),
        event=Text("hello"),
    )


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("/train", Command("train")),
        ("/TRAIN", Command("train")),
        ("/train@my_lora_bot", Command("train")),
        ("/train@My_Lora_Bot now", Command("train", "now")),
        ("/start m-7Q2F", Command("start", "m-7Q2F")),
        ("/start\n two\nlines ", Command("start", "two\nlines")),
        ("/ train", Text("/ train")),
        ("train", Text("train")),
        ("/usr/bin", Text("/usr/bin")),
        ("**mochi**", Text("**mochi**")),
    ],
)
def test_words_are_a_command_or_text(text: str, event: object) -> None:
    assert incoming(said(text)).event == event


def test_commands_of_other_bots_are_not_ours() -> None:
    assert translate(said("/train@other_bot"), ME, fetch) is None


async def test_a_photo_is_taken_in_its_largest_size() -> None:
    photo = attachment(message(photo=SIZES, media_group_id="1", caption="me"))
    assert (photo.file_bytes, photo.suffix) == (91_203, ".jpg")
    assert await photo.fetch() == b"large"


@pytest.mark.parametrize(
    ("name", "mime", "suffix"),
    [
        ("IMG_1.JPG", "image/jpeg", ".jpg"),
        ("a.b.png", "", ".png"),
        ("photo", "image/webp", ""),
        ("set.zip", "application/zip", ".zip"),
        ("set.zip", "application/octet-stream", ".zip"),
        ("set", "application/x-zip-compressed", ""),
        ("", "image/heic", ""),
    ],
)
async def test_documents_that_may_hold_pictures_are_taken(
    name: str, mime: str, suffix: str
) -> None:
    file = attachment(document(name, mime))
    assert (file.file_bytes, file.suffix) == (3_000_000, suffix)
    assert await file.fetch() == b"doc"


@pytest.mark.parametrize(
    "parts",
    [
        {"document": {**DOCUMENT, "file_name": "cv.pdf", "mime_type": "application/pdf"}},
        {"document": {**DOCUMENT, "file_name": "x.mp4", "mime_type": "video/mp4"}},
        {"document": DOCUMENT},
        {"voice": {**FILE, "duration": 3}},
        {"video": {**FILE, "duration": 3, "width": 4, "height": 4}},
        {"video_note": {**FILE, "duration": 3, "length": 4}},
        {"audio": {**FILE, "duration": 3}},
        {
            "sticker": {
                **FILE,
                "type": "regular",
                "width": 512,
                "height": 512,
                "is_animated": False,
                "is_video": False,
            }
        },
        {
            "animation": {**FILE, "duration": 3, "width": 4, "height": 4},
            "document": {**FILE, "file_name": "fun.mp4", "mime_type": "video/mp4"},
        },
        {"location": {"latitude": 1.0, "longitude": 2.0}},
        {"contact": {"phone_number": "1", "first_name": "B"}},
    ],
)
def test_what_is_no_photo_is_refused_without_a_download(parts: dict[str, Any]) -> None:
    found = incoming(message(**parts))
    assert found.event == FileRefused("photo.type")
    assert found.attachments == ()


def test_a_pressed_button_is_a_choice() -> None:
    assert incoming(pressed("base:01AB:sd15:x")).event == Choice("base", "01AB", "sd15:x")


def test_a_button_on_a_message_out_of_reach_still_counts() -> None:
    far = {"message_id": 8, "chat": PRIVATE, "date": 0}
    assert incoming(pressed("done:01AB:", message=far)).event == Choice("done", "01AB", "")


@pytest.mark.parametrize("data", ["", "nothing", "!:a:b", "a:b:" + "c" * 64])
def test_buttons_that_are_not_ours_are_ignored(data: str) -> None:
    assert translate(pressed(data), ME, fetch) is None


BODY = {"message_id": 7, "chat": PRIVATE, "date": 1_790_000_000, "text": "/train"}
CHANNEL = {"id": -1002, "title": "News", "type": "channel"}
MEMBER = {"user": BOT, "status": "member"}


@pytest.mark.parametrize(
    "content",
    [
        {"edited_message": {**BODY, "from": ADA, "edit_date": 1_790_000_001}},
        {"channel_post": {**BODY, "chat": CHANNEL}},
        {"message": {**BODY, "chat": GROUP, "from": ADA}},
        {"message": {**BODY, "chat": GROUP, "from": ADA, "text": "hello"}},
        {"message": {"message_id": 7, "chat": PRIVATE, "from": ADA, "date": 1, "photo": []}},
        {
            "my_chat_member": {
                "chat": PRIVATE,
                "from": ADA,
                "date": 1_790_000_000,
                "old_chat_member": MEMBER,
                "new_chat_member": {"user": BOT, "status": "kicked", "until_date": 0},
            }
        },
        {"inline_query": {"id": "1", "from": ADA, "query": "", "offset": ""}},
    ],
)
def test_what_is_not_said_in_private_is_ignored(content: dict[str, Any]) -> None:
    assert translate(update(**content), ME, fetch) is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("/train", "train"),
        ("/train@my_lora_bot", "train"),
        ("/Models", "models"),
        ("/anything@my_lora_bot", "train"),
        ("/queue", None),
        ("/status", None),
        ("/weather", None),
        ("/train@other_bot", None),
        ("train", None),
    ],
)
def test_in_a_group_our_commands_go_on_in_private(text: str, word: str | None) -> None:
    names = {"train", "models", "queue", "status"}
    assert asked_in_group(said(text, chat=GROUP), ME, names) == word


@pytest.mark.parametrize(
    ("text", "name"),
    [("/queue", "queue"), ("/queue@my_lora_bot", "queue"), ("/status", "status")],
)
def test_queue_and_status_may_be_asked_for_in_a_group(text: str, name: str) -> None:
    asked = incoming(said(text, chat=GROUP))
    assert (asked.event, asked.chat, asked.in_group) == (Command(name), "tg:-1001", True)


@pytest.mark.parametrize("text", ["/queue@other_bot", "queue", "/train", "/start"])
def test_nothing_else_is_heard_in_a_group(text: str) -> None:
    assert translate(said(text, chat=GROUP), ME, fetch) is None


def test_a_group_that_became_a_supergroup_is_told_by_both_numbers() -> None:
    assert moved(message(chat=GROUP, migrate_to_chat_id=-1002)) == (-1001, -1002)
    assert moved(said("hello", chat=GROUP)) is None


def test_a_command_in_private_is_none_in_a_group() -> None:
    assert not asked_in_group(said("/train"), ME, {"train"})


def test_a_chat_is_named_after_its_number() -> None:
    assert chat_id("tg:-1001") == -1001


def test_an_update_reads_the_same_after_it_was_kept() -> None:
    first = message(photo=SIZES, media_group_id="1")
    again = Update.de_json(first.to_dict(), None)
    assert incoming(again).attachments[0].file_bytes == 91_203
    assert incoming(again).person == incoming(first).person
