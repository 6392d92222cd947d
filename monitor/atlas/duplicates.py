"""Near duplicates collapse to one node, or a text said in many spellings would have only itself for neighbours."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.neighbours import NeighbourGraph

if TYPE_CHECKING:  # a graph collapses where no store is installed (benchmarks/scale.py)
    from monitor.atlas.corpus import Corpus

__all__ = ["SAME_TEXT", "collapse", "merge_duplicates"]

#: Cosine from which two texts are the same text in another spelling.
SAME_TEXT = 0.85


def collapse(graph: NeighbourGraph, weights: NDArray[np.float64], *, same: float = SAME_TEXT) -> NDArray[np.int64]:
    """The leader [n] of each text: itself, or the text that it duplicates.

    The most frequent text leads first (ties by position) and takes the neighbours at a cosine of `same` or more that have no
    leader yet. Every member is that near to its leader: chains of small changes do not join what differs.
    """
    n = len(graph)
    near = (graph.cosines >= same) & (graph.indices >= 0)
    ends = np.concatenate([[0], np.cumsum(near.sum(axis=1))]).tolist()
    copies = graph.indices[near].tolist()
    leader = [-1] * n  # lists: a million texts take a second, and ten by arrays that are read one element at a time
    for node in np.lexsort((np.arange(n), -weights)).tolist():
        if leader[node] < 0:
            for copy in copies[ends[node] : ends[node + 1]]:
                if leader[copy] < 0:
                    leader[copy] = node
            leader[node] = node
    return np.array(leader, np.int64)


def merge_duplicates(corpus: Corpus, leader: NDArray[np.int64]) -> tuple[Corpus, NDArray[np.int64]]:
    """The corpus with each text replaced by its leader, and the rows [m] of the texts that remain."""
    rows = np.unique(leader)
    number = np.searchsorted(rows, leader)
    kept = replace(
        corpus,
        text_of=number[corpus.text_of],
        texts=[corpus.texts[row] for row in rows.tolist()],
        hashes=[corpus.hashes[row] for row in rows.tolist()],
    )
    return kept, rows
