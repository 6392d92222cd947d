"""Topics as Leiden communities of the neighbour graph, on three nested levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bmat, csr_matrix, diags

from monitor.atlas.neighbours import NeighbourGraph
from monitor.errors import MissingExtraError
from monitor.settings import AtlasSettings

__all__ = ["LEVELS", "Communities", "hdbscan_communities", "leiden_communities", "numbered_by_first"]

LEVELS = ("broad", "middle", "fine")

#: Leiden's own randomness; small, so that runs differ little from greedy optimisation.
_RANDOMNESS = 0.001

#: UMAP's spectral start fails on fewer points than about three times its neighbours.
_LEAST_FOR_UMAP = 50


@dataclass(frozen=True, slots=True)
class Communities:
    """Community of each text on three levels; each array [n] int64 numbers communities from 0, -1 is none.

    A fine community lies in one middle community, and a middle one in one broad one.
    """

    broad: NDArray[np.int64]
    middle: NDArray[np.int64]
    fine: NDArray[np.int64]

    def levels(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        return self.broad, self.middle, self.fine


def leiden_communities(graph: NeighbourGraph, *, resolutions: tuple[float, float, float], seed: int) -> Communities:
    """Fine communities by Leiden (Traag, Waltman and van Eck, 2019) with modularity, then nested by Leiden on their graph.

    `resolutions` are those of the broad, middle and fine level. Middle communities are communities of the graph whose
    nodes are the fine ones and whose edges are the sums of theirs, so the levels nest by construction.
    """
    broad_resolution, middle_resolution, fine_resolution = resolutions
    if len(graph) == 0:
        nothing = np.empty(0, np.int64)
        return Communities(nothing, nothing, nothing)
    adjacency = graph.undirected()
    fine = leiden(adjacency, resolution=fine_resolution, seed=seed)
    middle = _merge(adjacency, fine, resolution=min(middle_resolution, fine_resolution), seed=seed)
    broad = _merge(adjacency, middle, resolution=min(broad_resolution, middle_resolution), seed=seed)
    return Communities(broad, middle, fine)


def hdbscan_communities(vectors: NDArray[np.float32], graph: NeighbourGraph, settings: AtlasSettings) -> Communities:
    """BERTopic's default: UMAP to 5 dimensions, then HDBSCAN; its clusters are the fine level, outliers are -1.

    The clusters are merged into the middle and broad level as Leiden's are. Needs the extra `bertopic`.
    """
    try:
        from hdbscan import HDBSCAN
        from umap import UMAP
    except ImportError as error:
        raise MissingExtraError(
            'atlas.clusterer = "hdbscan"', extra="bertopic", library="umap-learn and hdbscan"
        ) from error
    nothing = np.full(len(vectors), -1, np.int64)
    if len(vectors) < _LEAST_FOR_UMAP:
        return Communities(nothing, nothing, nothing)
    reduced = UMAP(
        n_neighbors=settings.neighbours,
        n_components=5,
        min_dist=0.0,
        metric="cosine",
        random_state=settings.seed,
        n_jobs=1,
    ).fit_transform(vectors)
    clusters = HDBSCAN(min_cluster_size=10, metric="euclidean", cluster_selection_method="eom").fit_predict(reduced)
    inside = clusters >= 0
    if not inside.any():
        return Communities(nothing, nothing, nothing)
    adjacency = graph.undirected()[inside][:, inside]
    fine = numbered_by_first(clusters[inside].astype(np.int64))
    middle = _merge(adjacency, fine, resolution=settings.resolution_middle, seed=settings.seed)
    broad = _merge(adjacency, middle, resolution=settings.resolution_broad, seed=settings.seed)
    levels = [nothing.copy() for _ in LEVELS]
    for level, found in zip(levels, (broad, middle, fine), strict=True):
        level[inside] = found
    return Communities(*levels)


def leiden(adjacency: csr_matrix, *, resolution: float, seed: int) -> NDArray[np.int64]:
    """Community [n] of each node; numbered by their first node, so equal partitions have equal numbers."""
    import graspologic_native

    n = adjacency.shape[0]
    if adjacency.nnz == 0:
        return np.arange(n)
    _, found = graspologic_native.leiden_csr(
        adjacency.indptr.astype(np.int64),
        adjacency.indices.astype(np.int32),
        adjacency.data.astype(np.float64),
        n,
        resolution=resolution,
        randomness=_RANDOMNESS,
        iterations=2,
        use_modularity=True,
        seed=seed,
    )
    labels = np.fromiter((found.get(node, -1 - node) for node in range(n)), np.int64, n)
    return numbered_by_first(labels)


def numbered_by_first(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Renumber from 0 in the order of first appearance.

    >>> numbered_by_first(np.array([7, 7, 3, 7, 9, 3])).tolist()
    [0, 0, 1, 0, 2, 1]
    """
    _, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse.ravel()]


def _merge(adjacency: csr_matrix, labels: NDArray[np.int64], *, resolution: float, seed: int) -> NDArray[np.int64]:
    """Communities of communities [n]: Leiden on the graph whose nodes are the communities of `labels`.

    Leiden's implementation drops self-loops, and with them the weight inside a community, which modularity needs. So a
    twin hangs on each community by an edge of that weight: strengths and total stay what they were, and a twin has no
    reason to leave the only neighbour that it has.
    """
    n, number = adjacency.shape[0], int(labels.max()) + 1
    members = csr_matrix((np.ones(n), (np.arange(n), labels)), shape=(n, number))
    between = (members.T @ adjacency @ members).tocsr()
    inside = between.diagonal() / 2
    between.setdiag(0)
    between.eliminate_zeros()
    twins = diags(inside)
    with_twins = bmat([[between, twins], [twins, None]], format="csr")
    with_twins.eliminate_zeros()
    merged = leiden(with_twins, resolution=resolution, seed=seed)[:number]
    return numbered_by_first(merged[labels])
