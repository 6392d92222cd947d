"""Lists of neighbours as sorted integers: a cosine and a row in one number, so that merging and cutting lists is sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["NONE", "UNIT", "Found", "keys_of", "least", "packed", "products_of", "take", "unpacked"]

#: Coordinates of vectors are whole multiples of 2**-12, held as int16. A product of two is a multiple of 2**-24, and as no sum
#: of products of unit vectors exceeds 1, float32 holds each exactly. A cosine is off by 7e-5 for it.
UNIT = 4096.0

#: A neighbour is one integer, its cosine above its row, so that sorting is by cosine and then by row: 2**25 less the product
#: in units of the grid in the upper half, the row in the lower. This is none.
NONE = 2**26 << 32

#: Rows of lists that are merged at a time.
_BLOCK = 16_384

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


def least(keys: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The k least of each row, sorted; filled up with none."""
    if keys.shape[1] > k:
        keys = np.partition(keys, k - 1, axis=1)[:, :k]
    found = np.full((len(keys), k), NONE, np.int64)
    found[:, : keys.shape[1]] = np.sort(keys, axis=1)
    return found


def take(best: NDArray[np.int64], places: NDArray[np.int32], gains: NDArray[np.int64]) -> None:
    """Put the gains [g] of `places` [g] among the best [n, k]; what is there already counts once."""
    n, k = best.shape
    order = np.argsort(places, kind="stable")
    ends = np.searchsorted(places[order], np.arange(0, n + _BLOCK, _BLOCK))
    for number, start in enumerate(range(0, n, _BLOCK)):
        block = best[start : start + _BLOCK]
        more = order[ends[number] : ends[number + 1]]
        place = np.concatenate([np.repeat(np.arange(len(block)), k), places[more] - start])
        keys = np.concatenate([block.ravel(), gains[more]])
        by_place = np.lexsort((keys, place))
        place, keys = place[by_place], keys[by_place]
        fresh = np.ones(len(keys), bool)
        fresh[1:] = (place[1:] != place[:-1]) | (keys[1:] != keys[:-1]) | (keys[1:] == NONE)
        place, keys = place[fresh], keys[fresh]
        rank = np.arange(len(keys)) - np.searchsorted(place, np.arange(len(block)))[place]
        kept = rank < k
        block[place[kept], rank[kept]] = keys[kept]
