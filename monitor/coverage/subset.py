"""The smallest subset of an eval set that is as near to the traffic as the whole."""

from __future__ import annotations

import heapq

import numpy as np
from numpy.typing import NDArray

__all__ = ["MEASURED", "nearness", "smallest_subset"]

#: A subset of the items is as good as all when it is this near to the traffic, of what all of them are.
_AS_GOOD = 0.99

#: Cosines that are held at once, 80 MB: with many items fewer turns stand for the traffic.
_HELD = 20_000_000

#: Turns that a subset is measured by; more do not change it.
MEASURED = 5_000


def smallest_subset(
    turns: NDArray[np.float32], items: NDArray[np.float32], *, as_good: float = _AS_GOOD, most: int | None = None
) -> list[int]:
    """Rows of few items [m, d] that are as near to the turns [t, d] as all of them: their order is that of their use.

    Lazy greedy facility location (Minoux, 1978): the next item is the one by which the mean of each turn's greatest cosine
    grows most, until it is `as_good` a part of what all items reach, or there are `most`. Within 1 - 1/e of the best subset of
    its size (Nemhauser, Wolsey and Fisher, 1978).
    """
    if not len(items) or not len(turns):
        return []
    cosines = np.maximum(items @ _some(turns, len(items)).T, 0.0)
    whole = float(cosines.max(axis=0).sum(dtype=np.float64))
    reached = np.zeros(cosines.shape[1], np.float32)
    waiting = [(-float(gain), row) for row, gain in enumerate(cosines.sum(axis=1, dtype=np.float64))]
    heapq.heapify(waiting)
    chosen: list[int] = []
    most = len(items) if most is None else most
    while waiting and len(chosen) < most and float(reached.sum(dtype=np.float64)) < as_good * whole:
        _, row = heapq.heappop(waiting)
        gain = float(np.maximum(cosines[row] - reached, 0.0).sum(dtype=np.float64))
        # What an item adds can only have shrunk: when it is still the most, nothing else needs to be asked.
        if waiting and (-gain, row) > waiting[0]:
            heapq.heappush(waiting, (-gain, row))
            continue
        chosen.append(row)
        np.maximum(reached, cosines[row], out=reached)
    return chosen


def nearness(turns: NDArray[np.float32], items: NDArray[np.float32]) -> float:
    """The mean of each turn's greatest cosine to an item, at least 0: what a subset keeps of it. 0 without either."""
    if not len(items) or not len(turns):
        return 0.0
    return float(np.maximum(items @ _some(turns, len(items)).T, 0.0).max(axis=0).mean(dtype=np.float64))


def _some(turns: NDArray[np.float32], items: int) -> NDArray[np.float32]:
    number = max(1, min(len(turns), MEASURED, _HELD // items))
    return turns[np.linspace(0, len(turns) - 1, number).astype(np.int64)]
