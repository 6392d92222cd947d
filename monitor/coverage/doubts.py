"""Labels of eval items that may be wrong: the item lies nearer to what another label has than to what its own has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.coverage.health import Doubt

__all__ = ["doubtfulness", "find_doubts"]

#: A label's mean says what it is about from so many items on.
_LEAST_ITEMS = 4

#: A label is doubted when another's mean is nearer by so much cosine (benchmarks/eval_health.py).
_NEARER = 0.25

#: Items that are compared with all labels at once.
_BLOCK = 4_096


def find_doubts(
    ids: Sequence[str], labels: Sequence[str | None], vectors: NDArray[np.float32], *, least: float = _NEARER
) -> tuple[Doubt, ...]:
    """Items whose labels may be wrong, of unit vectors [m, d], the most doubtful first.

    Labels of fewer than four items are neither doubted nor held against others.
    """
    nearer, likely = doubtfulness(labels, vectors, fewest=_LEAST_ITEMS)
    rows = [row for row in np.argsort(-nearer, kind="stable").tolist() if nearer[row] >= least]
    found: dict[str, Doubt] = {}
    for row in rows:
        label = labels[row] or ""
        found.setdefault(ids[row], Doubt(ids[row], label, likely[row], float(nearer[row])))
    return tuple(found.values())


def doubtfulness(
    labels: Sequence[str | None], vectors: NDArray[np.float32], *, fewest: int = 2
) -> tuple[NDArray[np.float64], list[str]]:
    """By how much another label's mean is nearer to each item [m] than that of its own label's other items; and that label.

    Nearest-centroid classification (Rocchio, 1971) with each item left out of its own label's mean. -inf for an item without
    a label, of a label with fewer than `fewest` items, or where no other label is.
    """
    names, number = np.unique([label or "" for label in labels], return_inverse=True)
    number = number.ravel()
    sizes = np.bincount(number, minlength=len(names))
    known = (sizes >= max(fewest, 2)) & (names != "")
    nearer, likely = np.full(len(vectors), -np.inf), [""] * len(vectors)
    if known.sum() < 2:
        return nearer, likely
    sums = np.zeros((len(names), vectors.shape[1]), np.float64)
    np.add.at(sums, number, vectors)
    means = _unit(sums[known])
    place = np.cumsum(known) - 1
    judged = np.flatnonzero(known[number])
    for start in range(0, len(judged), _BLOCK):
        rows = judged[start : start + _BLOCK]
        own = place[number[rows]]
        others = vectors[rows] @ means.T
        others[np.arange(len(rows)), own] = -np.inf
        mean = _unit(sums[number[rows]] - vectors[rows])
        nearer[rows] = others.max(axis=1) - (mean * vectors[rows]).sum(axis=1)
        for row, best in zip(rows.tolist(), others.argmax(axis=1).tolist(), strict=True):
            likely[row] = str(names[known][best])
    return nearer, likely


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0), np.float64)
