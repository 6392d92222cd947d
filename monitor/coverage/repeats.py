"""Items of an eval set that ask the same: those that repeat one another, and those that contradict one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.coverage.health import Conflict
from monitor.coverage.items import Asker

__all__ = ["find_conflicts", "find_repeats", "near_pairs"]

#: Items so near to one another ask the same in nearly the same words (benchmarks/eval_health.py).
_SAME_WORDS = 0.92

#: Items so near to one another that two labels for them contradict each other.
_SAME_QUESTION = 0.9

#: Of contradictions so many are kept, the nearest.
_MOST = 1_000

#: Items that are compared with all others at once: 10,000 items take 20 MB.
_BLOCK = 512


def near_pairs(
    vectors: NDArray[np.float32], least: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """Pairs of unit vectors [m, d] whose cosine is at least so much, each once, as rows, rows after them, and cosines."""
    for start in range(0, len(vectors), _BLOCK):
        cosines = vectors[start : start + _BLOCK] @ vectors[start:].T
        first, second = np.nonzero(np.triu(cosines >= least, 1))
        if len(first):
            yield first + start, second + start, cosines[first, second]


def find_repeats(askers: Sequence[Sequence[str]], vectors: NDArray[np.float32]) -> tuple[tuple[str, ...], ...]:
    """Groups of ids that say the same (a cosine of 0.92 or more, directly or in a chain), the largest group first.

    `askers` [m] are the ids of all items that have the text of a row of `vectors` [m, d]. The messages of one item do not
    repeat each other.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    group = np.arange(len(vectors), dtype=np.int64)
    for first, second, _ in near_pairs(vectors, _SAME_WORDS):
        edges = coo_matrix((np.ones(len(first), bool), (group[first], group[second])), shape=(len(group),) * 2)
        group = connected_components(edges, directed=False)[1].astype(np.int64)[group]
    found: dict[int, dict[str, None]] = {}
    for row, number in enumerate(group.tolist()):
        found.setdefault(number, {}).update(dict.fromkeys(askers[row]))
    several = {tuple(sorted(ids)) for ids in found.values() if len(ids) > 1}
    return tuple(sorted(several, key=lambda ids: (-len(ids), ids)))


def find_conflicts(askers: Sequence[Sequence[Asker]], vectors: NDArray[np.float32]) -> tuple[Conflict, ...]:
    """Items with different labels that ask nearly the same, the nearest first and at most 1,000.

    `askers` [m] are the ids, with their labels, of all items that have the text of a row of `vectors` [m, d].
    """
    found: dict[tuple[str, str], Conflict] = {}

    def note(one: Asker, other: Asker, cosine: float) -> None:
        (first, label), (second, other_label) = sorted([one, other], key=lambda asker: asker[0])
        if label and other_label and label != other_label and first != second:
            kept = found.get((first, second))
            if kept is None or kept.cosine < cosine:
                found[first, second] = Conflict(first, second, (label, other_label), cosine)

    for same in askers:
        for place, one in enumerate(same):
            for other in same[place + 1 :]:
                note(one, other, 1.0)
    # Of each text the first label stands for all in the look for near texts; texts with several labels are told above.
    label = np.unique([next((name for _, name in same if name), "") or "" for same in askers], return_inverse=True)
    names, number = label[0], label[1].ravel()
    blank = int(np.searchsorted(names, "")) if len(names) and names[0] == "" else -1
    for first, second, cosines in near_pairs(vectors, _SAME_QUESTION):
        differ = (number[first] != number[second]) & (number[first] != blank) & (number[second] != blank)
        rows = np.flatnonzero(differ)
        for row in rows[np.argsort(-cosines[rows], kind="stable")[:_MOST]].tolist():
            for one in askers[first[row]]:
                for other in askers[second[row]]:
                    note(one, other, float(min(cosines[row], 1.0)))
    return tuple(sorted(found.values(), key=lambda one: (-one.cosine, one.first, one.second))[:_MOST])
