"""The gate: does an eval set cover enough of the traffic, and what did a change of it win or lose?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.coverage.interval import Interval

__all__ = ["Gate", "TopicChange", "decide_gate"]

#: A topic's coverage changed when it did by this much; less is what an estimate moves by itself.
_CHANGED = 0.1


@dataclass(frozen=True, slots=True)
class TopicChange:
    """Coverage of a topic before and now; `share` of the traffic."""

    topic_id: str
    share: float
    before: float
    now: float

    @property
    def weight(self) -> float:
        """Share of the traffic won (or, below 0, lost)."""
        return self.share * (self.now - self.before)


@dataclass(frozen=True, slots=True)
class Gate:
    """`coverage` now and `before` (nan where nothing can be said), whether it `passes`, and the topics that changed most."""

    coverage: Interval
    before: float
    least: float
    certain: bool
    passes: bool
    topics: tuple[TopicChange, ...]


def decide_gate(
    coverage: Interval,
    before: float,
    topics: Sequence[tuple[str, float, float]],
    topics_before: Mapping[str, float],
    *,
    least: float,
    certain: bool,
    most: int = 10,
) -> Gate:
    """Compare the coverage, or with `certain` its interval's low end, with the `least` that is asked.

    `topics` are ids, shares of the traffic and coverage now; nan is not known. Where nothing can be said nothing passes.
    """
    measured = coverage.low if certain else coverage.value
    changes = [
        TopicChange(topic, share, topics_before[topic], now)
        for topic, share, now in topics
        if topic in topics_before and abs(now - topics_before[topic]) >= _CHANGED
    ]
    changes.sort(key=lambda one: (-abs(one.weight), one.topic_id))
    return Gate(
        coverage, before, least, certain, bool(np.isfinite(measured) and measured >= least), tuple(changes[:most])
    )
