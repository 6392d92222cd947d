"""Distances of the windows' means in the feature space of a kernel: what the tests of whole distributions have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.drift.pool import DriftResult, Pool

__all__ = ["EXACT_BELOW", "by_conversation", "of_features", "of_kernel", "squared_distances"]

#: Up to so many turns every pair is compared; above, features take time and memory in proportion to the turns.
EXACT_BELOW = 4_000


def of_kernel(pool: Pool, kernel: NDArray[np.float32]) -> DriftResult:
    """By the kernel of every pair of turns [n, n], symmetric; the effect is the root of what is beyond chance."""
    kernel = by_conversation(pool, kernel)
    kernel = by_conversation(pool, np.ascontiguousarray(kernel.T))

    def statistic(contrast: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(((contrast @ kernel) * contrast).sum(axis=1), np.float64)

    return pool.tested(statistic, _root)


def of_features(pool: Pool, features: NDArray[np.float32]) -> DriftResult:
    """The same by features [n, f], whose products are nearly the kernel."""
    features = by_conversation(pool, features)

    def statistic(contrast: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(((contrast @ features) ** 2).sum(axis=1), np.float64)

    return pool.tested(statistic, _root)


def by_conversation(pool: Pool, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Sums [c, f] over each conversation's turns, of rows [n, f]."""
    order = np.argsort(pool.conversation, kind="stable")
    if len(order) == pool.current.shape[1]:
        # A turn each: there is nothing to add up, and of a kernel of all pairs the adding would be a third of the time.
        return rows[order]
    starts = np.searchsorted(pool.conversation[order], np.arange(pool.current.shape[1]))
    return np.add.reduceat(rows[order], starts, axis=0)


def squared_distances(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of every pair of rows [n, m]."""
    # In place: of all pairs each step that makes another matrix takes as long as the product.
    squares = one @ other.T
    squares *= -2
    squares += (one**2).sum(axis=1)[:, None]
    squares += (other**2).sum(axis=1)[None]
    return np.asarray(np.maximum(squares, 0, out=squares), np.float32)


def _root(excess: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.maximum(excess, 0)))
