"""The gate: does an eval set cover enough of the traffic, and what did a change of it win or lose?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from monitor.coverage.interval import Interval

__all__ = ["Gate", "TopicChange", "decide_gate", "is_change"]

#: A topic is listed when its coverage changed by this much.
_CHANGED = 0.1

NOT_KNOWN = Interval(float("nan"), float("nan"), float("nan"))


@dataclass(frozen=True, slots=True)
class TopicChange:
    """Coverage of a topic before and now; `share` of the traffic, and where the change lies (nan where it is not known)."""

    topic_id: str
    share: float
    before: float
    now: float
    change: Interval

    @property
    def weight(self) -> float:
        """Share of the traffic won (or, below 0, lost)."""
        return self.share * (self.now - self.before)


@dataclass(frozen=True, slots=True)
class Gate:
    """`coverage` now and `before` (nan where nothing can be said), the `change`, whether it `passes`, and the topics that
    changed most."""

    coverage: Interval
    before: float
    change: Interval
    least: float
    certain: bool
    passes: bool
    topics: tuple[TopicChange, ...]

    @property
    def changed(self) -> bool | None:
        """Whether the change is more than an estimate moves by itself; None where that is not known."""
        return is_change(self.change)


def is_change(change: Interval) -> bool | None:
    """Whether an interval of a change leaves 0 out; None where it is not known."""
    return bool(change.low > 0 or change.high < 0) if np.isfinite(change.low) else None


def decide_gate(
    coverage: Interval,
    before: float,
    topics: Sequence[tuple[str, float, float]],
    topics_before: Mapping[str, float],
    *,
    change: Interval = NOT_KNOWN,
    topic_changes: Mapping[str, Interval] | None = None,
    least: float,
    certain: bool,
    most: int = 10,
) -> Gate:
    """Compare the coverage, or with `certain` its interval's low end, with the `least` that is asked.

    `topics` are ids, shares of the traffic and coverage now; nan is not known. Where nothing can be said nothing passes. The
    changes are intervals of `monitor.coverage.change`.
    """
    measured = coverage.low if certain else coverage.value
    changes = [
        TopicChange(topic, share, topics_before[topic], now, (topic_changes or {}).get(topic, NOT_KNOWN))
        for topic, share, now in topics
        if topic in topics_before and abs(now - topics_before[topic]) >= _CHANGED
    ]
    changes.sort(key=lambda one: (-abs(one.weight), one.topic_id))
    passes = bool(np.isfinite(measured) and measured >= least)
    return Gate(coverage, before, change, least, certain, passes, tuple(changes[:most]))
