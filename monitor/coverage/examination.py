"""Examine an eval set against the traffic: `monitor.coverage.health` says what there is to find."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.coverage.demand import demand_by_kind, measure_demand
from monitor.coverage.doubts import find_doubts
from monitor.coverage.health import Balance, Health
from monitor.coverage.items import Asker, ComparedItems
from monitor.coverage.novelty import home_topics
from monitor.coverage.production import Production
from monitor.coverage.repeats import find_conflicts, find_leaders, find_repeats
from monitor.coverage.slices import MIDDLE
from monitor.coverage.subset import MEASURED, smallest_subset
from monitor.settings import Settings

__all__ = ["diversity", "examine"]

#: Items that are least asked for are kept up to so many: a page shows a dozen.
_KEPT = 50

#: Texts of the traffic that items are held against, evenly chosen: as vectors 300 MB.
_TEXTS = 200_000


def examine(
    production: Production,
    items: ComparedItems,
    vectors: NDArray[np.float32],
    askers: Sequence[Sequence[Asker]],
    settings: Settings,
    *,
    left_out: int = 0,
) -> Health:
    """Examine the eval items' distinct texts [m], unit vectors [m, d], against the traffic that counts.

    `askers` [m] are all items that ask a text (`monitor.coverage.items.askers_of`); `left_out` texts are not among them.
    """
    counted, k = production.counted, settings.atlas.neighbours
    texts = _evenly(np.unique(production.corpus.text_of[counted]), _TEXTS)
    demand = measure_demand(items.ids, items.labels, vectors, production.network.vectors[texts])
    everybody = {asker for some in askers for asker in some}
    return Health(
        items=len({item for item, _ in everybody}),
        texts=len(items),
        labels=len({label for _, label in everybody if label}),
        left_out=left_out,
        repeats=find_repeats([[item for item, _ in some] for some in askers], find_leaders(items, vectors)),
        conflicts=find_conflicts(askers, vectors),
        doubts=find_doubts(items.ids, items.labels, vectors),
        least_asked=demand[:_KEPT],
        least_asked_kinds=demand_by_kind(demand)[:_KEPT],
        needed=tuple(dict.fromkeys(items.ids[row] for row in smallest_subset(_turns(production), vectors))),
        balance=_balance(production, vectors, k),
        diversity=diversity(vectors),
        unasked=sum(not one.asked for one in demand) if demand else None,
    )


def _turns(production: Production) -> NDArray[np.float32]:
    """Vectors of turns that count, as often as they are asked and evenly over the window: more than a subset is measured by."""
    return production.network.vectors[production.corpus.text_of[_evenly(production.counted, MEASURED)]]


def _evenly(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(np.int64)]


def _balance(production: Production, vectors: NDArray[np.float32], k: int) -> tuple[Balance, ...]:
    counted, topics = production.counted, production.atlas.topics
    if not len(counted) or not len(vectors):
        return ()
    of_turns = production.atlas.of_turns[MIDDLE][counted]
    homes = home_topics(production.text_topics(MIDDLE), production.network.vectors, vectors, k=k)
    turns = np.bincount(of_turns[of_turns >= 0], minlength=len(topics))
    items = np.bincount(homes[homes >= 0], minlength=len(topics))
    found = [
        Balance(topic.topic_id, float(turns[row] / len(counted)), int(items[row]), float(items[row] / len(vectors)))
        for row, topic in enumerate(topics)
        if topic.level == MIDDLE and (turns[row] or items[row])
    ]
    return tuple(sorted(found, key=lambda one: (-one.share, one.topic)))


def diversity(vectors: NDArray[np.float32]) -> float:
    """The Vendi score (Friedman and Dieng, 2023) of unit vectors [m, d]: from 1, when all are the same, to m; 0 of none.

    The exponential of the entropy of the eigenvalues of the cosines over m, which are those of the d x d moments.

    >>> round(diversity(np.eye(3, dtype=np.float32)), 3), round(diversity(np.ones((5, 1), np.float32)), 3)
    (3.0, 1.0)
    """
    if not len(vectors):
        return 0.0
    moments: NDArray[np.float64] = vectors.T.astype(np.float64) @ vectors / len(vectors)
    values = np.linalg.eigvalsh(moments)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))
