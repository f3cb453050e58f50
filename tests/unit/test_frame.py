"""Where photos are cut: the bucket's shape, the head inside, strangers outside."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pictures.box import Box
from pictures.frame import Cut, Shape, place

SIDES = st.integers(256, 6000)
SHARES = st.floats(0.0, 1.0)
MIDDLE = (0.5, 0.5)
SHAPE = Shape(resolution=512)


def whole(width: float, height: float) -> Box:
    return Box(0, 0, width, height)


def holds(outer: Box, inner: Box, slack: float = 0.01) -> bool:
    kept = inner.within(outer)
    return kept.width >= inner.width - slack and kept.height >= inner.height - slack


@given(SIDES, SIDES, SHARES, SHARES)
def test_a_cut_lies_inside_and_has_its_buckets_shape(
    width: int, height: int, across: float, down: float
) -> None:
    cut = place(whole(width, height), (across, down), SHAPE)
    assert cut is not None
    assert holds(whole(width, height), cut.box)
    assert cut.box.width / cut.box.height == pytest.approx(cut.size[0] / cut.size[1], rel=1e-6)


@given(SIDES, SIDES)
def test_nothing_is_enlarged(width: int, height: int) -> None:
    cut = place(whole(width, height), MIDDLE, SHAPE)
    assert cut is not None
    assert cut.box.width >= cut.size[0] - 0.01
    assert cut.box.height >= cut.size[1] - 0.01


@given(SIDES, SIDES, st.floats(0.05, 0.35), SHARES, SHARES)
def test_the_whole_face_is_in_the_cut(
    width: int, height: int, size: float, across: float, down: float
) -> None:
    side = size * min(width, height)
    left, top = across * (width - side), down * (height - side)
    face = Box(left, top, left + side, top + side)
    cut = place(whole(width, height), MIDDLE, SHAPE, face)
    assert cut is not None
    assert holds(whole(width, height), cut.box)
    assert holds(cut.box, face)


def test_a_head_keeps_room_above_it() -> None:
    face = Box(400, 300, 600, 550)
    cut = place(whole(1000, 3000), MIDDLE, SHAPE, face)
    assert cut is not None
    assert cut.box.top <= face.top - 0.5 * face.height


def test_a_face_at_the_edge_draws_the_cut_to_it() -> None:
    face = Box(10, 500, 210, 750)
    cut = place(whole(4000, 1000), MIDDLE, SHAPE, face)
    assert cut is not None
    assert cut.box.left == 0


def test_without_a_face_the_cut_goes_where_the_eye_does() -> None:
    left = place(whole(4000, 1000), (0.1, 0.5), SHAPE)
    right = place(whole(4000, 1000), (0.9, 0.5), SHAPE)
    assert left is not None
    assert right is not None
    assert left.box.left == 0
    assert right.box.right == 4000


def test_strangers_are_left_out_where_there_is_room() -> None:
    face, stranger = Box(2800, 500, 3200, 1000), Box(600, 500, 1000, 1000)
    cut = place(whole(4000, 2000), MIDDLE, SHAPE, face, [stranger])
    assert cut is not None
    assert holds(cut.box, face)
    assert cut.box.overlap(stranger) == 0


def test_a_stranger_too_close_stays_rather_than_a_part_of_the_face() -> None:
    face, stranger = Box(400, 300, 700, 700), Box(500, 350, 800, 750)
    cut = place(whole(1000, 1000), MIDDLE, SHAPE, face, [stranger])
    assert cut is not None
    assert holds(cut.box, face)


def test_square_bases_get_squares() -> None:
    cut = place(whole(3000, 2000), MIDDLE, Shape(resolution=512, square=True))
    assert cut is not None
    assert cut.size == (512, 512)


def test_small_pictures_get_smaller_buckets_and_tiny_ones_none() -> None:
    small = place(whole(400, 400), MIDDLE, SHAPE)
    assert small is not None
    assert max(small.size) <= 400
    assert place(whole(200, 200), MIDDLE, SHAPE) is None


def test_only_a_given_size_enlarges() -> None:
    assert place(whole(200, 200), MIDDLE, SHAPE, size=(512, 512)) == Cut(
        Box(0, 0, 200, 200), (512, 512)
    )


def test_borders_are_no_part_of_a_cut() -> None:
    content = Box(0, 300, 1000, 1700)
    cut = place(content, MIDDLE, SHAPE, Box(400, 310, 600, 560))
    assert cut is not None
    assert holds(content, cut.box)
