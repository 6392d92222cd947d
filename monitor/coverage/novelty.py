"""Novelty: how far a turn is from the nearest eval item, smoothed over the turn's own neighbours.

Harmonic functions on a graph (Zhu, Ghahramani and Lafferty, 2003) with a pull to the start: the eval items are held at
zero, each text starts at its distance to the eval set, and is then drawn to what its neighbours have. Distances and
neighbours are in the main directions of the traffic: what else the encoder knows tells wordings apart rather than subjects.

The same diffusion, with some eval items left out and treated as turns, shows what novelty means here: left out one by one
they are covered text, left out with all of their kind they are text that the eval set misses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from monitor.atlas.neighbours import NeighbourGraph, edge_weights, nearest
from monitor.coverage.adapter import learn_directions
from monitor.coverage.folds import (
    LeftOut,
    alone,
    item_groups,
    lots,
    none_left_out,
    stratum_of,
    turns_an_item,
    with_their_kind,
)
from monitor.coverage.presence import presence, presence_without
from monitor.coverage.space import Space
from monitor.coverage.start import Starts, measure_starts

__all__ = ["EvalVectors", "Novelty", "home_topics", "measure_novelty"]

#: Rounds of the diffusion: enough to come within 0.001 of where it ends, also at the strongest pull.
_ROUNDS = 50

#: A text keeps this share of its start: so many texts over the number of all, between two bounds. What is near may draw harder
#: in a large graph, and where conversations add edges (docs/decisions/0024).
_OWN_TEXTS, _OWN_LEAST, _OWN_MOST = 500, 0.05, 0.2

#: Columns of a diffusion that run together: a million texts with 8 folds take 64 MB a matrix.
_TOGETHER = 8

#: An eval item belongs to the topic of most of this many nearest texts.
_VOTES = 5

#: Labels name kinds when this share of the items has one, and this many labels have at least two items.
_LABELLED_SHARE, _LABELS_WITH_TWO = 0.9, 2


@dataclass(frozen=True, slots=True)
class EvalVectors:
    """The distinct eval items: unit vectors [m, d], the intent label of each, or None, and the texts that they ask.

    Which items are left out together hangs on texts and labels, so that an item more or less changes little else.
    """

    vectors: NDArray[np.float32]
    labels: Sequence[str | None]
    texts: Sequence[str]

    def __len__(self) -> int:
        return len(self.vectors)

    def kinds(self) -> NDArray[np.int64] | None:
        """The label's number of each item [m], those without one alike; None where too few items are labelled to count."""
        counts = np.unique([label for label in self.labels if label], return_counts=True)[1]
        if counts.sum() < _LABELLED_SHARE * len(self) or (counts >= 2).sum() < _LABELS_WITH_TWO:
            return None
        return np.asarray(np.unique([label or "" for label in self.labels], return_inverse=True)[1], np.int64).ravel()


@dataclass(frozen=True, slots=True)
class Novelty:
    """Novelty of the texts [n], and of eval items [m] while they are left out.

    `covered` [m] is that of items left out with a part of every kind, nan where an item is the only one of its kind; `missed`
    [l, m] that of items left out with all of their kind as well: the fine topic, and where the items are labelled the label.
    `as_covered` [n, f] is that of the texts while each of f such parts is left out: of a covered turn it is what `covered` is
    of an item. `strata` [m] numbers the kinds that the parts are of; they are `labelled` or topics. `lots` [2, m] are those of
    the items' texts and of the names of their strata. `nearest_items` [n] is the
    eval item nearest to each text by the encoder's cosine, and `nearest_cosines` how near. `item_topics` [l, m] are the topics
    of the eval items on each level, -1 for none, and `presence` [n] what they say of each text. `order` [n] is the novelty of
    the texts in directions learnt from the items' labels, to put the texts in order by: it is not to be compared with that of
    items. `item_presence` [2, m] is presence at each item without it, and without its label. Both are None where nothing was
    learnt.
    """

    texts: NDArray[np.float64]
    as_covered: NDArray[np.float32]
    covered: NDArray[np.float64]
    missed: NDArray[np.float64]
    strata: NDArray[np.int64]
    lots: NDArray[np.float64]
    nearest_items: NDArray[np.int64]
    nearest_cosines: NDArray[np.float32]
    item_topics: NDArray[np.int64]
    presence: NDArray[np.float64]
    labelled: bool = False
    order: NDArray[np.float64] | None = None
    item_presence: NDArray[np.float64] | None = None


