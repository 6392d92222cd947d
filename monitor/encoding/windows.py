"""Texts longer than a model's limit: windows of tokens, and one vector of several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from monitor.encoding.encoder import unit_rows

__all__ = ["MOST_WINDOWS", "pooled", "spans"]

#: Windows a text at most: bounds what a text of 8,000 characters costs when each is a token (CJK, or somebody's attack).
#: English of that length has about 2,000 tokens, which is 8 windows.
MOST_WINDOWS = 8


def spans(length: int, size: int, most: int = MOST_WINDOWS) -> list[slice]:
    """The windows of `length` tokens: as few of at most `size` as cover them, equally long to within a token.

    Equally long, so that no window of a few left-over words has the weight of a full one. A text that would need more
    than `most` is read in `most` windows evenly spread from its first token to its last.

    >>> spans(3, 4), spans(0, 4)
    ([slice(0, 3, None)], [slice(0, 0, None)])
    >>> spans(9, 4)
    [slice(0, 3, None), slice(3, 6, None), slice(6, 9, None)]
    >>> spans(100, 4, most=3)
    [slice(0, 4, None), slice(48, 52, None), slice(96, 100, None)]
    """
    count = max(1, -(-length // size))
    if count <= most:
        edges = [length * window // count for window in range(count + 1)]
        return [slice(start, stop) for start, stop in pairwise(edges)]
    if most == 1:
        return [slice(0, size)]
    starts = [(length - size) * window // (most - 1) for window in range(most)]
    return [slice(start, start + size) for start in starts]


def pooled(vectors: NDArray[np.float32], counts: Sequence[int]) -> NDArray[np.float32]:
    """One unit row a text, of its `counts` rows of `vectors` (unit rows, text after text): their mean, at unit length.

    The windows of a text have equally many tokens, so the mean weighs by tokens. A text of one window keeps its row, bit
    for bit.

    >>> pooled(np.eye(2, dtype=np.float32)[[0, 0, 1]], [1, 2]).round(3).tolist()
    [[1.0, 0.0], [0.7070000171661377, 0.7070000171661377]]
    """
    ends = np.cumsum(counts, dtype=np.int64)
    starts = ends - np.asarray(counts, dtype=np.int64)
    found = vectors[starts].copy()
    for text in np.flatnonzero(np.asarray(counts) > 1):
        found[text] = unit_rows(vectors[starts[text] : ends[text]].mean(axis=0, keepdims=True))[0]
    return found
