"""Topic shares: whether topics became larger or smaller, and which, corrected for asking about all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from monitor.drift.pool import DriftResult, Pool

__all__ = ["ShareChange", "largest_share", "share_changes", "shares", "shares_of"]

_NORMAL_90 = 1.645


@dataclass(frozen=True, slots=True)
class ShareChange:
    """One topic: shares of the turns before and after, a 90 % interval of the difference, and its adjusted p-value."""

    topic: int
    before: float
    after: float
    low: float
    high: float
    p_value: float

    @property
    def change(self) -> float:
        return self.after - self.before


def shares(pool: Pool) -> DriftResult:
    """The G-test (Wilks, 1938; Sokal and Rohlf) of topics by window, summed over the levels.

    Its effect is the share of the turns that would have to change topic to undo the change, beyond what chance gives; of the
    first level.
    """
    found = pool.topic_counts
    if found is None:
        return pool.nothing()
    counts, _, levels = found
    before, now = (float(side) for side in pool.sides)

    def g(contrast: NDArray[np.float32]) -> NDArray[np.float64]:
        after = np.maximum(contrast, 0).astype(np.float64) @ counts
        earlier = np.maximum(-contrast, 0).astype(np.float64) @ counts
        expected = (now * after + before * earlier) / (now + before)
        # What is in neither window makes no difference: its logarithm is that of 1.
        safe = np.where(expected > 0, expected, 1.0)
        return np.asarray(2 * (now * xlogy(after, after / safe) + before * xlogy(earlier, earlier / safe)).sum(axis=1))

    first = counts[:, levels == levels.min()]

    def moved(contrast: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(np.abs(contrast.astype(np.float64) @ first).sum(axis=1) / 2)

    size = pool.tested(moved, lambda excess: np.maximum(excess, 0))
    return DriftResult(size.effect, size.low, size.high, pool.tested(g).statistics, *pool.sides)


def shares_of(pool: Pool) -> dict[int, tuple[float, float]]:
    """Each topic's shares of the turns, in the reference and now; nothing where there is nothing."""
    found = pool.topic_counts
    if found is None:
        return {}
    observed = next(pool.contrasts())[0].astype(np.float64)
    after, before = np.maximum(observed, 0) @ found[0], np.maximum(-observed, 0) @ found[0]
    return dict(zip(found[1].tolist(), zip(before.tolist(), after.tolist(), strict=True), strict=True))


def largest_share(pool: Pool) -> DriftResult:
    """The topic whose share changed most, in its standard deviations under permutations, of topics of all levels.

    One topic that grew is found by this where the G-test spreads it over all. The effect is the change of that topic's share,
    and the p-value that of `share_changes`.
    """
    found = _scores(pool)
    if found is None:
        return pool.nothing()
    _, change, spread, scores = found
    largest = np.abs(scores).max(axis=1)
    first = int(np.abs(scores[0]).argmax())
    effect, reach = float(abs(change[0, first])), float(_NORMAL_90 * spread[first])
    return DriftResult(effect, max(0.0, effect - reach), effect + reach, largest, *pool.sides)


def share_changes(pool: Pool) -> list[ShareChange]:
    """How every topic's share of the turns changed; topics of all levels are asked about together, the surest first.

    Each difference is divided by its standard deviation under permutations of whole conversations; p-values are those of
    the largest over all topics (Westfall and Young, 1993), so the chance that any is small when nothing changed is at most
    that. Holm's correction would need far more permutations to say the same.
    """
    found = _scores(pool)
    if found is None:
        return []
    names, change, spread, scores = found
    of_topic = shares_of(pool)
    largest = np.abs(scores).max(axis=1)
    adjusted = (largest[:, None] >= np.abs(scores[0])[None, :] - 1e-9).mean(axis=0)
    return [
        ShareChange(
            topic=int(names[place]),
            before=of_topic[int(names[place])][0],
            after=of_topic[int(names[place])][1],
            low=float(change[0, place] - _NORMAL_90 * spread[place]),
            high=float(change[0, place] + _NORMAL_90 * spread[place]),
            p_value=float(adjusted[place]),
        )
        for place in np.lexsort((names, -np.abs(scores[0]))).tolist()
    ]


def _scores(
    pool: Pool,
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    """Topics [t], changes of their shares [1 + B, t], the standard deviation of each [t], and the changes in units of it."""
    if pool.topic_counts is None:
        return None
    change = pool.topic_changes
    # Of all rows, the observed one too: without it that one alone would be divided by what it has no part in.
    spread = change.std(axis=0)
    scores = np.divide(change, spread, out=np.zeros_like(change), where=spread > 1e-9)
    return pool.topic_counts[1], change, spread, scores
