"""Topics as Leiden communities of the neighbour graph, on three nested levels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.atlas.leaning import leaning
from monitor.atlas.leiden import between_communities, leiden, merged, numbered_by_first
from monitor.atlas.neighbours import NeighbourGraph
from monitor.atlas.resolution import coarser_communities, likeliest_communities
from monitor.errors import MissingExtraError
from monitor.settings import AtlasSettings

__all__ = ["LEVELS", "Communities", "hdbscan_communities", "leiden_communities"]

LEVELS = ("broad", "middle", "fine")

#: Topics of the middle level for each fine one, and of the broad level for each middle one, where resolutions are 0.
_MIDDLE_PART, _BROAD_PART = 0.8, 0.5

#: Nearest neighbours that are enough to find the small communities which topics are merged from.
_SKETCHED = 15

#: Up to this many texts Leiden runs again on them, which costs little there and is a little better (docs/decisions/0013).
_AGAIN_BELOW = 8_000

#: A number of topics above that is within this part of the usual one stays as it was.
_STEADY = 0.15

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


def leiden_communities(
    graph: NeighbourGraph,
    *,
    resolutions: tuple[float, float, float],
    seed: int,
    standing: Sequence[NDArray[np.int64]] = (),
    pull: float = 0.0,
) -> Communities:
    """Fine communities by Leiden with modularity, then nested by Leiden on their graph.

    `resolutions` are those of the broad, middle and fine level, 0 for one from the data (`monitor.atlas.resolution`).
    Middle communities are communities of the graph whose nodes are the fine ones and whose edges are the sums of theirs,
    so the levels nest by construction. `standing` has the topic of each text [n] in the atlas before on the broad, middle and
    fine level, -1 for none: the communities lean on these by `pull` (`monitor.atlas.leaning`).
    """
    broad, middle, fine = resolutions
    before = tuple(standing) or (np.full(len(graph), -1, np.int64),) * 3
    if len(graph) == 0:
        nothing = np.empty(0, np.int64)
        return Communities(nothing, nothing, nothing)
    adjacency = graph.undirected()
    tied = leaning(adjacency, before[2], pull=pull)
    if fine:
        found = leiden(tied, resolution=fine, seed=seed)
    else:
        sketch = leaning(graph.first(_SKETCHED).undirected(), before[2], pull=pull)
        again = len(graph) <= _AGAIN_BELOW or graph.talk.nnz > 0 or tied is not adjacency
        found = likeliest_communities(tied, seed=seed, sketch=sketch, again=again)
    found = numbered_by_first(found[: len(graph)])
    return _nested(adjacency, found, before, broad=broad, middle=middle, seed=seed, pull=pull)


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


def _nested(
    adjacency: csr_matrix,
    fine: NDArray[np.int64],
    standing: Sequence[NDArray[np.int64]] = (),
    *,
    broad: float,
    middle: float,
    seed: int,
    pull: float = 0.0,
) -> Communities:
    """The fine communities [n] with the levels above them, at the given resolutions or, at 0, in the usual proportion."""
    before = tuple(standing) or (np.full(len(fine), -1, np.int64),) * 3
    tied = [_Tied(adjacency, level, pull) for level in before[:2]]
    above = _above(tied[1], fine, resolution=middle, part=_MIDDLE_PART, seed=seed)
    return Communities(_above(tied[0], above, resolution=broad, part=_BROAD_PART, seed=seed), above, fine)


class _Tied:
    """The graph of a level, tied to the level's topics of the atlas before; `topics` are those that texts are left of."""

    def __init__(self, adjacency: csr_matrix, standing: NDArray[np.int64], pull: float) -> None:
        self.adjacency = leaning(adjacency, standing, pull=pull)
        self.texts = adjacency.shape[0]
        self.topics = self.adjacency.shape[0] - self.texts

    def labels(self, of_texts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Labels of the texts with a label of its own for each node behind them."""
        return np.concatenate([of_texts, int(of_texts.max()) + 1 + np.arange(self.topics)])


def _above(tied: _Tied, labels: NDArray[np.int64], *, resolution: float, part: float, seed: int) -> NDArray[np.int64]:
    among = int(labels.max()) + 1
    if resolution:
        between = between_communities(tied.adjacency, tied.labels(labels))
        return numbered_by_first(merged(between, resolution=resolution, seed=seed)[labels])
    number = max(1, round(part * among))
    if abs(tied.topics - number) <= _STEADY * number:
        number = min(tied.topics, among)
    found = coarser_communities(tied.adjacency, tied.labels(labels), number=number, among=among, seed=seed)
    return numbered_by_first(found[: tied.texts])
