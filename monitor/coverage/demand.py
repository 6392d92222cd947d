"""How much each eval item is asked for: what lies in the eval set that no traffic resembles, as a ranking.

Nearness to the traffic alone does not tell what nobody asks: a question that is put in many ways is far from everything. So
an item's nearest turn is weighed against how near the items of its own kind are to one another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.neighbours import nearest
from monitor.coverage.health import Demand, KindDemand

__all__ = ["demand_by_kind", "measure_demand"]

#: Items that are compared with all others at once.
_BLOCK = 512


def measure_demand(
    ids: Sequence[str], labels: Sequence[str | None], vectors: NDArray[np.float32], traffic: NDArray[np.float32]
) -> tuple[Demand, ...]:
    """Of each item, unit vectors [m, d], against the traffic's texts [n, d]; the least asked for first.

    An item whose label has no other is held against the nearest item of all. Of an item with several messages the one that
    is asked for most counts. Empty where there is no traffic, or only one item.
    """
    if len(vectors) < 2 or not len(traffic):
        return ()
    near = nearest(vectors, traffic, k=1)[1][:, 0]
    kin = _nearest_kin(labels, vectors)
    found: dict[str, Demand] = {}
    for row, item in enumerate(ids):
        one = Demand(item, labels[row], float(near[row]), float(kin[row]))
        kept = found.get(item)
        if kept is None or kept.value < one.value:
            found[item] = one
    return tuple(sorted(found.values(), key=lambda one: (one.value, one.item)))


def demand_by_kind(demand: Sequence[Demand]) -> tuple[KindDemand, ...]:
    """By label, the least asked for first; items without one are left out."""
    kinds: dict[str, list[Demand]] = {}
    for one in demand:
        if one.label:
            kinds.setdefault(one.label, []).append(one)
    found = [
        KindDemand(label, len(some), float(np.mean([one.value for one in some])), sum(not one.asked for one in some))
        for label, some in kinds.items()
    ]
    return tuple(sorted(found, key=lambda one: (one.value, one.label)))


def _nearest_kin(labels: Sequence[str | None], vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine [m] to the nearest other item of the same label, or of all where there is none."""
    number = np.unique([label or "" for label in labels], return_inverse=True)[1].ravel()
    labelled = np.array([bool(label) for label in labels])
    lonely = (np.bincount(number)[number] < 2) | ~labelled
    found = np.empty(len(vectors), np.float32)
    for start in range(0, len(vectors), _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, len(vectors)))
        cosines = vectors[rows] @ vectors.T
        cosines[rows - start, rows] = -1.0
        cosines[(number[rows, None] != number[None]) & ~lonely[rows, None]] = -1.0
        found[rows] = cosines.max(axis=1)
    return found
