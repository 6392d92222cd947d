"""Rising and falling topics: how their share of the conversations changed, at the same weekday and hour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from monitor.drift.trend import Trend

__all__ = ["Counts", "Movement", "movements"]

_Z90 = 1.6449


@dataclass(frozen=True, slots=True)
class Counts:
    """Conversations of a window by the hour of the week in which they began: of each topic [topics, 168], and of all [168]."""

    topics: NDArray[np.int64]
    all: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Movement:
    """A topic, as a row of the counts: conversations now and before, and how its share changed.

    `trend` compares like hours only; `p_value` is of any change, adjusted for asking about all topics.
    """

    topic: int
    now: int
    before: int
    of_now: int
    of_before: int
    trend: Trend
    p_value: float

    @property
    def sure(self) -> bool:
        return self.p_value <= 0.05


def movements(current: Counts, reference: Counts) -> list[Movement]:
    """How every topic moved, the surest first; none when the windows share no hour of the week.

    The ratio of shares is that of Mantel and Haenszel (1959) over the hours of the week, with the interval of Greenland and
    Robins (1985): a topic of Sunday evenings does not rise because it is Sunday. Half a case is added to each side, in
    proportion to the hours' conversations. The p-value is that of Cochran, Mantel and Haenszel, adjusted by Holm (1979).
    """
    n1, n0 = current.all.astype(np.float64), reference.all.astype(np.float64)
    both = np.flatnonzero((n1 > 0) & (n0 > 0))
    if not len(both):
        return []
    n1, n0 = n1[both], n0[both]
    a, b = current.topics[:, both].astype(np.float64), reference.topics[:, both].astype(np.float64)
    chances = [_chance(a[topic], b[topic], n1, n0) for topic in range(len(a))]
    adjusted = _holm(chances)
    found = [
        Movement(
            topic=topic,
            now=int(a[topic].sum()),
            before=int(b[topic].sum()),
            of_now=int(n1.sum()),
            of_before=int(n0.sum()),
            trend=_ratio(a[topic], b[topic], n1, n0),
            p_value=adjusted[topic],
        )
        for topic in range(len(a))
        if a[topic].sum() + b[topic].sum() > 0
    ]
    return sorted(found, key=lambda one: (one.p_value, -abs(math.log(one.trend.ratio)), one.topic))


def _ratio(a: NDArray[np.float64], b: NDArray[np.float64], n1: NDArray[np.float64], n0: NDArray[np.float64]) -> Trend:
    half_a, half_b = a + 0.5 * n1 / n1.sum(), b + 0.5 * n0 / n0.sum()
    total = n1 + n0
    above, below = (half_a * n0 / total).sum(), (half_b * n1 / total).sum()
    variance = ((n1 * n0 * (half_a + half_b) - half_a * half_b * total) / total**2).sum() / (above * below)
    ratio, reach = above / below, math.exp(_Z90 * math.sqrt(max(variance, 0.0)))
    return Trend(float(ratio), float(ratio / reach), float(ratio * reach), _rise(a, b, n1, n0))


def _score(a: NDArray[np.float64], b: NDArray[np.float64], n1: NDArray[np.float64], n0: NDArray[np.float64]) -> float:
    """Standard deviations by which the cases now are more than like hours before would give."""
    total, cases = n1 + n0, a + b
    expected = (cases * n1 / total).sum()
    variance = (n1 * n0 * cases * (total - cases) / (total**2 * np.maximum(total - 1, 1))).sum()
    return float((a.sum() - expected) / math.sqrt(variance)) if variance > 0 else 0.0


def _rise(a: NDArray[np.float64], b: NDArray[np.float64], n1: NDArray[np.float64], n0: NDArray[np.float64]) -> float:
    return float(ndtr(-_score(a, b, n1, n0)))


def _chance(a: NDArray[np.float64], b: NDArray[np.float64], n1: NDArray[np.float64], n0: NDArray[np.float64]) -> float:
    return float(2 * ndtr(-abs(_score(a, b, n1, n0))))


def _holm(chances: Sequence[float]) -> list[float]:
    """Each p-value times how many are as large or larger, at least that of any smaller one, at most 1."""
    adjusted, least = [1.0] * len(chances), 0.0
    for rank, place in enumerate(sorted(range(len(chances)), key=lambda one: (chances[one], one))):
        least = max(least, min(1.0, chances[place] * (len(chances) - rank)))
        adjusted[place] = least
    return adjusted
