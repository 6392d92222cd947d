"""What carries a change: which topics, tenants, models or prompt versions, in shares that add to the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.drift.neighbourhood import NARROW, WIDE, turn_kernel
from monitor.drift.pool import Pool

__all__ = ["Attribution"]

#: Permutations that say what a group carries by chance.
_BY_CHANCE = 127


@dataclass(frozen=True, slots=True)
class Attribution:
    """What each turn carries of the statistics of both neighbour tests, as it was and under permutations: [1 + B, n] each.

    Such a statistic is a sum over turns: each turn's weight in the contrast times the difference of the windows where it is
    (the witness of Gretton and others, 2012). None of anything where a window is empty.
    """

    carried: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, pool: Pool) -> Attribution:
        if not all(pool.sides):
            return cls(())
        contrast = next(pool.contrasts())[: 1 + _BY_CHANCE][:, pool.conversation]
        return cls(tuple(_carried(pool, contrast, k) for k in (NARROW, WIDE)))

    def parts(self, groups: NDArray[np.int64]) -> NDArray[np.float64]:
        """Part of the change that each group of turns carries [g], of group numbers [n] in the pool's order, -1 for none.

        A group's sum, less what it is under permutations, is its part; of both tests the mean. What no group carries beyond
        chance is left over, so the parts add to at most 1. All nought where nothing changed.
        """
        number = int(groups.max(initial=-1)) + 1
        if not self.carried or not number:
            return np.zeros(number)
        return np.asarray(np.mean([_parts(carried, groups, number) for carried in self.carried], axis=0))


def _carried(pool: Pool, contrast: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    return np.asarray(contrast * (turn_kernel(pool, k) @ contrast.T).T, np.float64)


def _parts(carried: NDArray[np.float64], groups: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    inside = groups >= 0
    sums = np.stack([np.bincount(groups[inside], weights=row[inside], minlength=number) for row in carried])
    excess, noise = sums[0] - sums[1:].mean(axis=0), sums[1:].std(axis=0)
    whole = float(carried[0].sum() - carried[1:].sum(axis=1).mean())
    if whole <= 0:
        return np.zeros(number)
    parts = np.where(excess > noise, excess, 0.0) / whole
    return np.asarray(parts / max(1.0, float(parts.sum())))
