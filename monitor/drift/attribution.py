"""What carries a change: which topics, words, tenants, models or prompt versions, in shares that add to the whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.drift.neighbourhood import NARROW, WIDE, neighbour_edges, turn_kernel
from monitor.drift.pool import Pool

__all__ = ["Attribution"]

#: Permutations that say what a group carries by chance.
_BY_CHANCE = 127

#: Standard deviations of what a group carries by chance: up to so many it carries nothing.
_SURELY = 2.0

#: The part of the permutations in which none of many things seems to carry more than those that are named.
_OF_ALL = 0.9

#: Neighbours among whom a turn's window is more frequent than it should be, or is not.
_AROUND = 40


@dataclass(frozen=True, slots=True)
class Attribution:
    """What each turn carries of three measures of the change, as it was and under permutations: [1 + B, n] each.

    Two are the statistics of the neighbour tests, sums over turns: each turn's weight in the contrast times the difference of
    the windows where it is (the witness of Gretton and others, 2012). They count most where a change is dense. The third counts
    turns: of each, the part by which its window is more frequent around it than the other one (total variation, of the
    neighbours' shares). None of anything where a window is empty.
    """

    carried: tuple[NDArray[np.float64], ...]

    @classmethod
    def of(cls, pool: Pool) -> Attribution:
        if not all(pool.sides):
            return cls(())
        contrast = next(pool.contrasts())[: 1 + _BY_CHANCE][:, pool.conversation]
        return cls((*(_witnessed(pool, contrast, k) for k in (NARROW, WIDE)), _moved(pool, contrast)))

    def parts(self, groups: NDArray[np.int64]) -> NDArray[np.float64]:
        """Part of the change that each group of turns carries [g], of group numbers [n] in the pool's order, -1 for none."""
        inside = np.flatnonzero(groups >= 0)
        held = (np.ones(len(inside)), (inside, groups[inside]))
        return self.shared(csr_matrix(held, shape=(len(groups), int(groups.max(initial=-1)) + 1)))

    def shared(self, shares: csr_matrix, *, among_many: bool = False) -> NDArray[np.float64]:
        """Part of the change that each of g things carries [g], where a turn belongs to several: its shares [n, g] in the
        pool's order, which add to at most 1 and must not follow from who is current.

        A thing's sum, less what it is under permutations, is its part; of all measures the mean, each weighed by how far the
        whole is beyond chance in it: the one that sees the change says where it is. A thing carries something from two standard
        deviations on, of that mean. `among_many` asks for more: in nine of ten permutations nothing is as far beyond its mean,
        in standard deviations. What none carries beyond chance is left over, so the parts add to at most 1. All nought where
        nothing changed.
        """
        found = np.zeros(shares.shape[1])
        sure = np.array([max(0.0, float(_scores(carried.sum(axis=1)[:, None])[0, 0])) for carried in self.carried])
        if not shares.shape[1] or not sure.any():
            return found
        sums = [np.asarray((shares.T @ carried.T).T) for carried in self.carried]
        weights = sure / sure.sum()
        scores = _scores(np.sum([weight * _scores(one) for weight, one in zip(weights, sums, strict=True)], axis=0))
        kept = scores[0] > _SURELY
        if among_many:
            kept &= scores[0] > np.quantile(scores[1:].max(axis=1), _OF_ALL)
        for weight, one, carried in zip(weights, sums, self.carried, strict=True):
            whole = float(carried[0].sum() - carried[1:].sum(axis=1).mean())
            excess = np.where(kept, np.maximum(one[0] - one[1:].mean(axis=0), 0.0), 0.0)
            found += weight * excess / max(whole, float(excess.sum()), 1e-12)
        return found


def _witnessed(pool: Pool, contrast: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    return np.asarray(contrast * (turn_kernel(pool, k) @ contrast.T).T, np.float64)


def _moved(pool: Pool, contrast: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of each turn's weight, the part that is beyond the other window's around it: all of it where the other has none."""
    edges = neighbour_edges(pool, _AROUND)
    edges = (edges + edges.T).tocsr()
    near = [(edges @ np.maximum(side, 0).T).T for side in (contrast, -contrast)]
    own, other = np.where(contrast > 0, near[0], near[1]), np.where(contrast > 0, near[1], near[0])
    beyond = np.divide(own - other, own, out=np.zeros_like(own), where=own > other)
    return np.asarray(np.abs(contrast) * beyond, np.float64)


def _scores(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """How many standard deviations each sum is beyond its mean under permutations, as it was and in each [1 + B, g]."""
    # Sums that are equal but for their last digits deviate from nothing.
    noise = sums[1:].std(axis=0)
    told = noise > 1e-9 * np.abs(sums).max(axis=0)
    return np.asarray(np.divide(sums - sums[1:].mean(axis=0), noise, out=np.zeros_like(sums), where=told))
