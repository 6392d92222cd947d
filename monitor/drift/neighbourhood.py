"""The neighbour test: whether texts of the current window lie among themselves. It finds new subject matter."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from monitor.atlas.neighbours import nearest
from monitor.drift.sample import DriftResult, Sample, p_value, split_of

__all__ = ["neighbourhood"]


def neighbourhood(
    reference: Sample, current: Sample, *, rng: np.random.Generator, permutations: int = 999, k: int = 10
) -> DriftResult:
    """Share of the current turns' neighbours that are current too (Schilling, 1986; Henze, 1988).

    The k nearest turns of both windows together, those of the own conversation left out. The effect is the share beyond
    what chance gives: 0.1 says that one neighbour in ten more than expected is of the same window.

    >>> rng = np.random.default_rng(0)
    >>> def unit(v): return (v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32)
    >>> old = rng.normal(size=(300, 8))
    >>> new = np.concatenate([old[:50], 4 + 0.1 * old[50:60]])
    >>> one = Sample(unit(old[100:]), np.zeros((1, 200), int), np.arange(200))
    >>> other = Sample(unit(new), np.zeros((1, 60), int), np.arange(60))
    >>> neighbourhood(one, other, rng=rng, permutations=99).p_value <= 0.02
    True
    """
    if not len(reference) or not len(current):
        return DriftResult(np.nan, np.nan, np.nan, len(reference), len(current))
    split = split_of(reference, current, rng=rng, permutations=permutations)
    # Shuffled: of equal texts the first is the nearer neighbour, and the reference must not always be first.
    order = rng.permutation(len(split.conversation))
    vectors = np.concatenate([reference.vectors, current.vectors])[order]
    talk = split.conversation[order]
    indices, _ = nearest(vectors, vectors, k=k + 5)
    rows = np.repeat(np.arange(len(vectors)), indices.shape[1])
    columns = indices.ravel()
    keep = (columns >= 0) & (talk[rows] != talk[columns])
    rows, columns = rows[keep], columns[keep]
    # The nearest k of what is left: rows come in order, nearest first.
    place = np.arange(len(rows)) - np.searchsorted(rows, rows)
    rows, columns = rows[place < k], columns[place < k]
    number = split.current.shape[1]
    ones = np.ones(len(rows), np.float32)
    edges = csr_matrix((ones, (talk[rows], talk[columns])), shape=(number, number))
    edges.sum_duplicates()
    towards = (edges.T @ split.current.T).T
    among = (towards * split.current).sum(axis=1).astype(np.float64)
    leaving = split.current @ np.asarray(edges.sum(axis=1), np.float32).ravel()
    statistics = among / np.maximum(leaving, 1)
    effect = float(statistics[0] - statistics[1:].mean()) if permutations else float("nan")
    return DriftResult(float(statistics[0]), p_value(statistics), effect, len(reference), len(current))
