"""The neighbour graph: for every distinct text, the texts nearest to it. Everything after encoding reads from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.atlas.cells import CellIndex

__all__ = ["EXACT_BELOW", "GrowingGraph", "NeighbourGraph", "build_graph", "nearest"]

#: Up to this many texts every pair is compared; above, cells (recall 0.99) are faster (docs/decisions/0022).
EXACT_BELOW = 8_000

#: Edge weight is cosine to this power: neighbours at 0.9 count 16 times as much as neighbours at 0.45.
EDGE_POWER = 4


@dataclass(frozen=True, slots=True)
class NeighbourGraph:
    """`indices[i]` are the k texts nearest to text i, nearest first, and `cosines[i]` how near; i itself is not among them.

    Shapes: both [n, k], int32 and float32. Where fewer than k are found, the rest is -1 with cosine 0. `talk` [n, n] holds
    further edges, between texts that follow one another in conversations (`monitor.atlas.conversations`); it may be empty.
    """

    indices: NDArray[np.int32]
    cosines: NDArray[np.float32]
    talk: csr_matrix

    def __len__(self) -> int:
        return len(self.indices)

    def among(self, keep: NDArray[np.bool_]) -> NeighbourGraph:
        """The graph of the kept texts alone, renumbered; neighbours that are not kept become -1."""
        number = np.where(keep, np.cumsum(keep) - 1, -1).astype(np.int32)
        kept = self.indices[keep]
        indices = np.where(kept >= 0, number[kept], np.int32(-1)) if len(number) else kept
        cosines = np.where(indices >= 0, self.cosines[keep], 0.0).astype(np.float32)
        return NeighbourGraph(indices, cosines, self.talk[keep][:, keep].tocsr())

    def first(self, k: int) -> NeighbourGraph:
        """The graph of each text's k nearest neighbours."""
        return replace(self, indices=self.indices[:, :k], cosines=self.cosines[:, :k])

    def weights(self) -> NDArray[np.float64]:
        """Edge weights [n, k]: cosine to the 4th power, 0 where there is no neighbour."""
        return edge_weights(self.cosines) * (self.indices >= 0)

    def directed(self) -> csr_matrix:
        """Row i holds the weights of i's own neighbours, and of its talk: the graph that novelty diffuses over."""
        # Made row by row, without the 2 GB of row numbers and copies that a million texts would take.
        n, there = len(self), self.indices >= 0
        ends = np.concatenate([[0], np.cumsum(there.sum(axis=1))]).astype(np.int32)
        matrix = csr_matrix((edge_weights(self.cosines[there]), self.indices[there], ends), shape=(n, n))
        matrix.eliminate_zeros()
        matrix.sort_indices()
        return (matrix + self.talk).tocsr() if self.talk.nnz else matrix

    def undirected(self) -> csr_matrix:
        """Symmetric: an edge where either is among the other's neighbours. The graph that communities are found in."""
        directed = self.directed()
        return directed.maximum(directed.T.tocsr())


def edge_weights(cosines: NDArray[np.float32]) -> NDArray[np.float64]:
    weights = cosines.astype(np.float64)
    np.clip(weights, 0.0, 1.0, out=weights)
    weights **= EDGE_POWER
    return weights


