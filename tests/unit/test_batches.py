"""Batches follow from sizes, seed and step."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from trainer import batches

WIDE, TALL, SQUARE = (80, 48), (48, 80), (64, 64)
MIXED = (WIDE, TALL, SQUARE, WIDE, WIDE, SQUARE, TALL, WIDE, SQUARE, WIDE)

many_sizes = st.lists(st.sampled_from([WIDE, TALL, SQUARE]), min_size=1, max_size=30).map(tuple)
batch_sizes = st.integers(1, 8)
seeds = st.integers(0, 2**63 - 1)


@given(many_sizes, batch_sizes, seeds, st.integers(0, 50))
def test_each_picture_occurs_once_in_an_epoch(
    sizes: tuple[tuple[int, int], ...], batch_size: int, seed: int, epoch: int
) -> None:
    found = batches.of_epoch(sizes, batch_size, seed, epoch)
    assert sorted(place for batch in found for place in batch) == list(range(len(sizes)))
    assert len(found) == batches.per_epoch(sizes, batch_size)


@given(many_sizes, batch_sizes, seeds)
def test_a_batch_holds_one_size_and_only_the_last_of_each_is_smaller(
    sizes: tuple[tuple[int, int], ...], batch_size: int, seed: int
) -> None:
    smaller: Counter[tuple[int, int]] = Counter()
    for batch in batches.of_epoch(sizes, batch_size, seed, 0):
        (size,) = {sizes[place] for place in batch}
        assert 1 <= len(batch) <= batch_size
        smaller[size] += len(batch) < batch_size
    assert max(smaller.values()) <= 1


def test_steps_run_through_the_epochs_one_after_the_other() -> None:
    length = batches.per_epoch(MIXED, 2)
    assert length == 3 + 1 + 2
    steps = [batches.of_step(MIXED, 2, 7, step) for step in range(2 * length)]
    assert steps[:length] == batches.of_epoch(MIXED, 2, 7, 0)
    assert steps[length:] == batches.of_epoch(MIXED, 2, 7, 1)


def test_with_one_size_and_batches_of_one_each_epoch_is_an_order_of_all_pictures() -> None:
    sizes = (SQUARE,) * 12
    orders = [
        tuple(batches.of_step(sizes, 1, 3, epoch * 12 + place)[0] for place in range(12))
        for epoch in range(3)
    ]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert len(set(orders)) == 3


def test_another_seed_is_another_order() -> None:
    one, again, other = (batches.of_epoch(MIXED, 1, seed, 0) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_sizes_are_mixed_through_an_epoch() -> None:
    sizes = (WIDE,) * 10 + (TALL,) * 10
    found = [sizes[batch[0]] for batch in batches.of_epoch(sizes, 2, 0, 0)]
    assert found not in ([WIDE] * 5 + [TALL] * 5, [TALL] * 5 + [WIDE] * 5)


def test_the_pictures_of_a_batch_change_from_epoch_to_epoch() -> None:
    epochs = [batches.of_epoch((SQUARE,) * 20, 5, 0, epoch) for epoch in range(3)]
    assert len({frozenset(map(frozenset, found)) for found in epochs}) == 3
