"""Topics as Leiden communities of the neighbour graph, on three nested levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.atlas.leiden import between_communities, leiden, merged, numbered_by_first
from monitor.atlas.neighbours import NeighbourGraph
from monitor.atlas.resolution import coarser_communities, likeliest_communities
from monitor.errors import MissingExtraError
from monitor.settings import AtlasSettings

__all__ = ["LEVELS", "Communities", "hdbscan_communities", "leiden_communities"]

LEVELS = ("broad", "middle", "fine")

#: Topics of the middle level for each fine one, and of the broad level for each middle one, where resolutions are 0.
_MIDDLE_PART, _BROAD_PART = 0.8, 0.5

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
    """Fine communities by Leiden with modularity, then nested by Leiden on their graph.

    `resolutions` are those of the broad, middle and fine level, 0 for one from the data (`monitor.atlas.resolution`).
    Middle communities are communities of the graph whose nodes are the fine ones and whose edges are the sums of theirs,
    so the levels nest by construction.
    """
    broad, middle, fine = resolutions
    if len(graph) == 0:
        nothing = np.empty(0, np.int64)
        return Communities(nothing, nothing, nothing)
    adjacency = graph.undirected()
    found = leiden(adjacency, resolution=fine, seed=seed) if fine else likeliest_communities(adjacency, seed=seed)
    return _nested(adjacency, found, broad=broad, middle=middle, seed=seed)


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
    within = _nested(
        graph.undirected()[inside][:, inside],
        numbered_by_first(clusters[inside].astype(np.int64)),
        broad=settings.resolution_broad,
        middle=settings.resolution_middle,
        seed=settings.seed,
    )
    levels = [nothing.copy() for _ in LEVELS]
    for level, found in zip(levels, within.levels(), strict=True):
        level[inside] = found
    return Communities(*levels)


def _nested(adjacency: csr_matrix, fine: NDArray[np.int64], *, broad: float, middle: float, seed: int) -> Communities:
    """The fine communities [n] with the levels above them, at the given resolutions or, at 0, in the usual proportion."""
    above = _above(adjacency, fine, resolution=middle, part=_MIDDLE_PART, seed=seed)
    return Communities(_above(adjacency, above, resolution=broad, part=_BROAD_PART, seed=seed), above, fine)


def _above(
    adjacency: csr_matrix, labels: NDArray[np.int64], *, resolution: float, part: float, seed: int
) -> NDArray[np.int64]:
    if resolution:
        return numbered_by_first(
            merged(between_communities(adjacency, labels), resolution=resolution, seed=seed)[labels]
        )
    number = max(1, round(part * (int(labels.max()) + 1)))
    return coarser_communities(adjacency, labels, number=number, seed=seed)
