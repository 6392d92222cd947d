"""Texts that are variants of one another: traffic says one thing in many spellings, and eval items do not.

A text's neighbours are then its own variants, and no eval item has such neighbours: left out, an item would look less novel
than a turn that is covered as well. So variants become one text until texts are no nearer to one another than items are to
texts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.duplicates import collapse
from monitor.atlas.neighbours import NeighbourGraph

__all__ = ["variants"]

#: Cosines at which texts may be variants of one another, in falling order: below the last they say different things.
_COSINES = np.round(np.arange(0.98, 0.58, -0.02), 2)


def variants(
    graph: NeighbourGraph, items: NDArray[np.int64], cosines: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The leader [n] of each text: itself, or the text that it is a variant of.

    `items` [m, k] are the texts nearest to each eval item, `cosines` how near; `weights` [m] is how much of the traffic an item
    stands for. Leaders are taken at the greatest cosine at which a leader is no nearer to the next, in the mean, than an item
    is to the nearest leader.
    """
    n = len(graph)
    themselves = np.arange(n)
    if graph.indices.shape[1] == 0 or not len(items) or not weights.any():
        return themselves
    low, high = 0, len(_COSINES)  # the more the cosine falls, the farther leaders are from one another
    leaders = {0: themselves}
    while low < high:
        middle = (low + high) // 2
        found = leaders.setdefault(middle, themselves if middle == 0 else _led(graph, float(_COSINES[middle - 1])))
        is_leader = found == themselves
        texts = _nearest_leader(graph.indices[is_leader], graph.cosines[is_leader], is_leader)
        if texts.mean() <= np.average(_nearest_leader(items, cosines, is_leader), weights=weights):
            high = middle
        else:
            low = middle + 1
    return leaders[low] if low in leaders else _led(graph, float(_COSINES[low - 1]))


def _led(graph: NeighbourGraph, same: float) -> NDArray[np.int64]:
    """Leaders, those with the most variants first."""
    return collapse(graph, (graph.cosines >= same).sum(axis=1).astype(np.float64), same=same)


def _nearest_leader(
    neighbours: NDArray[np.integer], cosines: NDArray[np.float32], is_leader: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """The cosine to the nearest leader among the neighbours; to the farthest neighbour where none is one."""
    leads = is_leader[neighbours] & (neighbours >= 0)
    first = np.where(leads.any(axis=1), leads.argmax(axis=1), leads.shape[1] - 1)
    return np.asarray(np.take_along_axis(cosines, first[:, None], axis=1)[:, 0], np.float32)
