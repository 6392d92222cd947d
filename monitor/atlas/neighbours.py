"""The neighbour graph: for every distinct text, the texts nearest to it. Everything after encoding reads from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

__all__ = ["EDGE_POWER", "EXACT_BELOW", "NeighbourGraph", "build_graph", "nearest"]

#: Up to this many texts every pair is compared; above, HNSW (recall 0.99) is faster than the product of the matrices.
EXACT_BELOW = 8_000

#: Edge weight is cosine to this power: neighbours at 0.9 count 16 times as much as neighbours at 0.45.
EDGE_POWER = 4

_HNSW_LINKS, _HNSW_BUILD, _HNSW_SEARCH = 16, 40, 48


@dataclass(frozen=True, slots=True)
class NeighbourGraph:
    """`indices[i]` are the k texts nearest to text i, nearest first, and `cosines[i]` how near; i itself is not among them.

    Shapes: both [n, k], int32 and float32. Where HNSW finds fewer than k, the rest is -1 with cosine 0. `talk` [n, n] holds
    further edges, between texts that follow one another in conversations (`monitor.atlas.conversations`); it may be empty.
    """

    indices: NDArray[np.int32]
    cosines: NDArray[np.float32]
    talk: csr_matrix

    def __len__(self) -> int:
        return len(self.indices)

    def among(self, keep: NDArray[np.bool_]) -> NeighbourGraph:
        """The graph of the kept texts alone, renumbered; neighbours that are not kept become -1."""
        number = np.where(keep, np.cumsum(keep) - 1, -1)
        indices = np.where(self.indices >= 0, number[self.indices], -1)[keep].astype(np.int32)
        cosines = np.where(indices >= 0, self.cosines[keep], 0.0).astype(np.float32)
        return NeighbourGraph(indices, cosines, self.talk[keep][:, keep].tocsr())

    def weights(self) -> NDArray[np.float64]:
        """Edge weights [n, k]: cosine to the 4th power, 0 where there is no neighbour."""
        return edge_weights(self.cosines) * (self.indices >= 0)

    def directed(self) -> csr_matrix:
        """Row i holds the weights of i's own neighbours, and of its talk: the graph that novelty diffuses over."""
        n, k = self.indices.shape
        rows = np.repeat(np.arange(n), k)
        columns = np.where(self.indices >= 0, self.indices, rows.reshape(n, k)).ravel()
        matrix = csr_matrix((self.weights().ravel(), (rows, columns)), shape=(n, n))
        matrix.eliminate_zeros()
        return (matrix + self.talk).tocsr()

    def undirected(self) -> csr_matrix:
        """Symmetric: an edge where either is among the other's neighbours. The graph that communities are found in."""
        directed = self.directed()
        return directed.maximum(directed.T).tocsr()


def edge_weights(cosines: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.clip(cosines.astype(np.float64), 0.0, 1.0) ** EDGE_POWER


def build_graph(vectors: NDArray[np.float32], *, k: int) -> NeighbourGraph:
    """k nearest neighbours by cosine of every row of `vectors` [n, d], rows of unit length.

    With fewer than k + 1 texts every other text is a neighbour. The same vectors in the same order give the same graph
    whatever the number of threads: HNSW is built by one thread and searched by all.
    """
    n = len(vectors)
    k = min(k, n - 1)
    if k < 1:
        return NeighbourGraph(np.empty((n, 0), np.int32), np.empty((n, 0), np.float32), csr_matrix((n, n)))
    return _without_self(*nearest(vectors, vectors, k=k + 1), k)


def nearest(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], *, k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Indices and cosines [q, k] of the rows of `vectors` nearest to each query, nearest first, ties by index."""
    import faiss

    k = min(k, len(vectors))
    if len(vectors) <= EXACT_BELOW or len(queries) <= len(vectors) // 20:
        cosines, indices = faiss.knn(queries, vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
    else:
        half: Any = faiss.ScalarQuantizer.QT_fp16  # faiss's stubs call this an int and want an enumeration
        index = faiss.IndexHNSWSQ(vectors.shape[1], half, _HNSW_LINKS, faiss.METRIC_INNER_PRODUCT)
        index.hnsw.efConstruction = _HNSW_BUILD
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        try:
            index.train(vectors)
            index.add(vectors)
        finally:
            faiss.omp_set_num_threads(threads)
        index.hnsw.efSearch = max(_HNSW_SEARCH, 2 * k)
        cosines, indices = index.search(queries, k)
    return _ordered(indices, cosines)


def _ordered(indices: NDArray[np.int64], cosines: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Sort each row by cosine, then by index: equal cosines otherwise come in an order that depends on threads."""
    cosines = np.where(indices >= 0, np.round(cosines, 6), -2.0).astype(np.float32)
    order = np.lexsort((indices, -cosines), axis=1)
    indices, cosines = np.take_along_axis(indices, order, 1), np.take_along_axis(cosines, order, 1)
    return indices, np.where(indices >= 0, cosines, 0.0).astype(np.float32)


def _without_self(indices: NDArray[np.int64], cosines: NDArray[np.float32], k: int) -> NeighbourGraph:
    """Take each text out of its own row; where an approximate search missed it, the farthest goes instead."""
    n = len(indices)
    mine = indices == np.arange(n)[:, None]
    mine[~mine.any(axis=1), -1] = True
    return NeighbourGraph(
        indices[~mine].reshape(n, k).astype(np.int32), cosines[~mine].reshape(n, k), csr_matrix((n, n))
    )