@dataclass(frozen=True, slots=True)
class GrowingGraph:
    """A graph that texts can be added to, and taken from, without searching for all again.

    Up to `EXACT_BELOW` texts it keeps their `vectors` [n, d] and no index, above it an `index` and no vectors.
    """

    graph: NeighbourGraph
    vectors: NDArray[np.float32]
    index: CellIndex | None

    @classmethod
    def of(cls, vectors: NDArray[Any], *, k: int) -> GrowingGraph:
        """The k nearest neighbours by cosine of every row of `vectors` [n, d], rows of unit length; see `build_graph`."""
        n, d = vectors.shape
        if n > EXACT_BELOW:
            index = CellIndex.of(vectors)
            return cls(_graph(*index.neighbours(k=k)), np.empty((0, d), np.float32), index)
        vectors, k = vectors.astype(np.float32, copy=False), min(k, n - 1)
        if k < 1:
            return cls(_graph(np.empty((n, 0), np.int32), np.empty((n, 0), np.float32)), vectors, None)
        return cls(_graph(*_without_self(*_exact(vectors, vectors, k=k + 1), np.arange(n))), vectors, None)

    def added(self, vectors: NDArray[Any]) -> GrowingGraph:
        """The graph with more texts [m, d] after those that it has, which keep what talk they have.

        With an index only the new texts are searched for; texts that were there take them as neighbours where they are nearer.
        """
        n, k = self.graph.indices.shape
        if self.index is None:
            return GrowingGraph.of(np.concatenate([self.vectors, vectors]), k=max(k, 1))._talking(self.graph.talk)
        index = self.index.added(vectors)
        if index.crowded:
            return GrowingGraph.of(index.vectors(), k=k)._talking(self.graph.talk)
        known = np.full((len(index), k), -1, np.int32), np.zeros((len(index), k), np.float32)
        known[0][:n], known[1][:n] = self.graph.indices, self.graph.cosines
        found = index.neighbours(k=k, known=known, asking=np.arange(len(index)) >= n)
        return GrowingGraph(_graph(*found), self.vectors, index)._talking(self.graph.talk)

    def among(self, keep: NDArray[np.bool_], *, k: int) -> GrowingGraph:
        """The graph of the kept texts [n], k neighbours each: a text that has fewer left is searched for among the kept."""
        part = self.graph.among(keep)
        left = np.argsort(part.indices < 0, axis=1, kind="stable")[:, :k]
        known = np.take_along_axis(part.indices, left, 1), np.take_along_axis(part.cosines, left, 1)
        n, k = known[0].shape
        k = min(k, n - 1)
        asking = np.any(known[0][:, : max(k, 0)] < 0, axis=1)
        known = known[0][:, : max(k, 0)], known[1][:, : max(k, 0)]
        if self.index is not None:
            index = self.index.among(keep)
            found = index.neighbours(k=k, known=known, asking=asking) if asking.any() else known
            return GrowingGraph(replace(part, indices=found[0], cosines=found[1]), self.vectors, index)
        vectors = self.vectors[keep]
        if k > 0 and asking.any():
            rows = np.flatnonzero(asking)
            known[0][rows], known[1][rows] = _without_self(*_exact(vectors[rows], vectors, k=k + 1), rows)
        return GrowingGraph(replace(part, indices=known[0], cosines=known[1]), vectors, None)

    def _talking(self, talk: csr_matrix) -> GrowingGraph:
        talk = talk.copy()
        talk.resize((len(self.graph), len(self.graph)))
        return replace(self, graph=replace(self.graph, talk=talk))


def build_graph(vectors: NDArray[Any], *, k: int) -> NeighbourGraph:
    """k nearest neighbours by cosine of every row of `vectors` [n, d], rows of unit length.

    With fewer than k + 1 texts every other text is a neighbour. The same vectors in the same order give the same graph
    whatever the number of threads. Above `EXACT_BELOW` vectors may be float16 and mapped from a file.
    """
    return GrowingGraph.of(vectors, k=k).graph


def nearest(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], *, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Indices and cosines [q, k] of the rows of `vectors` nearest to each query, nearest first, ties by index."""
    k = min(k, len(vectors))
    if len(vectors) <= EXACT_BELOW or len(queries) <= len(vectors) // 20:
        return _exact(queries, vectors, k=k)
    indices, cosines = CellIndex.of(vectors).search(queries, k=k)
    return indices.astype(np.int64), cosines


def _graph(indices: NDArray[np.int32], cosines: NDArray[np.float32]) -> NeighbourGraph:
    return NeighbourGraph(indices, cosines, csr_matrix((len(indices), len(indices))))


def _exact(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], *, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Compare each query with every vector. Equal cosines come in an order that depends on threads: sorted by index here."""
    import faiss

    cosines, indices = faiss.knn(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    cosines = np.round(cosines, 6)
    order = np.lexsort((indices, -cosines), axis=1)
    return np.take_along_axis(indices, order, 1), np.take_along_axis(cosines, order, 1)


def _without_self(
    indices: NDArray[np.int64], cosines: NDArray[np.float32], own: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Take each text out of its own row; where others as near kept it out, the last goes instead."""
    n, k = len(indices), indices.shape[1] - 1
    mine = indices == own[:, None]
    mine[~mine.any(axis=1), -1] = True
    return indices[~mine].reshape(n, k).astype(np.int32), cosines[~mine].reshape(n, k)
