"""The tagger's real loading code on networks by hand: one that understands, and odd ones."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto

from pictures.captions import Described
from pipeline.captions.tagger import AT_ONCE, MODEL, MOST_TAGS, NAMES, Tagger, TaggerError
from tests.truth.graph import Graph, concat
from tests.truth.models import tagger
from tests.truth.tagger import SKY, TAGS

CPU = ("CPUExecutionProvider",)
SIDE = 8
CHANNELS = (("blue_share", "0"), ("green_share", "0"), ("red_share", "0"))
RED, BLUE, BLACK = (255, 0, 0), (0, 0, 255), (0, 0, 0)
Rows = Sequence[tuple[str, str]]


def write_names(folder: Path, rows: Rows) -> None:
    with (folder / NAMES).open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("tag_id", "name", "category", "count"))
        table.writerows((number, name, kind, 1) for number, (name, kind) in enumerate(rows))


def channels(folder: Path, rows: Rows = CHANNELS, batch: int | str = "batch") -> Path:
    """Row by row the mean of the picture's channels as they come, in shares of 255."""
    graph = Graph()
    means = graph.input("input", [batch, SIDE, SIDE, 3]).mean(1).mean(1) / 255.0
    weights = np.eye(3, dtype=np.float32)[np.arange(len(rows)) % 3].T
    graph.output(means.matmul(weights), "output", [batch, len(rows)])
    graph.save(folder / MODEL, "channels")
    write_names(folder, rows)
    return folder


def opened(folder: Path, threshold: float = 0.35) -> Tagger:
    return Tagger.open(folder, CPU, threshold)


