"""Energy distance: another test of the whole distribution, without a width to choose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.drift.mmd import EXACT_BELOW, by_conversation
from monitor.drift.pool import DriftResult, Pool

__all__ = ["energy"]

_LANDMARKS = 256


def energy(pool: Pool) -> DriftResult:
    """Twice the mean distance between the windows' turns, less the mean distances within them (Székely and Rizzo, 2004).

    It is the MMD of the kernel `|x| + |y| - |x - y|`: exact up to 4,000 turns, with 256 landmarks above (Nyström: Williams and
    Seeger, 2001). The effect is its root beyond what chance gives, in units of distance.
    """
    if not all(pool.sides):
        return pool.nothing()
    if len(pool) <= EXACT_BELOW:
        kernel = by_conversation(pool, -_distances(pool.vectors, pool.vectors))
        kernel = by_conversation(pool, np.ascontiguousarray(kernel.T))

        def exact(contrast: NDArray[np.float32]) -> NDArray[np.float64]:
            return np.asarray(((contrast @ kernel) * contrast).sum(axis=1), np.float64)

        return pool.tested(exact, lambda excess: np.sqrt(np.maximum(excess, 0)))
    features = by_conversation(pool, _features(pool.vectors, np.random.default_rng(pool.seed)))

    def approximate(contrast: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(((contrast @ features) ** 2).sum(axis=1), np.float64)

    return pool.tested(approximate, lambda excess: np.sqrt(np.maximum(excess, 0)))


def _features(vectors: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Features [n, 256] whose products are nearly the kernel."""
    landmarks = vectors[rng.choice(len(vectors), _LANDMARKS, replace=False)]
    values, axes = np.linalg.eigh(_kernel(landmarks, landmarks).astype(np.float64))
    kept = values > 1e-6 * values[-1]
    root = axes[:, kept] / np.sqrt(values[kept])
    return np.asarray(_kernel(vectors, landmarks) @ root, np.float32)


def _kernel(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(one, axis=1)[:, None] + np.linalg.norm(other, axis=1)[None]
    return np.asarray(lengths - _distances(one, other), np.float32)


def _distances(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.float32]:
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * (one @ other.T)
    return np.asarray(np.sqrt(np.maximum(squares, 0)), np.float32)
