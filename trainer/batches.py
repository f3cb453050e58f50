"""Which pictures a step trains on: follows from sizes, seed and step alone, so a resume needs no
state. Pure.
"""

import random
from collections import Counter
from collections.abc import Sequence

from trainer.buckets import Size

Batch = tuple[int, ...]


def per_epoch(sizes: Sequence[Size], batch_size: int) -> int:
    """The number of batches in which each picture occurs once."""
    return sum(-(-count // batch_size) for count in Counter(sizes).values())


def of_epoch(sizes: Sequence[Size], batch_size: int, seed: int, epoch: int) -> list[Batch]:
    """Every picture once, by its place in ``sizes``. A batch holds pictures of one size only, so
    the last one of each size may be smaller than the others.
    """
    draw = random.Random(f"{seed} {epoch}")
    batches: list[Batch] = []
    for size in dict.fromkeys(sizes):
        members = [place for place, other in enumerate(sizes) if other == size]
        draw.shuffle(members)
        batches += (
            tuple(members[start : start + batch_size])
            for start in range(0, len(members), batch_size)
        )
    draw.shuffle(batches)
    return batches


def of_step(sizes: Sequence[Size], batch_size: int, seed: int, step: int) -> Batch:
    epoch, place = divmod(step, per_epoch(sizes, batch_size))
    return of_epoch(sizes, batch_size, seed, epoch)[place]
