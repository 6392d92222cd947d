"""Maximum mean discrepancy: whether two windows have the same distribution of texts, whatever the change is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.drift.sample import DriftResult, Sample, p_value, split_of

__all__ = ["mmd"]

_FEATURES = 256
_PAIRS = 1_000


def mmd(reference: Sample, current: Sample, *, rng: np.random.Generator, permutations: int = 999) -> DriftResult:
    """Squared distance of the windows' means in the feature space of an RBF kernel (Gretton et al., 2012).

    The kernel is that of 256 random Fourier features (Rahimi and Recht, 2007), so time and memory are linear in the turns; its
    width is the median distance of pairs. The effect is the distance beyond what chance gives, in units of the kernel: 0
    for equal windows, about 1 for windows that share nothing. Sensitive to popularity as well as to new subjects.

    >>> rng = np.random.default_rng(0)
    >>> one = Sample(rng.normal(size=(200, 8)).astype(np.float32), np.zeros((1, 200), int), np.arange(200))
    >>> other = Sample(one.vectors + np.float32(0.5), one.topics, one.conversations)
    >>> mmd(one, other, rng=rng, permutations=99).p_value
    0.01
    """
    if not len(reference) or not len(current):
        return DriftResult(np.nan, np.nan, np.nan, len(reference), len(current))
    split = split_of(reference, current, rng=rng, permutations=permutations)
    features = _features(np.concatenate([reference.vectors, current.vectors]), rng)
    sums = np.zeros((split.current.shape[1], features.shape[1]), np.float32)
    np.add.at(sums, split.conversation, features)
    turns = split.turns
    inside = split.current.astype(np.float64) @ turns
    total = turns.sum()
    mine = (split.current @ sums) / np.maximum(inside, 1)[:, None]
    rest = (sums.sum(axis=0) - split.current @ sums) / np.maximum(total - inside, 1)[:, None]
    statistics = ((mine - rest) ** 2).sum(axis=1).astype(np.float64)
    excess = max(0.0, float(statistics[0] - statistics[1:].mean())) if permutations else float("nan")
    return DriftResult(float(statistics[0]), p_value(statistics), excess**0.5, len(reference), len(current))


def _features(vectors: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Random Fourier features [n, 512] of the RBF kernel whose width is the median distance."""
    one, other = (vectors[rng.integers(len(vectors), size=_PAIRS)] for _ in range(2))
    distances = np.linalg.norm(one - other, axis=1)
    width = float(np.median(distances[distances > 1e-6])) if (distances > 1e-6).any() else 1.0
    directions = rng.normal(scale=1 / width, size=(vectors.shape[1], _FEATURES)).astype(np.float32)
    angles = vectors @ directions
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / _FEATURES**0.5
    return np.asarray(waves, np.float32)
