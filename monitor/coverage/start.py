"""Where novelty starts: each text's distance to the eval set, with the whole set and with folds of it left out.

The distance is 1 - cosine to the nearest eval item. Where the items carry intent labels, it is averaged with how badly
the text fits every label: the negative maximum score of a one-against-the-rest ridge regression, brought to the
distances' scale. Ridge has a closed form, so leaving a fold out costs one solve; against logistic regression it loses
less than 0.005 AUROC (docs/decisions/0003).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Start", "fit_start"]

_BLOCK = 4096
_RIDGE = 0.5

#: Labels count when this share of the items has one, and this many labels have at least two items.
_LABELLED_SHARE, _LABELS_WITH_TWO = 0.9, 2


@dataclass(frozen=True, slots=True)
class Start:
    """Start values of texts [n] and items [m]: `whole` with all items, `parts[p][f]` with fold f of partition p left out."""

    whole: NDArray[np.float64]
    parts: Sequence[Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]]
    nearest_items: NDArray[np.int64]
    nearest_cosines: NDArray[np.float32]

    def without(self, partition: int, fold: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return self.parts[partition][fold]


def fit_start(
    texts: NDArray[np.float32],
    items: NDArray[np.float32],
    labels: Sequence[str | None],
    partitions: Sequence[NDArray[np.int64]],
) -> Start:
    """Start values for every fold of every partition; a partition gives each item [m] its fold, numbered from 0."""
    text_cosines, nearest_items, nearest_cosines = _fold_cosines(texts, items, partitions)
    among = items @ items.T
    np.fill_diagonal(among, -1.0)
    item_cosines = [_by_fold(among, folds) for folds in partitions]
    targets = _targets(labels)
    whole = 1.0 - nearest_cosines.astype(np.float64)
    scale = None if targets is None else _LabelScale.fit(texts, items, targets, whole)
    parts = []
    for folds, of_texts, of_items in zip(partitions, text_cosines, item_cosines, strict=True):
        starts = []
        for fold in range(of_texts.shape[1]):
            others = np.arange(of_texts.shape[1]) != fold
            held = folds != fold
            distance = 1.0 - of_texts[:, others].max(axis=1, initial=-1.0).astype(np.float64)
            item_distance = 1.0 - of_items[:, others].max(axis=1, initial=-1.0).astype(np.float64)
            if scale is not None and targets is not None and held.any():
                misfit = scale.misfit(items[held], targets[held], texts, items)
                distance, item_distance = (distance + misfit[0]) / 2, (item_distance + misfit[1]) / 2
            starts.append((distance, item_distance))
        parts.append(starts)
    if scale is not None and targets is not None:
        whole = (whole + scale.misfit(items, targets, texts, items[:0])[0]) / 2
    return Start(whole, parts, nearest_items, nearest_cosines)


def _fold_cosines(
    texts: NDArray[np.float32], items: NDArray[np.float32], partitions: Sequence[NDArray[np.int64]]
) -> tuple[list[NDArray[np.float32]], NDArray[np.int64], NDArray[np.float32]]:
    """Greatest cosine of each text to each fold, by blocks of texts: the matrix of all cosines is never held."""
    blocks: list[list[NDArray[np.float32]]] = [[] for _ in partitions]
    nearest_items, nearest_cosines = np.empty(len(texts), np.int64), np.empty(len(texts), np.float32)
    for start in range(0, len(texts), _BLOCK):
        cosines = texts[start : start + _BLOCK] @ items.T
        nearest_items[start : start + _BLOCK] = cosines.argmax(axis=1)
        nearest_cosines[start : start + _BLOCK] = cosines.max(axis=1)
        for block, folds in zip(blocks, partitions, strict=True):
            block.append(_by_fold(cosines, folds))
    return [np.concatenate(block) for block in blocks], nearest_items, nearest_cosines


def _by_fold(cosines: NDArray[np.float32], folds: NDArray[np.int64]) -> NDArray[np.float32]:
    order = np.argsort(folds, kind="stable")
    starts = np.searchsorted(folds[order], np.arange(int(folds.max()) + 1))
    return np.maximum.reduceat(cosines[:, order], starts, axis=1)


def _targets(labels: Sequence[str | None]) -> NDArray[np.float64] | None:
    """One column a label [m, labels]; None where too few items are labelled for a regression to mean anything."""
    names, counts = np.unique([label for label in labels if label], return_counts=True)
    if counts.sum() < _LABELLED_SHARE * len(labels) or (counts >= 2).sum() < _LABELS_WITH_TWO:
        return None
    own = np.array([label or "" for label in labels], dtype=object)
    return np.asarray(own[:, None] == names[None, :], np.float64)


@dataclass(frozen=True, slots=True)
class _LabelScale:
    """Brings label scores to the scale of the distances: the range from the least to the 0.99 quantile onto theirs."""

    score_low: float
    score_high: float
    distance_low: float
    distance_high: float

    @classmethod
    def fit(
        cls,
        texts: NDArray[np.float32],
        items: NDArray[np.float32],
        targets: NDArray[np.float64],
        distances: NDArray[np.float64],
    ) -> _LabelScale:
        scores = _misfit(items, targets, texts)
        return cls(
            float(scores.min()),
            float(np.quantile(scores, 0.99)),
            float(distances.min()),
            float(np.quantile(distances, 0.99)),
        )

    def misfit(
        self, items: NDArray[np.float32], targets: NDArray[np.float64], *queries: NDArray[np.float32]
    ) -> list[NDArray[np.float64]]:
        slope = (self.distance_high - self.distance_low) / max(self.score_high - self.score_low, 1e-12)
        return [
            self.distance_low + slope * (scores - self.score_low)
            for scores in np.split(
                _misfit(items, targets, np.concatenate(queries)), np.cumsum([len(query) for query in queries])[:-1]
            )
        ]


def _misfit(
    items: NDArray[np.float32], targets: NDArray[np.float64], queries: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Negative maximum over the labels of a ridge regression from vectors to label membership."""
    mean, base = items.mean(axis=0), targets.mean(axis=0)
    centred = (items - mean).astype(np.float64)
    gram = centred.T @ centred + _RIDGE * np.eye(centred.shape[1])
    coefficients = np.linalg.solve(gram, centred.T @ (targets - base)).astype(np.float32)
    scores = (queries - mean) @ coefficients + base.astype(np.float32)
    return np.asarray(-scores.max(axis=1), np.float64)
