"""Which sizes there are, and which one a picture gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.buckets import Size, buckets, distance, middle, nearest, step_of

# What sd-scripts' make_bucket_resolutions gives for (512, 512), with its own defaults.
SD_SCRIPTS_512 = (
    (256, 832),
    (256, 896),
    (256, 960),
    (256, 1024),
    (320, 704),
    (320, 768),
    (384, 640),
    (448, 576),
    (512, 512),
)

resolutions = st.integers(4, 256).map(lambda eighth: eighth * 8)
sides = st.integers(1, 5000)


def turned(size: Size) -> Size:
    return size[1], size[0]


def test_at_512_the_buckets_are_those_of_sd_scripts() -> None:
    known = {*SD_SCRIPTS_512, *map(turned, SD_SCRIPTS_512)}
    assert set(buckets(512)) == known
    assert buckets(512, step=64, narrowest=256, widest=1024) == tuple(sorted(known))


def test_at_1024_with_the_bounds_of_sd_scripts_the_buckets_are_its_own() -> None:
    found = buckets(1024, narrowest=256, widest=2048)
    assert {(512, 2048), (832, 1216), (896, 1152), (1024, 1024), (1152, 896)} <= set(found)
    assert max(map(max, found)) == 2048


@pytest.mark.parametrize(
    ("resolution", "step"),
    [(32, 8), (64, 8), (128, 16), (256, 32), (504, 32), (512, 64), (768, 64), (2048, 64)],
)
def test_the_step_is_64_from_512_on_and_finer_below(resolution: int, step: int) -> None:
    assert step_of(resolution) == step


@given(resolutions)
def test_a_bucket_is_within_the_area_the_sides_and_the_steps(resolution: int) -> None:
    step = step_of(resolution)
    for width, height in buckets(resolution):
        assert width * height <= resolution**2
        assert width % step == height % step == 0
        assert resolution / 2 <= min(width, height) <= max(width, height) <= resolution * 2


@given(resolutions)
def test_the_square_is_a_bucket_and_each_has_its_turned_one(resolution: int) -> None:
    found = buckets(resolution)
    square = resolution - resolution % step_of(resolution)
    assert (square, square) in found
    assert found == tuple(sorted(map(turned, found)))
    assert len(found) == len(set(found))


@given(resolutions)
def test_no_bucket_can_grow_by_a_step_in_both_directions(resolution: int) -> None:
    step = step_of(resolution)
    for width, height in buckets(resolution):
        assert (width + step) * (height + step) > resolution**2


@given(st.integers(8, 128).map(lambda eighth: eighth * 16))
def test_a_step_may_be_said(resolution: int) -> None:
    assert all(width % 8 == height % 8 == 0 for width, height in buckets(resolution, step=8))
    assert (resolution, resolution) in buckets(resolution, step=8)


@pytest.mark.parametrize("step", [0, -8, 65])
def test_a_step_that_leaves_no_square_is_refused(step: int) -> None:
    with pytest.raises(ValueError, match="is outside 1"):
        buckets(64, step=step)


@given(sides, sides, resolutions, st.booleans())
def test_a_picture_is_never_enlarged_unless_asked(
    width: int, height: int, resolution: int, square: bool
) -> None:
    size = nearest(width, height, resolution, square=square)
    if size is not None:
        assert size[0] <= width
        assert size[1] <= height
        assert max(size) <= resolution * 2


@given(sides, sides, resolutions)
def test_a_turned_picture_gets_the_turned_bucket(width: int, height: int, resolution: int) -> None:
    size = nearest(width, height, resolution)
    assert nearest(height, width, resolution) == (size and turned(size))


@given(sides, sides, resolutions)
def test_a_picture_large_enough_gets_the_bucket_of_the_nearest_aspect_ratio(
    width: int, height: int, resolution: int
) -> None:
    size = nearest(width, height, resolution, upscale=True)
    assert size is not None
    errors = {one: distance((width, height), one) for one in buckets(resolution)}
    assert errors[size] == min(errors.values())
    if size[0] <= width and size[1] <= height:
        assert nearest(width, height, resolution) == size


@given(st.sampled_from([64, 128, 256, 512, 768, 1024]), st.floats(1.0, 4.0))
def test_up_to_four_to_one_less_than_a_sixth_is_cut_off(resolution: int, ratio: float) -> None:
    size = (round(6000 * ratio), 6000)
    found = nearest(*size, resolution)
    # At 768 the widest bucket is 3.43:1: 1536 x 448.
    limit = max(width / height for width, height in buckets(resolution))
    assert found is not None
    assert distance(size, found) <= max(1.17, ratio / limit + 1e-3)


@given(st.data(), st.integers(2, 128).map(lambda sixteenth: sixteenth * 16))
def test_half_of_the_resolution_on_both_sides_is_enough(data: st.DataObject, side: int) -> None:
    enough = st.integers(side // 2, side * 4)
    width, height = data.draw(enough), data.draw(enough)
    assert nearest(width, height, side) is not None
    assert nearest(width, height, side, square=True) is not None


@pytest.mark.parametrize("square", [True, False])
def test_less_than_half_of_the_resolution_is_not_enough(square: bool) -> None:
    assert nearest(255, 255, 512, square=square) is None
    assert nearest(100, 2000, 512, square=square) is None


@pytest.mark.parametrize(
    ("picture", "bucket"),
    [
        ((3000, 4000), (448, 576)),
        ((4000, 3000), (576, 448)),
        ((1080, 1920), (384, 640)),
        ((1920, 1080), (640, 384)),
        ((4032, 4032), (512, 512)),
        ((512, 512), (512, 512)),
        ((9000, 1000), (1024, 256)),
        # Smaller than their bucket: the nearest one below.
        ((400, 300), (384, 256)),
        ((330, 260), (320, 256)),
        ((511, 511), (448, 448)),
        ((256, 256), (256, 256)),
        ((300, 1200), (256, 1024)),
    ],
)
def test_what_photos_get_at_512(picture: Size, bucket: Size) -> None:
    assert nearest(*picture, 512) == bucket


@pytest.mark.parametrize(
    ("picture", "side"), [((4000, 3000), 512), ((600, 511), 448), ((5000, 260), 256)]
)
def test_with_square_there_are_only_squares(picture: Size, side: int) -> None:
    assert nearest(*picture, 512, square=True) == (side, side)


def test_who_asks_for_it_gets_a_small_picture_enlarged() -> None:
    assert nearest(30, 40, 512, upscale=True) == (448, 576)
    assert nearest(30, 40, 512, square=True, upscale=True) == (512, 512)


@given(st.tuples(sides, sides), st.tuples(sides, sides))
def test_the_middle_is_inside_has_the_aspect_ratio_and_touches_two_edges(
    size: Size, bucket: Size
) -> None:
    left, top, right, bottom = middle(size, bucket)
    assert 0 <= left < right <= size[0]
    assert 0 <= top < bottom <= size[1]
    assert (right - left) * bucket[1] == pytest.approx((bottom - top) * bucket[0], rel=1e-6)
    assert (left, right) == (0, size[0]) or (top, bottom) == (0, size[1])
    assert left == pytest.approx(size[0] - right, abs=1e-6)
