"""Words of strangers: in messages, menus and addresses they stay words."""

import html
import re

import pytest

from bot.discord.markup import body_of, components, to_markdown
from bot.discord.origins import may_fetch
from bot.frontend import Limits, Message
from bot.render import MAX_ARGUMENT, plain, render
from bot.screen import Line
from bot.screens import toast
from bot.telegram.markup import to_html, units
from bot.texts.catalog import Catalog

API = "https://discord.com/api/v10"
NAMES = (
    "<b>x</b><a href='tg://user?id=1'>you</a>",
    "</b></code><script>",
    "&lt;b&gt;",
    "**bold** `code` _under_ ~~gone~~ ||hidden||",
    "@everyone @here <@1> <@&2> <#3> </train:4> <:e:5> <t:1:R>",
    "[free](https://evil.example) # big > quote - list",
    "\u202egnp.exe\u2066\u2069\u200b\u200e",
    "line\nbreak\r\n\x1b[31m\x00\u2028",
    "z\u0335" * 500,
    "A" * 100_000,
    "{name} {0} %s %(x)s",
    '=HYPERLINK("http://evil.example")',
)


def greeting(name: str, limits: Limits | None = None) -> str:
    screen = toast(Line(key="start.hello", args={"name": name}))
    return render(screen, Catalog.load("en"), limits or Limits()).text


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_markup_on_telegram(name: str) -> None:
    """The only tags are ours, closed in order; what is read is what was meant."""
    shown = to_html(greeting(name), 4096)
    tags = re.findall(r"<[^>]*>", shown)
    assert set(tags) <= {"<b>", "</b>", "<code>", "</code>"}
    assert tags == re.findall(r"<[^>]*>", to_html(greeting("Ada"), 4096))
    assert units(html.unescape(re.sub(r"<[^>]*>", "", shown))) <= 4096


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_markup_and_calls_nobody_on_discord(name: str) -> None:
    shown = to_markdown(greeting(name))
    bare = re.sub(r"\\.", "", shown)
    assert not re.search(r"[_~|<\[]", bare)
    assert bare.count("**") == to_markdown(greeting("Ada")).count("**")
    assert not re.search(r"^\s*[#>-] ", bare, re.MULTILINE)
    body, _ = body_of(Message(text=greeting(name)))
    assert body["allowed_mentions"] == {"parse": []}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_turns_and_hides_nothing(name: str) -> None:
    shown = str(plain(name))
    assert len(shown) <= MAX_ARGUMENT
    assert not re.search("[\u0000-\u001f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028]", shown)
    assert greeting(name).count("\n") == greeting("Ada").count("\n")


def test_a_name_of_joined_signs_stays_as_it_is() -> None:
    for name in ("👩‍👩‍👧", "می‌خواهم", "José", "李小龍", "Zoë 🦊"):
        assert plain(name) == name


def test_an_admins_own_words_are_words_too() -> None:
    screen = toast(Line(words="**all** `x` <b>@everyone</b>"))
    text = render(screen, Catalog.load("en"), Limits()).text
    assert "<" not in re.sub(r"&lt;", "", to_html(text, 4096))
    shown = components(Message(text=text))
    assert "\\<b>" in shown[0]["content"]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:6379/",
        "http://localhost/x",
        "http://[::1]/x",
        "https://10.0.0.7/x.png",
        "https://cdn.discordapp.com.evil.example/x.png",
        "https://cdn.discordapp.com@evil.example/x.png",
        "https://evil.example/?cdn.discordapp.com",
        "https://user@cdn.discordapp.com/x",
        "https://cdn.discordapp.com:22/x",
        "http://cdn.discordapp.com/x.png",
        "file:///etc/passwd",
        "gopher://cdn.discordapp.com/x",
        "//cdn.discordapp.com/x",
        "https://discord.com/api/v10/users/@me",
        "https://[cdn.discordapp.com/x",
        "https://cdn.discordapp.com:x/x",
        "",
    ],
)
def test_a_files_address_leads_nowhere_else(url: str) -> None:
    """An attachment's address: no look into the operator's own network."""
    assert not may_fetch(url, API)


def test_a_files_address_of_discord_or_of_the_operators_own_server_is_fetched() -> None:
    assert may_fetch("https://cdn.discordapp.com/attachments/1/2/x.png?ex=1", API)
    assert may_fetch("https://media.discordapp.net/x.png", API)
    assert may_fetch("http://127.0.0.1:8080/cdn/x", "http://localhost:9/api")
    assert may_fetch("https://chat.studio.example/x", "https://chat.studio.example/api/v10")
    assert not may_fetch("http://chat.studio.example/x", "https://chat.studio.example/api/v10")
    assert not may_fetch("http://10.0.0.7/x", "http://127.0.0.1:8080/api")
