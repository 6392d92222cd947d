"""What carries a change: which topics, tenants, models or prompt versions, in shares that add to the whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.drift.neighbourhood import NARROW, WIDE, turn_kernel
from monitor.drift.pool import Pool

__all__ = ["attribute"]

#: Permutations that say what a group carries by chance.
_BY_CHANCE = 127


def attribute(pool: Pool, groups: NDArray[np.int64]) -> NDArray[np.float64]:
    """Part of the change that each group of turns carries [g], of group numbers [n] in the pool's order, -1 for none.

    The statistic of a neighbour test is a sum over turns: each turn's weight in the contrast times the difference of the
    windows where it is (the witness of Gretton and others, 2012). A group's sum, less what it is under permutations, is its
    part; of both neighbour tests the mean. What no group carries beyond chance is left over, so the parts add to at most 1.
    All nought where nothing changed.
    """
    number = int(groups.max(initial=-1)) + 1
    if not all(pool.sides) or not number:
        return np.zeros(number)
    contrast = next(pool.contrasts())[: 1 + _BY_CHANCE][:, pool.conversation]
    return np.asarray(np.mean([_parts(pool, contrast, groups, number, k) for k in (NARROW, WIDE)], axis=0))


def _parts(
    pool: Pool, contrast: NDArray[np.float32], groups: NDArray[np.int64], number: int, k: int
) -> NDArray[np.float64]:
    inside = groups >= 0
    carried = (contrast * (turn_kernel(pool, k) @ contrast.T).T).astype(np.float64)
    sums = np.stack([np.bincount(groups[inside], weights=row[inside], minlength=number) for row in carried])
    excess, noise = sums[0] - sums[1:].mean(axis=0), sums[1:].std(axis=0)
    whole = float(carried[0].sum() - carried[1:].sum(axis=1).mean())
    if whole <= 0:
        return np.zeros(number)
    parts = np.where(excess > noise, excess, 0.0) / whole
    return np.asarray(parts / max(1.0, float(parts.sum())))
