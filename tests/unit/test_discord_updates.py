"""What is kept of an update, and what Discord's refusals mean."""

from types import SimpleNamespace
from typing import Any

import pytest
from discord.errors import HTTPException, LoginFailure, RateLimited

from bot.discord import errors, updates
from bot.discord.gateway import base_of
from bot.discord.places import ANSWER_S, Places, read_ref, ref_of
from bot.discord.updates import Kept, Sent
from bot.events import Choice, Command, Event, FileRefused, Filled, Text
from bot.frontend import (
    ChatGoneError,
    MessageGoneError,
    NetworkError,
    SlowDownError,
    TooLargeError,
)

EVENTS = [
    Choice("use", "d", "4"),
    Command("models", "mochi"),
    FileRefused("photo.type"),
    Filled("mochi", "person", "demo", consent=True),
    Text("naïve „words“ 🎉"),
    None,
]


async def fetch(url: str) -> bytes:
    return url.encode()


def kept(**more: Any) -> Kept:
    common = {"id": "7", "user": 3, "name": "Ada", "at": 100.0, "channel": 5, "private": False}
    return Kept(**{**common, **more})


def refusal(status: int, code: int, **headers: str) -> HTTPException:
    answer = SimpleNamespace(status=status, reason="", headers=headers)
    return HTTPException(answer, {"code": code, "message": "secret words"})  # type: ignore[arg-type]


@pytest.mark.parametrize("event", EVENTS)
def test_an_update_survives_as_text(event: Event | None) -> None:
    files = (Sent(url="http://a/b", file_bytes=3, suffix=".png", kind="image/png"),)
    one = kept(event=event, files=files, token="t", out_file_bytes=9)
    assert updates.from_json(updates.to_json(one)) == one


def test_a_files_name_is_not_kept() -> None:
    raw = {"url": "http://cdn/x", "size": 3, "filename": "Ada at home.PNG"}
    assert updates._sent(raw) == Sent(url="http://cdn/x", file_bytes=3, suffix=".png")


@pytest.mark.parametrize(
    ("suffix", "kind", "usable"),
    [
        (".png", "", True),
        ("", "image/webp", True),
        (".zip", "", True),
        (".heic", "image/heic", True),
        (".mp4", "video/mp4", False),
        ("", "", False),
    ],
)
def test_only_what_may_hold_pictures_is_fetched(suffix: str, kind: str, usable: bool) -> None:
    sent = Sent(url="u", file_bytes=1, suffix=suffix, kind=kind)
    told = updates.incoming(kept(files=(sent,)), fetch)
    assert len(told.attachments) == usable
    assert (told.event is None) == usable


def test_an_update_is_told_as_the_core_knows_it() -> None:
    told = updates.incoming(kept(event=Text("hello"), language="ru"), fetch)
    assert (told.platform, told.update_id, told.chat) == ("dc", "7", "dc:3")
    assert (told.person.id, told.person.name, told.person.language) == ("dc:3", "Ada", "ru")


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (refusal(404, 10008), MessageGoneError),
        (refusal(403, 50007), ChatGoneError),
        (refusal(403, 50013), ChatGoneError),
        (refusal(413, 0), TooLargeError),
        (refusal(400, 40005), TooLargeError),
        (refusal(401, 0), errors.TokenRejectedError),
        (LoginFailure(), errors.TokenRejectedError),
        (RateLimited(40.0), SlowDownError),
        (refusal(429, 0), SlowDownError),
        (ConnectionResetError(), NetworkError),
    ],
)
def test_a_refusal_has_its_meaning(error: Exception, meaning: type[NetworkError]) -> None:
    why = errors.explain(error)
    assert type(why) is meaning
    assert "secret words" not in str(why)


def test_a_proxys_pause_is_read() -> None:
    why = errors.explain(refusal(429, 0, **{"Retry-After": "7"}))
    assert isinstance(why, SlowDownError)
    assert why.after_s == 7.0
    odd = errors.explain(refusal(429, 0, **{"Retry-After": "Fri, 01 Jan"}))
    assert isinstance(odd, SlowDownError)


def test_what_would_fail_again_is_permanent() -> None:
    assert errors.explain(refusal(400, 50035)).permanent
    assert not errors.explain(ConnectionResetError()).permanent


def test_names_of_messages_say_who_sees_them() -> None:
    assert read_ref(ref_of(5, 7)) == (5, 7, False)
    assert read_ref(ref_of(5, 7, ephemeral=True)) == (5, 7, True)
    assert read_ref("whatever") == (0, 0, False)


def test_an_interaction_is_answered_for_a_quarter_of_an_hour() -> None:
    now = [100.0]
    places = Places(now=lambda: now[0])
    places.note(kept(token="t", fresh=True))
    assert places.reply("dc:3") is not None
    now[0] += ANSWER_S
    assert places.reply("dc:3") is None


def test_a_direct_message_moves_the_chat_there() -> None:
    places = Places(now=lambda: 100.0)
    places.note(kept(token="t", fresh=True))
    places.note(kept(channel=9, private=True))
    assert places.reply("dc:3") is None
    assert (places.homes, places.doors) == ({"dc:3": 9}, {"dc:3": 5})


def test_the_latest_press_on_a_message_can_change_it() -> None:
    now = [100.0]
    places = Places(now=lambda: now[0])
    places.note(kept(token="old", message=8, ephemeral=True))
    now[0] += 500
    places.note(kept(token="new", message=8, ephemeral=True, at=600.0))
    now[0] = 1200.0
    found = places.changes(8)
    assert found is not None
    assert found.token == "new"
    assert places.changes(9) is None


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("https://discord.com/api/v10", "https://discord.com/api/v10"),
        ("http://127.0.0.1:9/", "http://127.0.0.1:9/api/v10"),
        ("http://127.0.0.1:9/api", "http://127.0.0.1:9/api/v10"),
        ("http://127.0.0.1:9/api/v9/", "http://127.0.0.1:9/api/v9"),
    ],
)
def test_the_address_of_another_server_may_be_short(given: str, base: str) -> None:
    assert base_of(given) == base