def picture(colour: tuple[int, int, int], size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    return Image.new("RGB", size, colour)


def names(described: Described) -> list[str]:
    return [name for name, _ in described.tags]


def rounded(described: Described) -> dict[str, float]:
    return {name: round(share, 2) for name, share in described.tags}


# --- what it sees --------------------------------------------------------------------------------


def drawn(sky: tuple[int, int, int], shirt: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", (300, 300), (90, 90, 90))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 300, 100), fill=sky)
    draw.rectangle((60, 200, 240, 300), fill=shirt)
    return image


def test_a_tagger_says_what_is_drawn(tmp_path: Path) -> None:
    one = opened(tagger(tmp_path / "tagger"))
    outside, inside = one.tags([drawn(SKY, (200, 30, 40)), drawn((60, 50, 40), (40, 80, 200))])
    assert {"outdoors", "blue sky", "red shirt"} <= set(names(outside))
    assert {"indoors", "blue shirt"} <= set(names(inside))
    assert not {"outdoors", "red shirt"} & set(names(inside))


def test_ratings_and_characters_are_not_words_for_a_picture(tmp_path: Path) -> None:
    one = opened(tagger(tmp_path / "tagger"), threshold=1e-9)
    general = {tag.name.replace("_", " ") for tag in TAGS if tag.category == 0} | {"^_^"}
    assert set(names(one.tags([drawn(SKY, RED)])[0])) <= general


def test_the_most_probable_come_first(tmp_path: Path) -> None:
    one = opened(tagger(tmp_path / "tagger"), threshold=0.01)
    shares = [share for _, share in one.tags([drawn(SKY, RED)])[0].tags]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) > 3


def test_a_picture_comes_as_blue_green_red_from_0_to_255(tmp_path: Path) -> None:
    (seen,) = opened(channels(tmp_path), 0.01).tags([picture((51, 102, 204))])
    assert rounded(seen) == {"blue share": 0.8, "green share": 0.4, "red share": 0.2}


def test_the_square_is_filled_up_with_white(tmp_path: Path) -> None:
    one = opened(channels(tmp_path), 0.01)
    for size in ((80, 40), (40, 80)):
        (seen,) = one.tags([picture(RED, size)])
        assert rounded(seen)["red share"] == 1
        assert rounded(seen)["blue share"] == pytest.approx(0.5, abs=0.03)


def test_what_is_transparent_is_white(tmp_path: Path) -> None:
    hidden = Image.new("RGBA", (SIDE, SIDE), (255, 0, 0, 0))
    (seen,) = opened(channels(tmp_path)).tags([hidden])
    assert rounded(seen)["green share"] == 1


# --- names ---------------------------------------------------------------------------------------


def test_names_go_by_row_and_category_in_any_order(tmp_path: Path) -> None:
    rows = [("hat", "0"), ("somebody", "4"), ("sensitive", "9"), ("tree", "0"), ("general", "9")]
    (seen,) = opened(channels(tmp_path, rows), 0.9).tags([picture(BLUE)])
    assert names(seen) == ["hat", "tree"]


def test_signs_that_are_faces_keep_their_underscores(tmp_path: Path) -> None:
    rows = [("^_^", "0"), ("x", "4"), ("x", "9"), ("blue_sky", "0")]
    (seen,) = opened(channels(tmp_path, rows), 0.9).tags([picture(BLUE)])
    assert names(seen) == ["^_^", "blue sky"]


@pytest.mark.parametrize(("threshold", "count"), [(0.39, 2), (0.41, 1), (0.81, 0)])
def test_the_threshold_decides(tmp_path: Path, threshold: float, count: int) -> None:
    (seen,) = opened(channels(tmp_path), threshold).tags([picture((51, 102, 204))])
    assert len(seen.tags) == count


def test_there_are_no_more_tags_than_a_caption_can_use(tmp_path: Path) -> None:
    rows = [(f"tag_{number}", "0") for number in range(200)]
    (seen,) = opened(channels(tmp_path, rows)).tags([picture((255, 255, 255))])
    assert len(seen.tags) == MOST_TAGS


# --- many ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", ["batch", 1])
def test_many_pictures_are_answered_in_their_order(tmp_path: Path, batch: int | str) -> None:
    one = opened(channels(tmp_path, batch=batch))
    colours = [(BLUE, BLACK, RED)[number % 3] for number in range(2 * AT_ONCE + 1)]
    seen = one.tags([picture(colour) for colour in colours])
    assert [names(described) for described in seen] == [
        {BLUE: ["blue share"], BLACK: [], RED: ["red share"]}[colour] for colour in colours
    ]


def test_no_pictures_are_no_answers(tmp_path: Path) -> None:
    assert opened(channels(tmp_path)).tags([]) == []


def test_it_says_what_it_runs_on(tmp_path: Path) -> None:
    assert opened(channels(tmp_path)).providers == CPU


# --- what is no tagger ---------------------------------------------------------------------------


def odd(folder: Path, shape: Sequence[int | str | None], rows: int = 3) -> None:
    """A network that takes ``shape`` and makes nothing of it."""
    graph = Graph()
    graph.input("input", shape)
    graph.output(graph.constant(np.zeros((1, rows))) + 0.0, "output", ["batch", rows])
    graph.save(folder / MODEL, "odd")


@pytest.mark.parametrize(
    "shape",
    [
        *(["batch", 3, SIDE, SIDE], ["batch", SIDE, 2 * SIDE, 3], ["batch", "h", "w", 3]),
        *([4, SIDE, SIDE, 3], ["batch", SIDE * SIDE * 3], ["batch", None, None, 3]),
    ],
)
def test_another_input_is_refused(tmp_path: Path, shape: list[int | str | None]) -> None:
    write_names(tmp_path, CHANNELS)
    odd(tmp_path, shape)
    with pytest.raises(TaggerError, match=r"model\.onnx takes"):
        opened(tmp_path)


def test_another_number_of_tags_is_refused(tmp_path: Path) -> None:
    channels(tmp_path)
    write_names(tmp_path, CHANNELS[:2])
    with pytest.raises(TaggerError, match=r"\['batch', 3\], selected_tags\.csv has 2 rows"):
        opened(tmp_path)


def test_two_outputs_are_refused(tmp_path: Path) -> None:
    graph = Graph()
    means = graph.input("input", ["batch", SIDE, SIDE, 3]).mean(1).mean(1)
    graph.output(means, "output", ["batch", 3])
    graph.output(means * 2.0, "more", ["batch", 3])
    graph.save(tmp_path / MODEL, "two")
    write_names(tmp_path, CHANNELS)
    with pytest.raises(TaggerError, match="1 inputs and 2 outputs"):
        opened(tmp_path)


def test_another_type_is_refused(tmp_path: Path) -> None:
    graph = Graph()
    means = graph.input("input", ["batch", SIDE, SIDE, 3]).floats().mean(1).mean(1)
    graph.inputs[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    graph.output(means, "output", ["batch", 3])
    graph.save(tmp_path / MODEL, "doubles")
    write_names(tmp_path, CHANNELS)
    with pytest.raises(TaggerError, match=r"tensor\(double\)"):
        opened(tmp_path)


@pytest.mark.parametrize("scale", [-1.0, 40.0, float("nan")])
def test_answers_that_are_no_shares_are_refused(tmp_path: Path, scale: float) -> None:
    graph = Graph()
    means = graph.input("input", ["batch", SIDE, SIDE, 3]).mean(1).mean(1)
    parts = [means.column(0) * scale, means.column(1) * 0.0, means.column(2) * 0.0]
    graph.output(concat(parts, 1), "output", ["batch", 3])
    graph.save(tmp_path / MODEL, "logits")
    write_names(tmp_path, CHANNELS)
    with pytest.raises(TaggerError, match="not shares of 1"):
        opened(tmp_path)


def test_a_network_that_cannot_run_is_refused(tmp_path: Path) -> None:
    graph = Graph()
    flat = graph.input("input", ["batch", SIDE, SIDE, 3]).reshape(-1, 7)
    graph.output(flat, "output", ["batch", 3])
    graph.save(tmp_path / MODEL, "wrong")
    write_names(tmp_path, CHANNELS)
    with pytest.raises(TaggerError, match=r"model\.onnx"):
        opened(tmp_path)


@pytest.mark.parametrize("data", [None, b"", b"no network", b"\x08\x09"])
def test_a_file_that_is_no_network_is_refused(tmp_path: Path, data: bytes | None) -> None:
    write_names(tmp_path, CHANNELS)
    if data is not None:
        (tmp_path / MODEL).write_bytes(data)
    with pytest.raises(TaggerError, match=r"model\.onnx cannot be loaded"):
        opened(tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        *(None, b"id,tag\n1,hat\n", b"name,category\nhat,0\ntree\nsky,0\n", b"\xff\xfe\x00h"),
        *(b"name,category\nhat,0\n,0\nsky,0\n", b"name,category\n" + b'"' + b"x" * 200_000),
    ],
)
def test_a_file_that_is_no_list_of_tags_is_refused(tmp_path: Path, data: bytes | None) -> None:
    channels(tmp_path)
    (tmp_path / NAMES).unlink()
    if data is not None:
        (tmp_path / NAMES).write_bytes(data)
    with pytest.raises(TaggerError, match=r"selected_tags\.csv"):
        opened(tmp_path)
