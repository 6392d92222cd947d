"""Turns that an atlas has no topic for: how far is too far, and when there are enough of them to be a topic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.neighbours import nearest

__all__ = ["Reach", "is_dense", "reach_of"]

#: Of an atlas's own texts this part lies farther from the others than what counts as near.
_FAR = 0.05

#: Texts of the atlas that its reach is measured by; more do not move it.
_MEASURED = 2_000

#: A text among so many others is the middle of a topic to be.
_GROUP = 10


@dataclass(frozen=True, slots=True)
class Reach:
    """Mean cosines of texts to their nearest: below `least` a text is none of the atlas's, and `usual` is the median."""

    least: float
    usual: float


def reach_of(vectors: NDArray[np.float32], *, k: int) -> Reach:
    """How near the texts [n, d] of an atlas lie to their k nearest others; with fewer than k + 1 nothing is too far."""
    if len(vectors) <= k:
        return Reach(-1.0, 1.0)
    asked = np.linspace(0, len(vectors) - 1, min(len(vectors), _MEASURED)).astype(np.int64)
    means = nearest(vectors[asked], vectors, k=k + 1)[1][:, 1:].astype(np.float64).mean(axis=1)
    return Reach(float(np.quantile(means, _FAR)), float(np.median(means)))


def is_dense(vectors: NDArray[np.float32], reach: Reach) -> bool:
    """Whether some text [n, d] has 10 others as near as the atlas's texts usually have theirs."""
    if len(vectors) <= _GROUP:
        return False
    cosines = nearest(vectors, vectors, k=_GROUP + 1)[1]
    return bool((cosines[:, 1:].astype(np.float64).mean(axis=1) >= reach.usual).any())
