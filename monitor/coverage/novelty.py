"""Novelty: how far a turn is from the nearest eval item, smoothed over the turn's own neighbours.

Harmonic functions on a graph (Zhu, Ghahramani and Lafferty, 2003) with a pull to the start: the eval items are held at
zero, each text starts at its distance to the eval set, and is then drawn to what its neighbours have.

The same diffusion, with some eval items left out and treated as turns, shows what novelty means here: left out one by one
they are covered text, left out with their whole topic they are text that the eval set misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from monitor.atlas.neighbours import NeighbourGraph, edge_weights, nearest
from monitor.coverage.presence import presence
from monitor.coverage.start import Start, fit_start

__all__ = ["EvalVectors", "Novelty", "item_groups", "measure_novelty"]

ITERATIONS = 20

#: Above this many texts the graph may pull harder (DESIGN.md: 0.8 for some thousand turns, 0.9 for more than ten thousand).
LARGE_GRAPH = 10_000

#: Two eval items this near say the same: they are left out together, or the one would cover the other.
SAME_ITEM = 0.95

#: Folds in which eval items are left out alone, and with their topics. More folds leave the rest nearer to the whole set.
ALONE_FOLDS, TOPIC_FOLDS = 20, 10

#: An eval item belongs to the topic of most of this many nearest texts.
_VOTES = 5


@dataclass(frozen=True, slots=True)
class EvalVectors:
    """The distinct eval items: unit vectors [m, d], and the intent label of each, or None."""

    vectors: NDArray[np.float32]
    labels: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class Novelty:
    """Novelty of the texts [n]; of each eval item left out alone [m]; of each left out with its topic, a row a level [l, m].

    `nearest_items` [n] is the eval item nearest to each text by cosine, and `nearest_cosines` how near.
    `item_topics` [l, m] are the topics of the eval items, -1 for none, and `presence` [n] what they say of each text.
    """

    texts: NDArray[np.float64]
    covered: NDArray[np.float64]
    missed: NDArray[np.float64]
    nearest_items: NDArray[np.int64]
    nearest_cosines: NDArray[np.float32]
    item_topics: NDArray[np.int64]
    presence: NDArray[np.float64]


def measure_novelty(
    graph: NeighbourGraph,
    texts: NDArray[np.float32],
    items: EvalVectors,
    *,
    topics: Sequence[NDArray[np.int64]],
    k: int,
    seed: int,
    pull: float | None = None,
) -> Novelty:
    """Diffused novelty of every text [n, d] and of every eval item left out.

    Repeat: novelty <- pull * (weighted mean of the neighbours' novelty, eval items at 0) + (1 - pull) * start. `topics`
    gives each text's topic on one or more levels, coarse to fine. `pull` defaults to 0.8, and to 0.9
    on more than 10,000 texts and where conversations add edges.
    """
    if pull is None:
        pull = 0.9 if len(graph) > LARGE_GRAPH or graph.talk.nnz else 0.8
    rng = np.random.default_rng(seed)
    groups = item_groups(items.vectors)
    neighbours, cosines = nearest(items.vectors, texts, k=k)
    alone = _spread_over(groups, ALONE_FOLDS, rng)
    item_topics = [_item_topics(level, neighbours) for level in topics]
    by_topic = [_spread_over(level, TOPIC_FOLDS, rng) for level in item_topics]
    start = fit_start(texts, items.vectors, items.labels, [alone, *by_topic])
    diffusion = _Diffusion.of(graph, items.vectors, neighbours, cosines, pull)
    left_out = [_leave_out(diffusion, start, partition, folds) for partition, folds in enumerate([alone, *by_topic])]
    everything = np.ones(len(items), bool)
    novelty, _ = diffusion.run(start.whole, np.zeros(len(items)), everything)
    missed = np.stack(left_out[1:])
    return Novelty(
        texts=novelty,
        covered=left_out[0],
        missed=missed,
        nearest_items=start.nearest_items,
        nearest_cosines=start.nearest_cosines,
        item_topics=np.stack(item_topics),
        presence=presence(topics, item_topics, items.labels),
    )


def item_groups(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number [m] of each eval item, equal where items say the same (cosine of 0.95 or more, directly or in a chain)."""
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(csr_matrix(vectors @ vectors.T >= SAME_ITEM), directed=False)
    return np.asarray(labels, np.int64)


def _spread_over(groups: NDArray[np.int64], folds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A fold for each item, members of a group together; groups are dealt out at random."""
    names, member = np.unique(groups, return_inverse=True)
    return (rng.permutation(len(names)) % folds)[member.ravel()]


def _item_topics(topics: NDArray[np.int64], neighbours: NDArray[np.int64]) -> NDArray[np.int64]:
    votes = topics[neighbours[:, :_VOTES]]
    return np.array([np.bincount(row[row >= 0]).argmax() if (row >= 0).any() else -1 for row in votes], np.int64)


def _leave_out(diffusion: _Diffusion, start: Start, partition: int, folds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Novelty [m] of each item while its fold is left out; nan where that would leave no item."""
    found = np.full(len(folds), np.nan)
    for fold in np.unique(folds):
        held = folds != fold
        if held.any():
            texts, items = start.without(partition, int(fold))
            found[~held] = diffusion.run(texts, items, held)[1][~held]
    return found


@dataclass(frozen=True, slots=True)
class _Diffusion:
    """The graph [n, n], its row sums, the items' edges to texts [m, n] and to one another [m, m].

    `onward` [m, n] adds to an item's edges what follows its nearest texts in their conversations.
    """

    directed: csr_matrix
    strength: NDArray[np.float64]
    edges: csr_matrix
    onward: csr_matrix
    between: csr_matrix
    pull: float

    @classmethod
    def of(
        cls,
        graph: NeighbourGraph,
        items: NDArray[np.float32],
        neighbours: NDArray[np.int64],
        cosines: NDArray[np.float32],
        pull: float,
    ) -> _Diffusion:
        """Each item has edges to its nearest texts, and to the other items that lie nearer than the farthest of those."""
        m, k = neighbours.shape
        rows = np.repeat(np.arange(m), k)
        edges = csr_matrix((edge_weights(cosines).ravel(), (rows, neighbours.ravel())), shape=(m, len(graph)))
        among = items @ items.T
        np.fill_diagonal(among, -1.0)
        # A left-out item (row) is attached to a held one (column) as a text would be: when it is among its k nearest.
        between = csr_matrix(np.where(among >= cosines[:, -1][None, :], edge_weights(among), 0.0))
        directed = graph.directed()
        # Items are in no conversation: one that is left out would be followed by what follows its nearest texts.
        talk = (diags(_inverse(np.asarray(graph.weights().sum(axis=1)))) @ graph.talk).tocsr()
        return cls(
            directed, np.asarray(directed.sum(axis=1)).ravel(), edges, (edges + edges @ talk).tocsr(), between, pull
        )

    def run(
        self, start: NDArray[np.float64], item_start: NDArray[np.float64], held: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Novelty of the texts [n] with the held items at zero, and of the items [m] as if they were texts."""
        total = self.strength + np.asarray(self.edges[held].sum(axis=0)).ravel()
        spread = diags(self.pull * _inverse(total)) @ self.directed
        rest = np.where(total > 0, 1 - self.pull, 1.0) * start
        value = start
        for _ in range(ITERATIONS):
            value = spread @ value + rest
        strength = np.asarray(self.onward.sum(axis=1)).ravel() + np.asarray(self.between[:, held].sum(axis=1)).ravel()
        mean = np.divide(self.onward @ value, strength, out=item_start.copy(), where=strength > 0)
        return value, self.pull * mean + (1 - self.pull) * item_start


def _inverse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / value, 0 where the value is."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
