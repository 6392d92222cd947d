"""Items of an eval set that ask the same: those that repeat one another, and those that contradict one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.coverage.health import Conflict
from monitor.coverage.items import Asker, ComparedItems
from monitor.coverage.slips import without_slips

__all__ = ["find_conflicts", "find_leaders", "find_repeats", "near_pairs", "without_repeats"]

#: Items so near to one another ask the same in nearly the same words (docs/decisions/0035).
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


def find_leaders(items: ComparedItems, vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """The leader [m] of each item, as its row: itself, or the item that it repeats. `vectors` [m, d] are of length 1.

    What is a slip of an item (`monitor.coverage.slips`) goes with it. Of the others, the first that stands in the eval sets
    leads, and those that are within a cosine of 0.92 of a leader go with the nearest: no chain of small changes joins what
    differs, and an item that is added later takes no other's place. A leader has the label of those that go with it, since
    another label is another test; what has no label goes with any.
    """
    order = np.argsort(np.asarray(items.places, np.int64))
    labels = np.array([items.labels[row] or "" for row in order.tolist()], object)
    chief = without_slips([items.texts[row] for row in order.tolist()], labels.tolist())
    # A group of slips stands where the first of them does; what has a label comes before what has none.
    chiefs = np.array(list(dict.fromkeys(chief.tolist())), np.int64)
    chiefs = chiefs[np.argsort(labels[chiefs] == "", kind="stable")]
    found = np.empty_like(order)
    found[order] = order[_led(chiefs, vectors[order], labels)[chief]]
    return found


def _led(rows: NDArray[np.int64], vectors: NDArray[np.float32], labels: NDArray[np.object_]) -> NDArray[np.int64]:
    """The leader [m] of each of the rows, taken in their order."""
    leader = np.arange(len(vectors), dtype=np.int64)
    kind = np.unique(labels.astype(str), return_inverse=True)[1].ravel()
    leads = np.empty(0, np.int64)
    for start in range(0, len(rows), _BLOCK):
        block, before = rows[start : start + _BLOCK], len(leads)
        leads = np.concatenate([leads, block])  # those of the block may lead one another
        leading = np.arange(len(leads)) < before
        cosines = vectors[block] @ vectors[leads].T
        cosines[(labels[block] != "")[:, None] & (kind[block][:, None] != kind[leads])] = -1.0
        for place, row in enumerate(block.tolist()):
            near = np.where(leading, cosines[place], -1.0)
            nearest = int(near.argmax())
            if near[nearest] >= _SAME_WORDS:
                leader[row] = leads[nearest]
            else:
                leading[before + place] = True
        leads = leads[leading]
    return leader


def without_repeats(items: ComparedItems, vectors: NDArray[np.float32]) -> tuple[ComparedItems, NDArray[np.float32]]:
    """The leaders among the items, with their vectors: what repeats one of them adds nothing, wherever items are counted."""
    leads = find_leaders(items, vectors) == np.arange(len(items))
    return items.only(leads), vectors[leads]


def find_repeats(askers: Sequence[Sequence[str]], leader: NDArray[np.int64]) -> tuple[tuple[str, ...], ...]:
    """Groups of ids that say the same, the largest group first.

    `askers` [m] are the ids of all items that have a text, `leader` [m] is that of `find_leaders`. The messages of one item do
    not repeat each other.
    """
    found: dict[int, dict[str, None]] = {}
    for row, number in enumerate(leader.tolist()):
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
