"""Texts that came after an atlas was fitted get the topics of the texts nearest to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.neighbours import edge_weights, nearest

__all__ = ["Anchors", "assign_texts"]


@dataclass(frozen=True, slots=True)
class Anchors:
    """Texts of an atlas: unit vectors [n, d], and on each of some levels a class [levels, n], -1 for none."""

    vectors: NDArray[np.float32]
    classes: NDArray[np.int64]


def assign_texts(vectors: NDArray[np.float32], anchors: Anchors, *, k: int) -> NDArray[np.int64]:
    """Classes [levels, q] of unit vectors [q, d]: on each level the class with the most weight among the k nearest anchors.

    An anchor weighs its cosine to the 4th power, as an edge of the graph that the topics are communities of. None (-1) is a
    class like the others, so that a text among texts without an intent gets none. At a tie the nearest anchor's class wins.

    >>> anchors = Anchors(np.eye(2, dtype=np.float32), np.array([[7, 4]]))
    >>> assign_texts(np.array([[0.6, 0.8]], np.float32), anchors, k=2).tolist()
    [[4]]
    """
    levels = len(anchors.classes)
    if not len(vectors) or not len(anchors.vectors):
        return np.full((levels, len(vectors)), -1, np.int64)
    indices, cosines = nearest(vectors, anchors.vectors, k=k)
    weights = edge_weights(cosines) * (indices >= 0)
    return np.stack([_vote(level[indices], weights) for level in anchors.classes])


def _vote(classes: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.int64]:
    """The heaviest class of each row; of equals the one that stands first."""
    same = classes[:, :, None] == classes[:, None, :]
    support = np.round((same * weights[:, None, :]).sum(axis=2), 9)
    best: NDArray[np.int64] = np.take_along_axis(classes, support.argmax(axis=1)[:, None], axis=1)[:, 0]
    return best
