"""Energy distance: another test of the whole distribution, without a width to choose."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.drift.kernels import EXACT_BELOW, of_features, of_kernel, squared_distances
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
        return of_kernel(pool, -_distances(pool.vectors, pool.vectors))
    return of_features(pool, _features(pool.vectors, np.random.default_rng(pool.seed)))


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
    return np.asarray(np.sqrt(squared_distances(one, other)), np.float32)