def measure_novelty(
    texts: NDArray[np.float32],
    items: EvalVectors,
    *,
    topics: Sequence[NDArray[np.int64]],
    k: int,
    talk: csr_matrix | None = None,
    pull: float | None = None,
) -> Novelty:
    """Diffused novelty of every text [n, d] and of every eval item left out.

    Repeat: novelty <- pull * (weighted mean of the neighbours' novelty, eval items at 0) + (1 - pull) * start. `topics`
    gives each text's topic on one or more levels, coarse to fine; `talk` [n, n] has edges of conversations, in whatever unit.
    `pull` defaults to one less 500 / n, between 0.8 and 0.95, and to 0.95 where conversations add edges. Variants of a text
    (`monitor.coverage.variants`) have one novelty.
    """
    talks = talk is not None and talk.nnz > 0
    if pull is None:
        own = _OWN_LEAST if talks else float(np.clip(_OWN_TEXTS / max(len(texts), 1), _OWN_LEAST, _OWN_MOST))
        pull = 1 - own
    nearest_items, nearest_cosines = nearest(texts, items.vectors, k=1)
    neighbours = nearest(items.vectors, texts, k=k)[0]
    item_topics = [_item_topics(level, neighbours) for level in topics]
    kinds, named = [item_topics[-1]], [[str(topic) for topic in item_topics[-1].tolist()]]
    labelled = items.kinds()
    if labelled is not None:
        kinds, named = [*kinds, labelled], [*named, [label or "" for label in items.labels]]
    groups = item_groups(items.vectors)
    strata, lots_of_strata = _strata(
        [(kinds[-1], named[-1]), *((one, one.astype(str)) for one in item_topics[::-1])], groups
    )
    parts = alone(strata, groups, lots(items.texts))
    of_kinds = [with_their_kind(kind, lots(names), parts) for kind, names in zip(kinds, named, strict=True)]
    left_out = [none_left_out(len(items)), parts, *of_kinds]
    weights = turns_an_item(strata, strata[nearest_items[:, 0]])
    space = Space.of(texts, items.vectors, weights, talk if talks else None, k=k)
    whole, of_parts, *missed = _spread(space, left_out, k=k, pull=pull)
    learnt = None if labelled is None else learn_directions(texts, items.vectors, items.labels)
    order, without = None, None
    if learnt is not None:
        space = space.along(learnt, texts, items.vectors, k=k)
        [(of_texts, _)] = _spread(space, left_out[:1], k=k, pull=pull)
        order = of_texts[space.number, 0].astype(np.float64)
        without = presence_without(topics, item_topics, items.labels)
    return Novelty(
        texts=whole[0][space.number, 0].astype(np.float64),
        as_covered=of_parts[0][space.number],
        covered=of_parts[1],
        missed=np.stack([of_items for _, of_items in missed]),
        strata=strata,
        lots=np.stack([lots(items.texts), lots_of_strata]),
        nearest_items=nearest_items[:, 0],
        nearest_cosines=nearest_cosines[:, 0],
        item_topics=np.stack(item_topics),
        presence=presence(topics, item_topics, items.labels),
        labelled=labelled is not None and bool((strata == labelled).all()),
        order=order,
        item_presence=without,
    )


