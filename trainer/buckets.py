"""Aspect-ratio buckets: the sizes that pictures are trained in, (width, height) in pixels. Pure.

The idea is sd-scripts' (``make_bucket_resolutions``): whatever a picture's aspect ratio, about the
same area, and sides in whole steps, so that nothing is squeezed and many pictures share a size.
"""

Size = tuple[int, int]
Box = tuple[float, float, float, float]

LATENT = 8  # pixels of a picture to one of its latents: no side can be finer


def step_of(resolution: int) -> int:
    """An eighth of the resolution as a power of two: 64 from 512 on, 32 from 256, 8 at least."""
    return 1 << min(6, max(3, resolution.bit_length() - 4))


def buckets(
    resolution: int,
    *,
    step: int | None = None,
    narrowest: int | None = None,
    widest: int | None = None,
) -> tuple[Size, ...]:
    """For each width the greatest height within ``resolution ** 2`` pixels, either way round, and
    the square. All sides are multiples of ``step``, from ``narrowest`` (half of the resolution,
    unless said) to ``widest`` (twice the resolution).
    """
    step = step_of(resolution) if step is None else step
    if not 0 < step <= resolution:
        raise ValueError(f"step {step} is outside 1..{resolution}.")
    low = (resolution + 1) // 2 if narrowest is None else narrowest
    high = resolution * 2 if widest is None else widest
    low, high = -(-low // step) * step, high // step * step
    found = {(resolution // step * step,) * 2}
    for width in range(low, high + 1, step):
        height = min(high, resolution**2 // width // step * step)
        if height >= low:
            found |= {(width, height), (height, width)}
    return tuple(sorted(found))


def nearest(
    width: int, height: int, resolution: int, *, square: bool = False, upscale: bool = False
) -> Size | None:
    """The bucket of the nearest aspect ratio; with ``square`` the square.

    A picture that would have to be enlarged to cover it gets a bucket of a lower resolution, the
    highest at which it covers the nearest one, down to half; None: it is too small even for that.
    With ``upscale`` the first bucket stands.
    """
    step = step_of(resolution)
    for lower in range(resolution, (resolution - 1) // 2, -LATENT):
        side = lower // step * step
        known = ((side, side),) if square else buckets(lower, step=step)
        # Of two that are equally near, the one with the longer short side.
        best = min(known, key=lambda size: (distance((width, height), size), -min(size)))
        if upscale or (best[0] <= width and best[1] <= height):
            return best
    return None


def distance(one: Size, other: Size) -> float:
    """How many times wider, or higher, one shape is than the other: 1 is the same aspect ratio.
    Its order is that of the distance between logarithms, and it is exact both ways round.
    """
    across, down = one[0] * other[1], one[1] * other[0]
    return max(across, down) / min(across, down)


def middle(size: Size, bucket: Size) -> Box:
    """The largest box in the middle of a picture with the bucket's aspect ratio: scaled to the
    bucket it covers it, and nothing is squeezed. Left, top, right, bottom.
    """
    width = min(size[0], size[1] * bucket[0] / bucket[1])
    height = min(size[1], size[0] * bucket[1] / bucket[0])
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    return left, top, left + width, top + height
