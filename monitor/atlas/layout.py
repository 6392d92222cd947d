"""A map: topics as islands in the plane, near ones near, and their texts around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["lay_out", "sample_for_map"]

#: Points on a map: no more can be told apart, and none is drawn twice.
MOST = 5_000

_ROUNDS = 300
_GAP = 1.15
#: 0.5 would fill a disc evenly; more puts the typical texts closer to its middle.
_SPREAD = 0.75


def sample_for_map(topics: NDArray[np.int64], rng: np.random.Generator, most: int = MOST) -> NDArray[np.int64]:
    """Rows [m] to draw, of topics [n]: every topic keeps its share, and at least three of its texts."""
    if len(topics) <= most:
        return np.arange(len(topics))
    chosen = []
    for topic in np.unique(topics):
        rows = np.flatnonzero(topics == topic)
        kept = min(len(rows), max(3, round(len(rows) * most / len(topics))))
        chosen.append(rng.choice(rows, kept, replace=False))
    return np.sort(np.concatenate(chosen))


def lay_out(vectors: NDArray[np.float32], topics: NDArray[np.int64]) -> NDArray[np.float32]:
    """Places [n, 2] of unit vectors [n, d] with topics [n], in a square of about two; the same input gives the same map.

    Each topic is a disc whose area is its number of texts. The discs' centres are the topics' mean vectors by classical
    scaling (Torgerson, 1952), pushed apart until no disc covers another; inside, a text lies by the two main directions
    of its topic, the central ones in the middle. So distance means something between topics and within one.
    """
    if not len(vectors):
        return np.zeros((0, 2), np.float32)
    names, number = np.unique(topics, return_inverse=True)
    counts = np.bincount(number).astype(np.float64)
    means = np.zeros((len(names), vectors.shape[1]))
    np.add.at(means, number, vectors.astype(np.float64))
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    radii = np.sqrt(counts / counts.sum()) * 0.62
    centres = _apart(_scaled(means), radii)
    places = np.zeros((len(vectors), 2))
    for topic in range(len(names)):
        rows = np.flatnonzero(number == topic)
        places[rows] = centres[topic] + radii[topic] * _inside(vectors[rows].astype(np.float64), means[topic])
    return places.astype(np.float32)


def _scaled(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Two dimensions of the topics' cosine distances, in a square of two."""
    if len(means) == 1:
        return np.zeros((1, 2))
    distances = (1 - means @ means.T) ** 2
    centred = distances - distances.mean(axis=0) - distances.mean(axis=1, keepdims=True) + distances.mean()
    values, directions = np.linalg.eigh(-centred / 2)
    places = directions[:, -2:][:, ::-1] * np.sqrt(np.maximum(values[-2:][::-1], 1e-12))
    # The sign of an eigenvector is arbitrary: the largest entry is positive.
    places = places * np.sign(places[np.abs(places).argmax(axis=0), np.arange(places.shape[1])])
    if places.shape[1] < 2:
        places = np.pad(places, ((0, 0), (0, 1)))
    return np.asarray(places / max(float(np.abs(places).max()), 1e-12))


def _apart(centres: NDArray[np.float64], radii: NDArray[np.float64]) -> NDArray[np.float64]:
    """Push overlapping discs apart, and pull all gently to the middle."""
    places = centres.copy()
    least = _GAP * (radii[:, None] + radii[None, :])
    np.fill_diagonal(least, 0)
    for _ in range(_ROUNDS):
        away = places[:, None] - places[None, :]
        distance = np.maximum(np.linalg.norm(away, axis=2), 1e-9)
        push = np.maximum(least - distance, 0) / distance
        places += 0.25 * (away * push[:, :, None]).sum(axis=1)
        places -= 0.002 * places
    return places


def _inside(vectors: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places [n, 2] in the unit disc: the angle from the two main directions, the radius from the rank of the distance."""
    if len(vectors) == 1:
        return np.zeros((1, 2))
    rest = vectors - vectors.mean(axis=0)
    _, _, directions = np.linalg.svd(rest, full_matrices=False)
    flat = rest @ directions[:2].T
    if flat.shape[1] < 2:
        flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    angle = np.arctan2(flat[:, 1], flat[:, 0])
    rank = np.argsort(np.argsort(-(vectors @ mean), kind="stable"), kind="stable")
    radius = ((rank + 0.5) / len(vectors)) ** _SPREAD
    return np.asarray(np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1))
