"""Leiden's communities of a weighted graph, and communities of those communities."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bmat, csr_matrix, diags

__all__ = ["between_communities", "leiden", "merged", "numbered_by_first", "settled"]

#: Leiden's own randomness; small, so that runs differ little from greedy optimisation.
_RANDOMNESS = 0.001

#: Nodes settle in so many rounds at most, in each a block after the other: at most so many nodes, and a fourth of them all.
_ROUNDS, _BLOCK, _BLOCKS = 4, 16_384, 4

#: A move that gains less than this part of a node's strength is rounding.
_LEAST_GAIN = 1e-12


def leiden(adjacency: csr_matrix, *, resolution: float, seed: int, rounds: int = 2) -> NDArray[np.int64]:
    """Community [n] of each node by modularity (Traag, Waltman and van Eck, 2019); each round goes on from the one before.

    Communities are numbered by their first node, so equal partitions have equal numbers. The same seed and edges give the
    same communities.
    """
    import graspologic_native

    n = adjacency.shape[0]
    if adjacency.nnz == 0:
        return np.arange(n)
    _, found = graspologic_native.leiden_csr(
        adjacency.indptr.astype(np.int64, copy=False),
        adjacency.indices.astype(np.int32, copy=False),
        adjacency.data.astype(np.float64, copy=False),
        n,
        resolution=resolution,
        randomness=_RANDOMNESS,
        iterations=rounds,
        use_modularity=True,
        seed=seed,
    )
    labels = np.fromiter((found.get(node, -1 - node) for node in range(n)), np.int64, n)
    return numbered_by_first(labels)


def between_communities(adjacency: csr_matrix, labels: NDArray[np.int64]) -> csr_matrix:
    """Weights [c, c] between the communities of `labels` [n]; the diagonal holds twice the weight inside."""
    n, number = adjacency.shape[0], int(labels.max(initial=-1)) + 1
    members = csr_matrix((np.ones(n), (np.arange(n), labels)), shape=(n, number))
    return (members.T @ adjacency @ members).tocsr()


def merged(between: csr_matrix, *, resolution: float, seed: int) -> NDArray[np.int64]:
    """Communities [c] of the nodes of `between`, whose diagonal counts: it is what `between_communities` returns.

    Leiden's implementation drops self-loops, and with them the weight inside a community, which modularity needs. So a
    twin hangs on each community by an edge of that weight: strengths and total stay what they were, and a twin has no
    reason to leave the only neighbour that it has.
    """
    number = between.shape[0]
    inside = diags(between.diagonal() / 2)
    outside = between.copy()
    outside.setdiag(0)
    outside.eliminate_zeros()
    with_twins = bmat([[outside, inside], [inside, None]], format="csr")
    with_twins.eliminate_zeros()
    return numbered_by_first(leiden(with_twins, resolution=resolution, seed=seed)[:number])


def settled(adjacency: csr_matrix, labels: NDArray[np.int64], *, resolution: float) -> NDArray[np.int64]:
    """The communities `labels` [n], after each node has moved to the one where modularity gains most by it, until none does.

    It is Leiden's first phase from communities that are there, on blocks of nodes: those of a block move at once. The
    communities that a node has edges to are tried; of equals the first counts, and a node stays unless it gains.
    """
    n = adjacency.shape[0]
    labels = labels.copy()
    number = int(labels.max(initial=-1)) + 1
    strength = np.asarray(adjacency.sum(axis=1)).ravel()
    per_strength = resolution / max(float(strength.sum()), 1e-300)
    block = max(1, min(_BLOCK, -(-n // _BLOCKS)))
    for _ in range(_ROUNDS):
        moved = 0
        for start in range(0, n, block):
            rows = slice(start, start + block)
            # What a node pays for a community is in proportion to the strengths there, without its own.
            price = per_strength * np.bincount(labels, strength, number)
            towards = _towards(adjacency[rows], labels, number)
            which, there = np.repeat(np.arange(towards.shape[0]), np.diff(towards.indptr)), towards.indices
            mine, own = strength[rows], labels[rows]
            gains = towards.data - mine[which] * (price[there] - per_strength * mine[which] * (there == own[which]))
            staying = -mine * (price[own] - per_strength * mine)
            staying[which[there == own[which]]] = gains[there == own[which]]
            best = staying.copy()
            np.maximum.at(best, which, gains)
            better = (gains == best[which]) & (gains > staying[which] + _LEAST_GAIN * mine[which])
            nodes, first = np.unique(which[better], return_index=True)
            labels[start + nodes] = there[better][first]
            moved += len(nodes)
        if not moved:
            break
    return numbered_by_first(labels)


def _towards(edges: csr_matrix, labels: NDArray[np.int64], number: int) -> csr_matrix:
    """Weights [rows, communities] of the edges [rows, n] by community, in the order of communities."""
    n = len(labels)
    found = (edges @ csr_matrix((np.ones(n), labels, np.arange(n + 1)), shape=(n, number))).tocsr()
    found.sort_indices()
    return found


def numbered_by_first(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Renumber from 0 in the order of first appearance.

    >>> numbered_by_first(np.array([7, 7, 3, 7, 9, 3])).tolist()
    [0, 0, 1, 0, 2, 1]
    """
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.ravel()]
