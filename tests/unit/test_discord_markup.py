"""Our messages as Discord's components: nothing that it would refuse, nothing that calls people."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.discord import forms, markup, menu
from bot.discord.markup import components, to_markdown
from bot.frontend import Message, OutFile, RenderedButton
from bot.texts.catalog import Catalog
from storage import bases
from tests.discord_api import checks

ENGLISH = Catalog.load("en")
PICTURE = OutFile(path=Path("x.jpg"), name="x.jpg", file_bytes=1)


def button(label: str, data: str = "", **more: object) -> RenderedButton:
    return RenderedButton(label=label, data=data or f"go:1:{label}", **more)  # type: ignore[arg-type]


def types(found: list[markup.Component]) -> list[int]:
    return [one["type"] for one in checks.walk(found)]


def accepted(message: Message, *, typed: bool = False) -> list[markup.Component]:
    """As the server takes it."""
    body = {"components": components(message, typed=typed), "flags": markup.LAYOUT}
    names = {one.name for one in (message.picture, message.file) if one}
    checks.message({**body, "allowed_mentions": {"parse": []}}, names, layout=True)
    return body["components"]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("**mochi_k** `a_b`", r"**mochi\_k** `a_b`"),
        ("# one\n- two\n> three", "\\# one\n\\- two\n\\> three"),
        ("#4 looks ||blurry||", r"\#4 looks \|\|blurry\|\|"),
        ("see https://a.b/c_d_e.", "see https://a.b/c_d_e."),
        ("<@1> [a](b) ~~c~~", r"\<@1> \[a\](b) \~\~c\~\~"),
    ],
)
def test_only_bold_and_code_are_markup(said: str, shown: str) -> None:
    assert to_markdown(said) == shown


def test_a_text_is_cut_to_what_a_message_takes() -> None:
    cut = to_markdown("_" * 5000)
    assert len(cut) <= 4000
    assert cut.endswith("_…")


def test_a_message_is_picture_words_file_and_buttons() -> None:
    file = OutFile(path=Path("m.safetensors"), name="m.safetensors", file_bytes=1)
    message = Message(text="a", picture=PICTURE, file=file, buttons=((button("b"),),))
    assert types(accepted(message)) == [12, 10, 13, 1, 2]


def test_what_destroys_is_red_and_what_opens_is_a_link() -> None:
    row = (button("x", danger=True), button("y", url="https://a.b"), button("z"))
    found = accepted(Message(text="a", buttons=(row,)))
    assert [one["style"] for one in found[1]["components"]] == [4, 5, 2]


def test_a_form_is_offered_only_where_words_cannot_be_sent() -> None:
    message = Message(text="a", asks=button("Write"))
    assert types(accepted(message)) == [10]
    assert types(accepted(message, typed=True)) == [10, 1, 2]


def test_the_same_button_stands_there_once() -> None:
    twice = Message(text="a", buttons=((button("x", "go:1:"),), (button("y", "go:1:"),)))
    assert types(accepted(twice)) == [10, 1, 2]


def test_sixty_buttons_are_menus() -> None:
    many = [button(f"✅ {n}", f"toggle:d:{n}") for n in range(60)]
    rows = [tuple(many[at : at + 5]) for at in range(0, 60, 5)]
    back = (button("Back", "back:d:"),)
    found = accepted(Message(text="a", picture=PICTURE, buttons=(*rows, back)))
    menus = [one for one in checks.walk(found) if one["type"] == 3]
    assert [len(one["options"]) for one in menus] == [25, 25, 10]
    assert menus[0]["options"][1] == {"label": "✅ 1", "value": "toggle:d:1"}
    assert found[-1]["components"][0]["custom_id"] == "back:d:"


@given(st.text(min_size=1, max_size=300), st.lists(st.integers(0, 400), max_size=80))
def test_whatever_is_said_is_accepted(text: str, numbers: list[int]) -> None:
    rows = tuple((button(f"b{n}", f"verb{n % 3}:d:{n}"),) for n in numbers)
    if text.strip():
        accepted(Message(text=text, buttons=rows), typed=True)


def test_forms_are_accepted_and_train_asks_all_at_once() -> None:
    known = [bases.demo()]
    for form in (
        forms.train(ENGLISH, known),
        forms.photos(ENGLISH, "d"),
        forms.words(ENGLISH, "d"),
    ):
        checks.form(form)
    asked = forms.train(ENGLISH, known, "mochi")["components"]
    assert [one["component"]["type"] for one in asked] == [4, 21, 3, 19, 23]
    assert asked[0]["component"]["value"] == "mochi"


def test_the_menu_is_accepted_and_speaks_each_language() -> None:
    checks.commands(menu.menu())
    assert menu.LOCALES["zh"] == "zh-CN"
