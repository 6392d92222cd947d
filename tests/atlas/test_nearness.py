"""Lists of neighbours as integers, against sorting by cosine and row."""

import numpy as np
import pytest

from monitor.atlas.nearness import NONE, NOTHING, greatest, keys_of, take, unpacked, where


def slow_merge(best: list[int], gains: list[int], k: int) -> list[int]:
    kept = sorted({key for key in [*best, *gains] if key != NONE})[:k]
    return kept + [NONE] * (k - len(kept))


@pytest.mark.parametrize("k", [1, 4, 60])
def test_the_greatest_are_sorted_by_cosine_and_ties_by_row(k: int) -> None:
    rng = np.random.default_rng(3)
    products = rng.integers(-3, 4, (30, 50)).astype(np.float32) * 2**20  # seven values: nearly all tie
    rows = rng.permutation(50).astype(np.int64)
    products[np.arange(30), np.arange(30)] = NOTHING
    found, cosines = unpacked(greatest(products, rows, k))
    assert found.shape == (30, k)
    for number in range(30):
        order = sorted((-products[number, at], rows[at]) for at in range(50) if at != number)[:k]
        assert found[number, : len(order)].tolist() == [row for _, row in order]
        assert (found[number, len(order) :] == -1).all()
        assert cosines[number, : len(order)].tolist() == [-product / 2**24 for product, _ in order]


def test_of_no_texts_there_is_none() -> None:
    assert (greatest(np.empty((2, 0), np.float32), np.empty(0, np.int64), 3) == NONE).all()
    assert greatest(np.empty((0, 5), np.float32), np.arange(5), 3).shape == (0, 3)


def test_lists_take_what_is_nearer_once() -> None:
    """From no gain to hundreds, some of which the list has already, and some twice."""
    rng = np.random.default_rng(5)
    k, counts = 6, [0, 1, 3, 8, 9, 31, 33, 400, 0, 2]
    best = np.sort(keys_of(rng.integers(0, 2**22, (10, k)).astype(np.float32), np.arange(k)), axis=1)
    best[4, 3:] = NONE
    places = np.repeat(np.arange(10), counts).astype(np.int32)
    gains = keys_of(rng.integers(0, 2**22, len(places)).astype(np.float32), rng.integers(0, 99, len(places)))
    gains[1::5] = gains[0::5][: len(gains[1::5])]
    gains[3::7] = best[places[3::7], 0]
    expected = [slow_merge(best[place].tolist(), gains[places == place].tolist(), k) for place in range(10)]
    shuffled = rng.permutation(len(places))
    take(best, places[shuffled], gains[shuffled])
    assert best.tolist() == expected


def test_where_is_nonzero() -> None:
    there = np.random.default_rng(1).random((7, 13)) < 0.1
    assert np.array_equal(np.stack(where(there)), np.stack(np.nonzero(there)))
    assert [len(part) for part in where(np.zeros((3, 0), bool))] == [0, 0]
