"""The neighbour test: whether texts lie among texts of their own window. It finds new subjects, and subjects that grew."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from monitor.drift.pool import DriftResult, Pool

__all__ = ["NARROW", "WIDE", "neighbour_edges", "neighbourhood", "turn_kernel"]

#: Neighbours of a text. The fewer, the smaller is the new subject that is found; the more, the smaller a change of popularity.
NARROW, WIDE = 5, 20


def neighbourhood(pool: Pool, *, k: int = WIDE) -> DriftResult:
    """Squared distance of the windows' means in the feature space of the neighbour graph (docs/decisions/0027).

    The graph has an edge to each of a text's k nearest of other conversations, in the directions in which the texts differ
    most; the weight of an edge is 1 over the product of its ends' degrees. So a text in a thin region, as those of a new
    subject are, counts more than one in a crowd. Without the degrees and the directions it is the test of Schilling (1986) and
    Henze (1988). The effect is theirs: the share of the current turns' neighbours that are current, beyond what chance gives.

    >>> from monitor.drift.pool import pooled
    >>> from monitor.drift.sample import Sample
    >>> rng = np.random.default_rng(0)
    >>> def unit(v): return (v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32)
    >>> old = rng.normal(size=(300, 8))
    >>> new = np.concatenate([old[:50], 4 + 0.1 * old[50:60]])
    >>> one = Sample(unit(old[100:]), np.zeros((1, 200), int), np.arange(200))
    >>> other = Sample(unit(new), np.zeros((1, 60), int), np.arange(60))
    >>> neighbourhood(pooled(one, other, rng=rng, permutations=99), k=5).p_value <= 0.02
    True
    """
    if not all(pool.sides):
        return pool.nothing()
    found = pool.tested(partial(_quadratic, _of_conversations(pool, turn_kernel(pool, k))))
    edges = _of_conversations(pool, neighbour_edges(pool, k))
    now, before = pool.sides[1], pool.sides[0]
    among = pool.tested(partial(_among, edges, float(now), float(before)))
    return DriftResult(among.effect, among.low, among.high, found.statistics, before, now)


def turn_kernel(pool: Pool, k: int) -> csr_matrix:
    """Similarity of turns [n, n]: weights of the edges, symmetric."""
    edges = neighbour_edges(pool, k)
    edges = (edges + edges.T) / 2
    degree = np.asarray(edges.sum(axis=1)).ravel()
    scale = diags(np.divide(1.0, degree, out=np.zeros_like(degree), where=degree > 0))
    return (scale @ edges @ scale).tocsr().astype(np.float32)


def _quadratic(kernel: csr_matrix, contrast: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(((kernel @ contrast.T).T * contrast).sum(axis=1), np.float64)


def _among(edges: csr_matrix, now: float, before: float, contrast: NDArray[np.float32]) -> NDArray[np.float64]:
    """Share of the current turns' neighbours that are current."""
    current = np.maximum(contrast, 0)
    everybody = now * current - before * np.minimum(contrast, 0)
    leaving = (edges.T @ current.T).T
    return np.asarray(
        now * (leaving * current).sum(axis=1) / np.maximum((leaving * everybody).sum(axis=1), 1e-12), np.float64
    )


def neighbour_edges(pool: Pool, k: int) -> csr_matrix:
    """An edge of weight 1 from each turn to each of its k nearest [n, n]; at most as many as the pool keeps."""
    indices = pool.neighbours[0][:, :k]
    there = indices >= 0
    rows = np.repeat(np.arange(len(pool)), there.sum(axis=1))
    ones = np.ones(len(rows), np.float32)
    return csr_matrix((ones, (rows, indices[there])), shape=(len(pool), len(pool)))


def _of_conversations(pool: Pool, turns: csr_matrix) -> csr_matrix:
    number = pool.current.shape[1]
    found = turns.tocoo()
    pairs = (pool.conversation[found.row], pool.conversation[found.col])
    matrix = csr_matrix((found.data.astype(np.float32), pairs), shape=(number, number))
    matrix.sum_duplicates()
    return matrix
