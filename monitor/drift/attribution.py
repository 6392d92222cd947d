"""What carries a change: which topics, words, tenants, models or prompt versions, in shares that add to the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.drift.neighbourhood import NARROW, WIDE, turn_kernel
from monitor.drift.pool import Pool

__all__ = ["Attribution"]

#: Permutations that say what a group carries by chance.
_BY_CHANCE = 127

#: Standard deviations of what a group carries by chance: up to so many it carries nothing.
_SURELY = 2.0

#: The part of the permutations in which none of many things seems to carry more than those that are named.
_OF_ALL = 0.9


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
        """Part of the change that each group of turns carries [g], of group numbers [n] in the pool's order, -1 for none."""
        inside = np.flatnonzero(groups >= 0)
        held = (np.ones(len(inside)), (inside, groups[inside]))
        return self.shared(csr_matrix(held, shape=(len(groups), int(groups.max(initial=-1)) + 1)))

    def shared(self, shares: csr_matrix, *, among_many: bool = False) -> NDArray[np.float64]:
        """Part of the change that each of g things carries [g], where a turn belongs to several: its shares [n, g] in the
        pool's order, which add to at most 1 and must not follow from who is current.

        A thing's sum, less what it is under permutations, is its part; of both tests the mean. `among_many` asks for more:
        in nine of ten permutations nothing is as far beyond its mean, in standard deviations. What none carries beyond chance
        is left over, so the parts add to at most 1. All nought where nothing changed.
        """
        if not self.carried or not shares.shape[1]:
            return np.zeros(shares.shape[1])
        sums = [np.asarray((shares.T @ carried.T).T) for carried in self.carried]
        parts = np.mean([_parts(one, carried) for one, carried in zip(sums, self.carried, strict=True)], axis=0)
        if among_many:
            scores = np.mean([_scores(one) for one in sums], axis=0)
            parts = np.where(scores[0] > np.quantile(scores[1:].max(axis=1), _OF_ALL), parts, 0.0)
        return np.asarray(parts)


def _carried(pool: Pool, contrast: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    return np.asarray(contrast * (turn_kernel(pool, k) @ contrast.T).T, np.float64)


def _parts(sums: NDArray[np.float64], carried: NDArray[np.float64]) -> NDArray[np.float64]:
    whole = float(carried[0].sum() - carried[1:].sum(axis=1).mean())
    if whole <= 0:
        return np.zeros(sums.shape[1])
    excess, noise = sums[0] - sums[1:].mean(axis=0), sums[1:].std(axis=0)
    parts = np.where(excess > _SURELY * noise, excess, 0.0) / whole
    return np.asarray(parts / max(1.0, float(parts.sum())))


def _scores(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many standard deviations each sum is beyond its mean under permutations, as it was and in each [1 + B, g]."""
    noise = sums[1:].std(axis=0)
    return np.asarray(np.divide(sums - sums[1:].mean(axis=0), noise, out=np.zeros_like(sums), where=noise > 0))
