"""Which part of a file is meant: the cases of RFC 9110, and whatever else clients send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.downloads import disposition
from bot.web.ranges import Part, Whole, wanted

TAG = '"abc"'
SIZE = 1000


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-0", Part(0, 0)),
        ("bytes=0-499", Part(0, 499)),
        ("bytes=500-", Part(500, 999)),
        ("bytes=-1", Part(999, 999)),
        ("bytes=-5000", Part(0, 999)),
        ("bytes=900-5000", Part(900, 999)),
        ("Bytes = 5-6", Part(5, 6)),
        ("bytes=1000-", Whole.OUTSIDE),
        ("bytes=99999999999-", Whole.OUTSIDE),
        ("bytes=-0", Whole.OUTSIDE),
        # Invalid ones, other units, and several at once: the whole file.
        ("bytes=-", Whole.ALL),
        ("bytes=6-5", Whole.ALL),
        ("bytes=0-1,5-6", Whole.ALL),
        ("bytes=a-b", Whole.ALL),
        ("bytes=0x1-", Whole.ALL),
        ("lines=1-2", Whole.ALL),
        ("bytes=" + "9" * 5000 + "-", Whole.ALL),
        ("", Whole.ALL),
    ],
)
def test_a_range_is_read(asked: str, expected: Part | Whole) -> None:
    assert wanted("GET", {"range": asked}, TAG, SIZE) == expected


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"if-range": TAG}, Part(10, 999)),
        ({"if-range": '"other"'}, Whole.ALL),
        ({"if-range": f"W/{TAG}"}, Whole.ALL),
        ({"if-range": "Wed, 21 Oct 2026 07:28:00 GMT"}, Whole.ALL),
        ({"if-match": TAG}, Part(10, 999)),
        ({"if-match": "*"}, Part(10, 999)),
        ({"if-match": '"other"'}, Whole.CHANGED),
        ({"if-match": f"W/{TAG}"}, Whole.CHANGED),
        ({"if-none-match": TAG}, Whole.SAME),
        ({"if-none-match": f'"x", W/{TAG}'}, Whole.SAME),
        ({"if-none-match": '"other"'}, Part(10, 999)),
    ],
)
def test_conditions_come_before_the_range(headers: dict[str, str], expected: Part | Whole) -> None:
    assert wanted("GET", {"range": "bytes=10-", **headers}, TAG, SIZE) == expected


def test_a_head_asks_for_no_part() -> None:
    assert wanted("HEAD", {"range": "bytes=10-"}, TAG, SIZE) is Whole.ALL


def test_an_empty_file_has_no_parts() -> None:
    assert wanted("GET", {"range": "bytes=-5"}, TAG, 0) is Whole.OUTSIDE
    assert wanted("GET", {"range": "bytes=0-"}, TAG, 0) is Whole.OUTSIDE


@given(st.text(max_size=40), st.integers(0, 5000))
def test_no_header_breaks_it_and_no_part_lies_outside(text: str, size: int) -> None:
    found = wanted("GET", {"range": f"bytes={text}"}, TAG, size)
    if isinstance(found, Part):
        assert 0 <= found.first <= found.last < size


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mochi.safetensors", 'attachment; filename="mochi.safetensors"'),
        ('a"b\r\nX: y', "attachment; filename=\"a_b__X__y\"; filename*=UTF-8''a%22b%0D%0AX%3A%20y"),
        ("моти", "attachment; filename=\"____\"; filename*=UTF-8''%D0%BC%D0%BE%D1%82%D0%B8"),
    ],
)
def test_a_name_cannot_break_out_of_its_header(name: str, expected: str) -> None:
    assert disposition(name) == expected
