"""Topic shares: which topics became larger or smaller, corrected for asking about all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.drift.sample import DriftResult, Sample, p_value, split_of

__all__ = ["ShareChange", "share_changes"]

_NORMAL_90 = 1.645


@dataclass(frozen=True, slots=True)
class ShareChange:
    """One topic: shares of the turns before and after, a 90 % interval of the difference, and its adjusted p-value.

    `contribution` is its part of the sum of all absolute changes of its level.
    """

    topic: int
    before: float
    after: float
    low: float
    high: float
    p_value: float
    contribution: float

    @property
    def change(self) -> float:
        return self.after - self.before


def share_changes(
    reference: Sample, current: Sample, *, rng: np.random.Generator, permutations: int = 999
) -> tuple[DriftResult, list[ShareChange]]:
    """Compare every topic's share of the turns; topics of all levels are tested together.

    Each difference is divided by its standard deviation under permutations of whole conversations; p-values are those of
    the largest over all topics (Westfall and Young, 1993), so the chance that any is small when nothing changed is at most
    that. Holm's correction would need far more permutations to say the same. The test of the whole is the largest. Its effect
    is the share of the turns that would have to change topic to undo the change, beyond what chance gives.
    """
    empty = DriftResult(np.nan, np.nan, np.nan, len(reference), len(current))
    if not len(reference) or not len(current):
        return empty, []
    split = split_of(reference, current, rng=rng, permutations=permutations)
    topics = np.concatenate([reference.topics, current.topics], axis=1)
    names = np.unique(topics[topics >= 0])
    if not len(names):
        return empty, []
    counts = np.zeros((split.current.shape[1], len(names)))
    levels = np.empty(len(names), np.int64)
    for level, row in enumerate(topics):
        inside = row >= 0
        column = np.searchsorted(names, row[inside])
        np.add.at(counts, (split.conversation[inside], column), 1.0)
        levels[np.unique(column)] = level
    inside_turns = split.current.astype(np.float64) @ split.turns
    total = split.turns.sum()
    mine = split.current.astype(np.float64) @ counts
    after = mine / np.maximum(inside_turns, 1)[:, None]
    before = (counts.sum(axis=0) - mine) / np.maximum(total - inside_turns, 1)[:, None]
    change = after - before
    spread = change[1:].std(axis=0)
    scores = np.divide(change, spread, out=np.zeros_like(change), where=spread > 0)
    largest = np.abs(scores).max(axis=1)
    whole = DriftResult(float(largest[0]), p_value(largest), _moved(change, levels), len(reference), len(current))
    adjusted = (largest[:, None] >= np.abs(scores[0])[None, :] - 1e-9).mean(axis=0)
    of_level = np.array([np.abs(change[0][levels == level]).sum() for level in range(len(topics))])
    return whole, [
        ShareChange(
            topic=int(names[place]),
            before=float(before[0, place]),
            after=float(after[0, place]),
            low=float(change[0, place] - _NORMAL_90 * spread[place]),
            high=float(change[0, place] + _NORMAL_90 * spread[place]),
            p_value=float(adjusted[place]),
            contribution=float(abs(change[0, place]) / max(of_level[levels[place]], 1e-12)),
        )
        for place in np.lexsort((names, -np.abs(scores[0]))).tolist()
    ]


def _moved(change: NDArray[np.float64], levels: NDArray[np.int64]) -> float:
    """Half the absolute changes of the first level, beyond their mean under permutations."""
    first = np.abs(change[:, levels == levels.min()]).sum(axis=1) / 2
    return float(max(0.0, first[0] - first[1:].mean())) if len(first) > 1 else float("nan")
