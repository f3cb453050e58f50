"""Our markup as Telegram's, and never longer than a message may be."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.frontend import RenderedButton
from bot.telegram.markup import keyboard, to_html, units


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("plain", "plain"),
        ("**mochi** – 14 photos", "<b>mochi</b> – 14 photos"),
        ("word: `mochix`", "word: <code>mochix</code>"),
        ("**a** and **b**\n`c`", "<b>a</b> and <b>b</b>\n<code>c</code>"),
        ("1 < 2 & 3 > 2", "1 &lt; 2 &amp; 3 &gt; 2"),
        ("**<b>**", "<b>&lt;b&gt;</b>"),
        ('say "hi"', 'say "hi"'),
        ("**open", "**open"),
        ("2 ** 3", "2 ** 3"),
        ("`open", "`open"),
        ("`a * b`", "<code>a * b</code>"),
        ("", ""),
    ],
)
def test_bold_and_code_become_html(ours: str, theirs: str) -> None:
    assert to_html(ours, 4096) == theirs


def test_markup_does_not_count() -> None:
    assert to_html("**abcd**", 4) == "<b>abcd</b>"


def test_what_is_too_long_ends_in_dots() -> None:
    assert to_html("**abcd** efgh", 6) == "<b>abcd</b> …"
    assert to_html("**abcd** efgh", 4) == "<b>abc</b>…"


def test_an_emoji_counts_twice_and_is_not_cut_in_half() -> None:
    assert to_html("🎉🎉🎉", 6) == "🎉🎉🎉"
    assert to_html("🎉🎉🎉", 5) == "🎉🎉…"
    assert to_html("🎉🎉🎉", 4) == "🎉…"


@given(st.text(alphabet=st.sampled_from("a *`<&🎉\n")), st.integers(2, 40))
def test_whatever_is_written_fits_and_closes_its_tags(text: str, most: int) -> None:
    made = to_html(text, most)
    read = html.unescape(re.sub(r"</?(?:b|code)>", "", made))
    assert units(read) <= most
    assert made.count("<b>") == made.count("</b>")
    assert made.count("<code>") == made.count("</code>")


def test_a_button_sends_data_or_opens_a_page() -> None:
    rows = (
        (
            RenderedButton(label="Go", data="go:1:"),
            RenderedButton(label="Drop", data="x:1:", danger=True),
        ),
        (RenderedButton(label="Load", url="https://a.example/x"),),
    )
    made = keyboard(rows)
    assert made is not None
    assert made.to_dict() == {
        "inline_keyboard": [
            [
                {"text": "Go", "callback_data": "go:1:"},
                {"text": "Drop", "callback_data": "x:1:", "style": "danger"},
            ],
            [{"text": "Load", "url": "https://a.example/x"}],
        ]
    }


def test_no_buttons_are_no_keyboard() -> None:
    assert keyboard(()) is None
