"""sd-scripts' output as it was recorded, in pieces of every size."""

import ast
import math
from pathlib import Path

import pytest

from trainer.backends.sd_scripts_stream import LINE_BYTES, Lines, Reader, tick
from trainer.run import Phase, Progress

STREAMS = Path(__file__).parents[1] / "streams"
ENDS = {"N": b"\n", "R": b"\r", "E": b""}


def sample() -> bytes:
    """A record of lines: when, how it ended, and its bytes; the last line is the recorder's own."""
    lines = (STREAMS / "sd_scripts_sample.txt").read_text(encoding="utf-8").splitlines()
    pieces = [line.split(None, 2) for line in lines if line.strip()[:1].isdigit()]
    return b"".join(ast.literal_eval(said) + ENDS[end] for _, end, said in pieces)


def resumed() -> bytes:
    return (STREAMS / "sd_scripts_resumed.txt").read_bytes()


def heard(data: bytes, size: int, total: int, start: int = 0) -> tuple[Reader, list[Progress]]:
    reader = Reader(total=total, start=start)
    told = []
    for at in range(0, len(data), size):
        told += reader.feed(data[at : at + size])
    return reader, told + reader.end()


def phases(told: list[Progress]) -> list[Phase]:
    found: list[Phase] = []
    for one in told:
        if not found or one.phase is not found[-1]:
            found.append(one.phase)
    return found


def test_a_whole_run_is_heard() -> None:
    reader, told = heard(sample(), 4096, total=5)
    assert phases(told)[:3] == [Phase.ENCODING, Phase.TRAINING, Phase.SAVING]
    steps = [one.step for one in told if one.phase is Phase.TRAINING]
    assert steps == sorted(steps)
    assert set(steps) == {0, 1, 2, 3, 4, 5}
    assert reader.loss == 1.13
    assert reader.steps_per_s == pytest.approx(1 / 3.66)
    assert not reader.diverged
    assert reader.tail[-1].split()[:3] == ["INFO", "model", "saved."]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 64, 1000])
@pytest.mark.parametrize(("read", "total", "start"), [(sample, 5, 0), (resumed, 20, 6)])
def test_it_does_not_matter_how_it_is_cut(read: object, total: int, start: int, size: int) -> None:
    assert callable(read)
    data = read()
    whole, told = heard(data, len(data), total, start)
    reader, same = heard(data, size, total, start)
    assert same == told
    assert list(reader.tail) == list(whole.tail)
    assert reader.means == whole.means


def test_a_resumed_run_counts_from_where_it_was() -> None:
    reader, told = heard(resumed(), 512, total=20, start=6)
    assert told[0].step == 6
    assert reader.step == 20
    assert Phase.SAMPLING in phases(told)
    assert Phase.SAVING in phases(told)
    assert [step for step, _ in reader.means] == [11, 16]


def test_samples_and_saving_are_over_with_the_next_bar() -> None:
    _, told = heard(resumed(), 512, total=20, start=6)
    order = phases(told)
    after = order[order.index(Phase.SAMPLING) :][:3]
    assert after == [Phase.SAMPLING, Phase.SAVING, Phase.TRAINING]


def test_nothing_that_people_wrote_is_kept() -> None:
    reader, _ = heard(resumed(), 512, total=20, start=6)
    assert b"prompt: mochix person" in resumed()
    assert not any("mochix" in line for line in reader.said)
    assert any("saving state at step" in line for line in reader.said)
    assert not any("\x1b" in line or "%|" in line for line in reader.said)


@pytest.mark.parametrize(
    ("line", "done", "speed", "loss"),
    [
        ("steps:   0%|          | 0/5 [00:00<?, ?it/s]", 0, None, None),
        ("steps:  33%|###3      | 2/6 [00:04<00:09,  2.50s/it, avr_loss=1.19]", 2, 0.4, 1.19),
        ("steps:  50%|#####     | 3/6 [1:00:04<2:00:09, 12.5it/s, avr_loss=0.1]", 3, 12.5, 0.1),
        ("steps:  50%|#####     | 3/6 [00:04<00:09, 12.5it/s, avr_loss=1e-5]", 3, 12.5, 1e-5),
        ("steps:  50%|##| 3/6 [00:04<00:09, 1.5it/s, Keys Scaled=0, avr_loss=0.2]", 3, 1.5, 0.2),
        ("steps:  50%|##| 3/6 [00:04<00:09, 1.5it/s]2026 INFO  saving", 3, 1.5, None),
    ],
)
def test_bars(line: str, done: int, speed: float | None, loss: float | None) -> None:
    seen = tick(line)
    assert seen is not None
    assert (seen.done, seen.loss) == (done, loss)
    assert seen.steps_per_s == speed


@pytest.mark.parametrize(
    "line",
    [
        "steps: many",
        "  total optimization steps / x: 5",
        " 12%|#2        | 1/8 [00:00<00:04,  1.59it/s]",
        "validation steps:  50%|#####     | 3/6 [00:04<00:09, 12.5it/s, avr_loss=0.1]",
        "epoch validation steps:  50%|#####     | 3/6 [00:04<00:09, 12.5it/s, avr_loss=0.1]",
    ],
)
def test_other_lines_are_no_bars_of_steps(line: str) -> None:
    assert tick(line) is None


@pytest.mark.parametrize("word", ["nan", "inf", "-inf"])
def test_a_loss_that_is_no_number_is_seen(word: str) -> None:
    reader = Reader(total=6)
    reader.feed(b"steps:  17%|#| 1/6 [00:04<00:09, 1.5it/s, avr_loss=0.3]\r")
    told = reader.feed(f"steps:  33%|#| 2/6 [00:04<00:09, 1.5it/s, avr_loss={word}]\r".encode())
    assert reader.diverged
    assert told[-1].loss == 0.3
    assert math.isfinite(told[-1].loss)


def test_the_same_bar_twice_is_told_once() -> None:
    reader = Reader(total=6)
    bar = b"steps:  17%|#| 1/6 [00:04<00:09, 1.5it/s, avr_loss=0.3]\r"
    assert len(reader.feed(bar)) == 1
    assert reader.feed(bar) == []


def test_a_flood_without_an_end_costs_no_memory() -> None:
    lines = Lines()
    for _ in range(50):
        assert lines.feed(b"x" * 10_000) == []
    assert len(lines.end()[0]) <= LINE_BYTES


def test_what_is_no_text_does_no_harm() -> None:
    reader = Reader(total=6)
    assert reader.feed(bytes(range(256)) * 8) == []


def test_an_average_of_all_steps_gives_those_between() -> None:
    reader = Reader(total=40)
    for done, average in ((10, 1.0), (20, 0.75)):
        bar = f"steps: 1%|#| {done}/40 [00:04<00:09, 1.5it/s, avr_loss={average}]\r"
        reader.feed(bar.encode())
    assert reader.means == [(10, 1.0), (20, 0.5)]


def test_an_empty_dataset_is_noticed() -> None:
    reader = Reader(total=6)
    reader.feed("No data found. Please verify arguments / 画像がありません\n".encode())
    assert reader.no_pictures
