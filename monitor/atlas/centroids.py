"""How alike topics of two atlases are that share no turn: by the middle of their texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["centroid_cosines"]


def centroid_cosines(olds: Sequence[NDArray[np.float32]], news: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Cosines [o, c] of the mean vectors of groups of unit vectors, each [n, d]; 0 for an empty group.

    >>> across, up = np.eye(2, dtype=np.float32)
    >>> centroid_cosines([np.stack([across, up])], [up[None], across[None]]).round(2).tolist()
    [[0.71, 0.71]]
    """
    found: NDArray[np.float64] = _centroids(olds) @ _centroids(news).T
    return found


def _centroids(groups: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    means = np.stack([group.astype(np.float64).sum(axis=0) for group in groups])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    found: NDArray[np.float64] = np.divide(means, lengths, out=np.zeros_like(means), where=lengths > 1e-9)
    return found
