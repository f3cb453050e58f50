"""All hostile uploads that are made to a plan; `fuzz` has those that are made by chance."""

import random
from collections.abc import Iterator

from tests.hostile import bombs, boxes, cut, headers, meta, odd, odd_tiff, polyglots, tiffs
from tests.hostile.case import Case

__all__ = ["Case", "cases"]


def cases(seed: int) -> Iterator[Case]:
    dice = random.Random(seed)
    good = [*odd.cases(dice), *odd_tiff.cases(dice)]
    yield from good
    by_name = {case.name.removeprefix("odd."): case.data for case in good}
    yield from cut.cases(dice, by_name)
    for family in (headers, tiffs, boxes, meta, polyglots, bombs):
        yield from family.cases(dice)
