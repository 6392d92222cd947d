"""New subjects alone: how far current turns are from the reference. Blind to a change of popularity, and easy to explain."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.drift.pool import INTERVAL, DriftResult, Pool, redraws

__all__ = ["novelty"]

#: Nearest turns of the reference that a distance is the mean of.
_NEAREST = 5

#: A turn is far when it is farther than this part of the reference's own turns are from one another.
_USUAL = 0.95

#: Turns whose distances are asked for, chosen whatever their window is: with 999 permutations more would take minutes.
_ASKED = 10_000


def novelty(pool: Pool) -> DriftResult:
    """Mean cosine distance of current turns to their five nearest turns of the reference, of other conversations.

    The effect is the share of the current turns that are farther away than 95 % of the reference's turns are from one another,
    less 5 %: about the part of the traffic that is on something new. Distances to nearest neighbours: Ramaswamy et al. (2000).
    """
    if not all(pool.sides):
        return pool.nothing()
    indices, cosines = pool.neighbours
    asked = np.arange(len(pool))
    if len(asked) > _ASKED:
        chosen = np.random.default_rng(pool.seed).permutation(pool.current.shape[1])
        place = np.cumsum(pool.turns[chosen])
        asked = np.flatnonzero(np.isin(pool.conversation, chosen[place <= _ASKED]))
    talk, near = pool.conversation[asked], cosines[asked]
    other = np.where(indices[asked] >= 0, pool.conversation[indices[asked]], -1)
    statistics = np.empty(len(pool.current))
    for row, current in enumerate(pool.current):
        mine = current[talk]
        statistics[row] = _distances(other[mine], near[mine], current).mean() if mine.any() else 0.0
    actual = pool.current[0]
    distances = _distances(other, near, actual)
    now = actual[talk]
    if not now.any() or now.all():
        return DriftResult(np.nan, np.nan, np.nan, statistics, *pool.sides)
    far = distances > np.quantile(distances[~now], _USUAL)
    return DriftResult(*_excess(far, now, talk, pool), statistics, *pool.sides)


def _distances(other: NDArray[np.int64], near: NDArray[np.float32], current: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Mean distance [q] to the five nearest of the reference: `other` [q, k] are the neighbours' conversations, -1 for none.

    Where fewer are among the neighbours, as far away as the last neighbour is, at least.
    """
    reference = (other >= 0) & ~current[other]
    taken = reference & (np.cumsum(reference, axis=1) <= _NEAREST)
    count = taken.sum(axis=1)
    last = np.where(other[:, -1] >= 0, near[:, -1], 0.0)
    return np.asarray(1 - ((near * taken).sum(axis=1) + last * (_NEAREST - count)) / _NEAREST, np.float64)


def _excess(
    far: NDArray[np.bool_], now: NDArray[np.bool_], talk: NDArray[np.int64], pool: Pool
) -> tuple[float, float, float]:
    """Share of current turns that are far, less that of the reference's, with its 90 % interval over conversations."""
    names, place = np.unique(talk[now], return_inverse=True)
    count, turns = np.bincount(place, weights=far[now]), np.bincount(place)
    drawn = redraws(len(names), np.random.default_rng(pool.seed))
    again = (drawn @ count) / np.maximum(drawn @ turns, 1)
    usual = float(far[~now].mean())
    low, high = (np.quantile(again, INTERVAL) - usual).tolist()
    return float(far[now].mean()) - usual, low, high
