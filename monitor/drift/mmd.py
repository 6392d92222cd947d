"""Maximum mean discrepancy: whether two windows have the same distribution of texts, whatever the change is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.drift.kernels import EXACT_BELOW, of_features, of_kernel, squared_distances
from monitor.drift.pool import DriftResult, Pool

__all__ = ["mmd"]

_FEATURES = 256
_PAIRS = 1_000


def mmd(pool: Pool) -> DriftResult:
    """Squared distance of the windows' means in the feature space of an RBF kernel (Gretton et al., 2012).

    The kernel's width is the median distance of pairs. It is exact up to 4,000 turns, and that of 256 random Fourier features
    above (Rahimi and Recht, 2007). The effect is the distance beyond what chance gives, in units of the kernel: 0
    for equal windows, 1 and more for windows that share nothing. Sensitive to changes of many texts by a little.

    >>> from monitor.drift.pool import pooled
    >>> from monitor.drift.sample import Sample
    >>> rng = np.random.default_rng(0)
    >>> one = Sample(rng.normal(size=(200, 8)).astype(np.float32), np.zeros((1, 200), int), np.arange(200))
    >>> other = Sample(one.vectors + np.float32(0.5), one.topics, one.conversations)
    >>> mmd(pooled(one, other, rng=rng, permutations=99)).p_value
    0.01
    """
    if not all(pool.sides):
        return pool.nothing()
    rng = np.random.default_rng(pool.seed)
    width = _median_distance(pool.vectors, rng)
    if len(pool) <= EXACT_BELOW:
        return of_kernel(pool, np.exp(-squared_distances(pool.vectors, pool.vectors) / (2 * width**2)))
    return of_features(pool, _features(pool.vectors, width, rng))


def _median_distance(vectors: NDArray[np.float32], rng: np.random.Generator) -> float:
    one, other = (vectors[rng.integers(len(vectors), size=_PAIRS)] for _ in range(2))
    distances = np.linalg.norm(one - other, axis=1)
    return float(np.median(distances[distances > 1e-6])) if (distances > 1e-6).any() else 1.0


def _features(vectors: NDArray[np.float32], width: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Random Fourier features [n, 512] of the RBF kernel."""
    directions = rng.normal(scale=1 / width, size=(vectors.shape[1], _FEATURES)).astype(np.float32)
    angles = vectors @ directions
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / _FEATURES**0.5
    return np.asarray(waves, np.float32)
