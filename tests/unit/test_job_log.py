"""What an admin may read of a job's log, and what a driver says about cards."""

from dataclasses import replace

import pytest

from bot.job_log import job_log
from pipeline import cards
from storage.job import Failure, Photo
from storage.log_lines import LINES, scrub
from tests.jobs import make_job

ID = "01M7Z5EDQ7VW6W628EC9DDB6QK"  # the names of tests must not change from run to run
JOB = replace(make_job(name="mochi", person="tg:123456", chat="tg:123456"), id=ID)
PRIVATE = ("mochi", "mochix", "tg:123456", "Ada Lovelace", "Ada")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("loss 0.081 at step 20", "loss 0.081 at step 20"),
        ('  File "/srv/lora/trainer/loop.py", line 20', '  File "…/loop.py", line 20'),
        ("cannot open /home/ada/photos/beach.png", "cannot open …"),
        ("cannot open ~/photos/beach.png: gone", "cannot open …: gone"),
        (r"cannot open C:\Users\ada\beach.png", "cannot open …"),
        ("out/mochi.safetensors is written", "out… is written"),
        ("MOCHIX and Mochi_2", "… and …_2"),
        ("truncated: ['a photo of mochix, beach', 'x']", "truncated: […]"),
        ("caption 'ada at the red lake' is long", "caption '…' is long"),
        ("KeyError: 'unet'", "KeyError: 'unet'"),
        ("told tg:123456 and Ada", "told … and …"),
        ("GET https://example.org/a?token=1 failed", "GET … failed"),
        ("from ada@example.org", "from …"),
        ("key 0123456789abcdef0123456789abcdef", "key …"),
        (f"job {JOB.id}", f"job {JOB.id}"),
        ("adam and canada stay", "adam and canada stay"),
    ],
)
def test_a_line_loses_what_is_private(line: str, shown: str) -> None:
    assert scrub(line, JOB.id, PRIVATE) == shown


def test_captions_of_their_own_are_left_out_too() -> None:
    job = replace(
        JOB, photos=(Photo(sha256="a" * 64, number=1, file_bytes=3, caption="on the quay"),)
    )
    text = job_log(job, "seen: on the quay, step 1", names=(), now=2000.0)
    assert "quay" not in text
    assert "seen: …, step 1" in text


def test_the_last_lines_are_kept_below_what_is_known() -> None:
    tail = "\n".join(["10%|█  | 3/20", *(f"line {number}" for number in range(90))])
    failure = Failure(code="fail.internal", detail="no /srv/x/y.bin for mochi")
    text = job_log(replace(JOB, failure=failure), tail, names=(), now=2000.0)
    head, _, rest = text.partition("---\n")
    assert rest.splitlines() == [f"line {number}" for number in range(90 - LINES, 90)]
    assert JOB.code in head
    assert "failed: fail.internal no … for …" in head
    assert "ordered 17 min ago" in head


def test_a_job_without_a_log_still_says_something() -> None:
    assert "nothing" in job_log(JOB, "", names=(), now=2000.0)


@pytest.mark.parametrize("line", ["x" * 100_000, "'" * 5000, "[" * 5000 + "'", "/a" * 40_000])
def test_a_monstrous_line_is_short_and_quick(line: str) -> None:
    assert len(scrub(line, JOB.id, PRIVATE)) <= 300


def test_the_drivers_table_is_read() -> None:
    table = (
        "0, NVIDIA RTX 4070, 1024, 12282, 67, 98\n1, Old, [N/A], [N/A], [N/A], [N/A]\nno devices"
    )
    first, second = cards.read(table)
    assert (first.name, first.used_bytes, first.celsius) == ("NVIDIA RTX 4070", 2**30, 67)
    assert (second.number, second.all_bytes, second.busy_percent) == (1, None, None)
    assert cards.read("") == ()
