"""Lists of neighbours as sorted integers: a cosine and a row in one number, so that merging and cutting lists is sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NONE",
    "NOTHING",
    "UNIT",
    "Found",
    "floors",
    "greatest",
    "keys_of",
    "packed",
    "products_of",
    "take",
    "unpacked",
    "where",
]

#: Coordinates of vectors are whole multiples of 2**-12, held as int16. A product of two is a multiple of 2**-24, and as no sum
#: of products of unit vectors exceeds 1, float32 holds each exactly. A cosine is off by 7e-5 for it.
UNIT = 4096.0

#: A neighbour is one integer, its cosine above its row, so that sorting is by cosine and then by row: 2**25 less the product
#: in units of the grid in the upper half, the row in the lower. This is none.
NONE = 2**26 << 32

#: The product that stands for none, twice less than the least that unit vectors have.
NOTHING = -(2.0**25)

#: Rows of lists that are merged at a time.
_BLOCK = 16_384

#: Lists that gain at most this many are merged together, then those that gain up to four times as many, and so on.
_FEW = 8

#: Rows and cosines of what was found [q, k], nearest first, ties by row; -1 and 0 where there is nothing.
Found = tuple[NDArray[np.int32], NDArray[np.float32]]


def keys_of(products: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    keys: NDArray[np.int64] = (np.int64(2**25) - products.astype(np.int64) << 32) | rows
    return keys


def products_of(keys: NDArray[np.int64]) -> NDArray[np.float32]:
    return (2**25 - (keys >> 32)).astype(np.float32)


def packed(rows: NDArray[Any], cosines: NDArray[np.float32]) -> NDArray[np.int64]:
    keys = keys_of(np.round(cosines.astype(np.float64) * UNIT**2), rows.astype(np.int64))
    keys[rows < 0] = NONE
    return keys


def unpacked(keys: NDArray[np.int64]) -> Found:
    indices, cosines = np.full(keys.shape, -1, np.int32), np.zeros(keys.shape, np.float32)
    there = keys < NONE
    indices[there] = keys[there] & (2**32 - 1)
    cosines[there] = products_of(keys[there]) / np.float32(UNIT**2)
    return indices, cosines


def greatest(products: NDArray[np.float32], rows: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The k greatest of each row of products [a, b] with the texts at `rows` [b]: packed, sorted, filled up with none."""
    n, width = products.shape
    if width == 0:
        return np.full((n, k), NONE, np.int64)
    # The k-th greatest is found in float32, so that only few are packed; what equals it is packed too, and ties go by row.
    which, what = where(products >= floors(products, k))
    counts = np.bincount(which, minlength=n)
    keys = np.full((n, max(k, int(counts.max(initial=0)))), NONE, np.int64)
    keys[which, _ranks(counts)] = np.minimum(keys_of(products[which, what], rows[what]), NONE)
    keys.sort(axis=1)
    return keys[:, :k]


def floors(scores: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """The k-th greatest of each row of scores [n, m], or the least where there are no more: [n, 1]."""
    place = max(0, scores.shape[1] - k)
    return np.partition(scores, place, axis=1)[:, place : place + 1]


def where(there: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What `np.nonzero` says of a matrix whose rows lie one after the other, several times faster where little is true."""
    rows, columns = np.divmod(np.flatnonzero(there), max(1, there.shape[1]))
    return rows, columns


def take(best: NDArray[np.int64], places: NDArray[np.int32], gains: NDArray[np.int64]) -> None:
    """Put the gains [g] of `places` [g] among the best [n, k]; what is there already counts once."""
    n, k = best.shape
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], np.arange(0, n + _BLOCK, _BLOCK))
    for number, start in enumerate(range(0, n, _BLOCK)):
        block = best[start : start + _BLOCK]
        more = order[ends[number] : ends[number + 1]]
        place, keys = places[more] - start, gains[more]
        counts = np.bincount(place, minlength=len(block))
        ranks = _ranks(counts)
        # Texts that gain about as many are one matrix, whose rows are sorted several times faster than all gains at once.
        low, high = 0, _FEW
        while low < counts.max(initial=0):
            alike = (counts > low) & (counts <= high)
            theirs = alike[place]
            lists = np.full((int(alike.sum()), k + high), NONE, np.int64)
            lists[:, :k] = block[alike]
            lists[(np.cumsum(alike) - 1)[place[theirs]], k + ranks[theirs]] = keys[theirs]
            lists.sort(axis=1)
            lists[:, 1:][lists[:, 1:] == lists[:, :-1]] = NONE
            lists.sort(axis=1)
            block[alike] = lists[:, :k]
            low, high = high, 4 * high


def _ranks(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2 and so on within each group of so many.

    >>> _ranks(np.array([2, 0, 3])).tolist()
    [0, 1, 0, 1, 2]
    """
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