def _strata(
    kinds: Sequence[tuple[NDArray[np.int64], Sequence[str] | NDArray[np.str_]]], groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The number of each item's stratum [m] and its lot, from the numbers and names of some kinds [m]."""
    place = stratum_of([numbers for numbers, _ in kinds], groups)
    names = [""] * len(groups) if place is None else list(map(str, kinds[place][1]))
    numbers = np.unique(names, return_inverse=True)[1]
    return np.asarray(numbers.ravel(), np.int64), lots(names)


def home_topics(
    topics: NDArray[np.int64], texts: NDArray[np.float32], items: NDArray[np.float32], *, k: int
) -> NDArray[np.int64]:
    """The topic [m] that most of each item's nearest texts are in, of `topics` [n]; -1 for none."""
    return _item_topics(topics, nearest(items, texts, k=k)[0])


def _item_topics(topics: NDArray[np.int64], neighbours: NDArray[np.int64]) -> NDArray[np.int64]:
    votes = topics[neighbours[:, :_VOTES]]
    return np.array([np.bincount(row[row >= 0]).argmax() if (row >= 0).any() else -1 for row in votes], np.int64)


def _spread(
    space: Space, left_out: Sequence[LeftOut], *, k: int, pull: float
) -> list[tuple[NDArray[np.float32], NDArray[np.float64]]]:
    """Novelty of texts and items with each of the eval sets."""
    diffusion, starts = _Diffusion.of(space, left_out, k=k, pull=pull)
    return [_spread_one(diffusion, *one) for one in zip(starts, left_out, strict=True)]


def _spread_one(
    diffusion: _Diffusion, starts: Starts, left_out: LeftOut
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Novelty of the texts [n, f] with each of f eval sets, and of each item [m] with that in which it is judged; nan where
    it is in none, or that holds no item."""
    items = left_out.items
    of_texts = np.empty(starts.of_texts.shape, np.float32)
    of_items = np.full(len(items), np.nan)
    for start in range(0, items.shape[1], _TOGETHER):
        some = slice(start, start + _TOGETHER)
        held = items[:, some]
        of_texts[:, some], values = diffusion.run(starts.of_texts[:, some], starts.of_items[:, some], held)
        mine = np.isin(left_out.judged, start + np.flatnonzero(held.any(axis=0)))
        of_items[mine] = values[mine, left_out.judged[mine] - start]
    return of_texts, of_items


@dataclass(frozen=True, slots=True)
class _Diffusion:
    """The graph of the texts [n, n], symmetric but for talk, and its row sums; the items' edges to texts [m, n] and to one
    another [m, m].

    `onward` [m, n] adds to an item's edges what follows its nearest texts in their conversations.
    """

    graph: csr_matrix
    strength: NDArray[np.float64]
    edges: csr_matrix
    onward: csr_matrix
    between: csr_matrix
    pull: float

    @classmethod
    def of(
        cls, space: Space, left_out: Sequence[LeftOut], *, k: int, pull: float
    ) -> tuple[_Diffusion, Sequence[Starts]]:
        """Edges go from each text to its nearest and back; an item is attached as a text would be. And the starts."""
        symmetric = space.graph.undirected()
        strength = np.asarray(symmetric.sum(axis=1)).ravel()
        starts, near = measure_starts(space.texts, space.items, left_out, nearer_than=_farthest(space.graph))
        neighbours, cosines = nearest(space.items, space.texts, k=k)
        own = csr_matrix(
            (
                edge_weights(cosines).ravel(),
                (np.repeat(np.arange(len(neighbours)), neighbours.shape[1]), neighbours.ravel()),
            ),
            shape=near.shape,
        )
        edges = near.maximum(own).tocsr()
        among = space.items @ space.items.T
        np.fill_diagonal(among, -1.0)
        is_near = (among >= cosines[:, -1:]) | (among >= cosines[:, -1])
        between = csr_matrix(np.where(is_near, edge_weights(among), 0.0))
        onward = edges
        if space.talk is not None:
            share = diags(_inverse(np.asarray(space.talk.sum(axis=1)).ravel())) @ space.talk
            # Items are in no conversation: one that is left out would be followed by what follows its nearest texts.
            onward = (edges + edges @ share).tocsr()
            symmetric = (symmetric + diags(strength) @ share).tocsr()
            strength = np.asarray(symmetric.sum(axis=1)).ravel()
        return cls(symmetric, strength, edges, onward, between, pull), starts

    def run(
        self, start: NDArray[np.floating], own: NDArray[np.floating], held: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Novelty of the texts [n, f] with the held items [m, f] at zero, and of the items [m, f] as if they were texts.

        Texts start at `start` [n, f], items at their `own` [m, f].
        """
        total = self.strength[:, None] + self.edges.T @ held.astype(np.float64)
        spread = self.pull * _inverse(total)
        rest = np.where(total > 0, 1 - self.pull, 1.0) * start
        value = start.astype(np.float64)
        for _ in range(_ROUNDS):
            value = spread * (self.graph @ value) + rest
        strength = np.asarray(self.onward.sum(axis=1)).reshape(-1, 1) + self.between @ held.astype(np.float64)
        mean = np.divide(self.onward @ value, strength, out=own.astype(np.float64), where=strength > 0)
        return value, self.pull * mean + (1 - self.pull) * own


def _farthest(graph: NeighbourGraph) -> NDArray[np.float32]:
    """The cosine [n] that is as near as a text's farthest neighbour; above 1 for a text without any."""
    if graph.indices.shape[1] == 0:
        return np.full(len(graph), 2.0, np.float32)
    return np.where(graph.indices[:, -1] >= 0, graph.cosines[:, -1], np.float32(2.0))


def _inverse(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 / value, 0 where the value is."""
    return np.divide(1.0, values, out=np.zeros_like(values), where=values > 0)
