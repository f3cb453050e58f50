"""The ladder: each rung holds where it should, and there is always one that does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import delivery
from bot.delivery import (
    AskTwin,
    Attach,
    AttachTwin,
    Link,
    Made,
    NoTwin,
    OnServer,
    PathOnly,
    Way,
    limit_below,
    way,
)
from bot.frontend import Limits

MB = 1_000_000
URL = "https://loras.example"
TELEGRAM, DISCORD = Limits(out_file_bytes=50 * MB), Limits(out_file_bytes=10 << 20)
NO_FILES, WORDS_ONLY = Limits(out_file_bytes=0), Limits(out_file_bytes=MB - 1)
GOOD, POOR = Made(9 * MB, lost=0.1), Made(9 * MB, lost=0.8)
LINK = Link(URL)


@pytest.mark.parametrize(
    ("size_mb", "limits", "url", "twin", "expected"),
    [
        (14, TELEGRAM, "", NoTwin.YET, Attach()),
        (50, TELEGRAM, URL, NoTwin.YET, Attach()),
        (51, TELEGRAM, URL, NoTwin.YET, AskTwin(50 * MB)),
        (14, DISCORD, "", NoTwin.YET, AskTwin(10 << 20)),
        (14, DISCORD, URL, GOOD, AttachTwin(LINK)),
        (14, DISCORD, "", GOOD, AttachTwin()),
        (14, DISCORD, URL, POOR, LINK),
        (14, DISCORD, "", POOR, AttachTwin()),
        (14, DISCORD, URL, NoTwin.EVER, LINK),
        (14, DISCORD, "", NoTwin.EVER, OnServer()),
        # A twin that was made for another limit is no help here.
        (14, DISCORD, URL, Made(11 * MB, lost=0.0), LINK),
        (14, NO_FILES, URL, NoTwin.YET, LINK),
        (14, NO_FILES, "", NoTwin.YET, OnServer()),
        (14, WORDS_ONLY, "", NoTwin.YET, OnServer()),
        (900, Limits(links=True), "", NoTwin.YET, Link("")),
        (900, Limits(paths=True), "", NoTwin.YET, PathOnly()),
        (900, Limits(out_file_bytes=2_000 * MB), "", NoTwin.YET, Attach()),
    ],
)
def test_the_first_rung_that_holds_is_taken(
    size_mb: int, limits: Limits, url: str, twin: Made | NoTwin, expected: Way
) -> None:
    assert way(size_mb * MB, limits, url, twin) == expected


@given(
    st.integers(1, 4_000 * MB),
    st.integers(0, 2_000 * MB),
    st.sampled_from(["", URL]),
    st.one_of(
        st.sampled_from(NoTwin),
        st.builds(Made, st.integers(1, 4_000 * MB), st.floats(0, 1)),
    ),
)
def test_nothing_larger_than_the_limit_is_ever_attached(
    size: int, limit: int, url: str, twin: Made | NoTwin
) -> None:
    found = way(size, Limits(out_file_bytes=limit), url, twin)
    if isinstance(found, Attach):
        assert size <= limit
    if isinstance(found, AttachTwin):
        assert isinstance(twin, Made)
        assert twin.file_bytes <= limit
    if isinstance(found, AskTwin):
        assert twin is NoTwin.YET


@given(st.integers(1, 4_000 * MB))
def test_a_refusal_leads_down_and_comes_to_an_end(size: int) -> None:
    falls = 0
    while size:
        below = limit_below(size)
        assert below < size
        size, falls = below, falls + 1
    assert falls <= len(delivery.STEPS_MB) + 1


@pytest.mark.parametrize(
    ("refused_mb", "then_mb"), [(300, 100), (50, 25), (40, 25), (25, 20), (9, 8), (1, 0)]
)
def test_what_was_refused_tells_the_next_limit(refused_mb: int, then_mb: int) -> None:
    assert limit_below(refused_mb * MB) == then_mb * MB
