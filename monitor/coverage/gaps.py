"""Gaps: topics that production uses and the eval set does not cover, ranked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.coverage.interval import Interval
from monitor.records import short_hash
from monitor.store.gap_lives import COVERED_AT_MOST, COVERED_AT_MOST_ELSE, MUCH

__all__ = [
    "Bounds",
    "Gap",
    "Slice",
    "alerts",
    "gap_id_of",
    "gap_of",
    "growth_factor",
    "is_held",
    "priority_parts",
    "rank_gaps",
    "risk_of",
    "topic_id_of",
]

#: A middle topic is one gap when this share of it lies in fine topics that are gaps; otherwise each of those is one.
_OF_ONE_KIND = 0.7

#: Answers and follow-ups ("since Tuesday", "the upstairs one") make topics of their own, whose conversations are about other
#: things. A topic is none of its own when its loyalty is below this share of the mean: sample traffic (seed 11) has 0.36 to
#: 0.72 there, and 0.9 and more where people come with the subject.
_LOYAL = 0.75

#: What is near to nothing makes topics as well: drawers of odd texts, whose neighbours lie all over the map. A topic is none of
#: its own when it contains less than this share of what topics contain in the mean (one less conductance; Leskovec and others,
#: 2009, "Community structure in large networks"). Sample traffic, seeds 11 to 16: drawers have 0.03 to 0.45 of the mean and at
#: most 0.7, planted gaps 0.75 and more.
_CONTAINED = 0.5

#: How far failure signals and growth can move a gap: half the priority more, or a third less, for the one; for the other
#: the root of two.
_RISK_LIMIT, _GROWTH_LIMIT = 1.5, 2.0

#: An alert wakes people: the topic must look more missed than covered, and not well covered whatever had been sampled.
_ALERT_COVERED_AT_MOST, _ALERT_HIGH_AT_MOST = 0.5, 0.8


@dataclass(frozen=True, slots=True)
class Slice:
    """A topic with what the ranking needs. `parent` is the slice's position in the list of slices, -1 for a middle topic.

    `share` is of all turns that count; `failures` is the share of its turns with a negative signal; `loyalty` the share of
    the other turns of its conversations that are in the same middle topic; `containment` the share of its texts' graph
    neighbours that are in it, of as many as could be; `growth` may be nan. The coverage lies in `coverage`, and its figure
    moves in `sampled` from one draw of conversations and items to another. `effective_conversations`
    is how many conversations of equal length would be as concentrated: seven, of which one holds nearly all turns, are one.
    """

    parent: int
    turns: int
    conversations: int
    effective_conversations: float
    share: float
    coverage: Interval
    sampled: Interval
    novelty: float
    failures: float
    loyalty: float
    containment: float
    growth: float

    @property
    def surely_uncovered(self) -> float:
        """Share of the traffic that is uncovered even at the high end of the coverage's interval."""
        return self.share * (1 - self.coverage.high)


@dataclass(frozen=True, slots=True)
class Gap:
    """`slice` is the position in the list of slices. Priority has the unit of a share of the traffic."""

    slice: int
    priority: float
    risk: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a slice is measured against. `failures`, `loyalty` and `containment` are the means over all turns, those of
    middle topics; a gap has at least so many conversations, and leaves at least such a share of the traffic uncovered."""

    failures: float
    loyalty: float
    containment: float
    min_conversations: int
    min_share: float

    def hold(self, one: Slice) -> bool:
        """Whether a slice is a gap: it is uncovered, large enough, and a subject of its own."""
        return self.keep(one) and not is_held(one.share, one.coverage.value)

    def keep(self, one: Slice) -> bool:
        """Whether a slice that was a gap may still be one, however covered it seems: large enough, a subject of its own."""
        return bool(
            one.effective_conversations >= self.min_conversations
            and one.share * (1 - min(one.coverage.value, COVERED_AT_MOST)) >= self.min_share
            and one.loyalty >= _LOYAL * self.loyalty
            and one.containment >= _CONTAINED * self.containment
        )


def is_held(share: float, coverage: float) -> bool:
    """Whether a gap of this share of the traffic and this coverage is listed because it was before, and only so."""
    most = COVERED_AT_MOST if share * (1 - coverage) >= MUCH else COVERED_AT_MOST_ELSE
    return coverage > most


def gap_id_of(topic_id: str, attribute: str | None = None, value: str | None = None) -> str:
    """A gap has the id of its topic, and so lives as long; that of a part of a topic has the part's hash behind it.

    >>> gap_id_of("t1f00"), gap_id_of("t1f00", "tenant", "uk")
    ('g1f00', 'g1f00-a27b')
    """
    part = "" if attribute is None else "-" + short_hash(attribute, value or "", length=4)
    return "g" + topic_id[1:] + part


def topic_id_of(gap_id: str) -> str:
    """The topic that a gap is, or is a part of.

    >>> topic_id_of("g1f00-f7ff")
    't1f00'
    """
    return "t" + gap_id[1:].partition("-")[0]


def rank_gaps(slices: Sequence[Slice], bounds: Bounds) -> list[Gap]:
    """The gaps among middle topics (parent -1) and the fine topics in them, the greatest priority first."""
    gap = np.array([bounds.hold(one) for one in slices], bool)
    chosen = [position for position in _units(slices, gap) if gap[position]]
    found = [gap_of(position, slices[position], bounds) for position in chosen]
    return sorted(found, key=lambda one: (-one.priority, one.slice))


def gap_of(position: int, one: Slice, bounds: Bounds) -> Gap:
    """The slice at a position as a gap.

    priority = share * (1 - high end of coverage) * risk * growth: the turns that are surely uncovered, weighted by how
    often replies fail there compared with everywhere (0.67 to 1.5) and by whether it grows (square root; 0.7 to 1.4).
    """
    risk = float(risk_of(one.failures * one.turns, one.turns, bounds.failures))
    return Gap(position, one.surely_uncovered * risk * growth_factor(one.growth), risk)


def priority_parts(share: float, high: float, risk: float, growth: float) -> dict[str, float]:
    """What a gap's priority is the product of, from its share of the traffic, the high end of its coverage, risk and growth.

    >>> priority_parts(0.02, 0.25, 1.5, float("nan"))
    {'traffic': 0.02, 'surely_uncovered': 0.75, 'risk': 1.5, 'growth': 1.0}
    """
    return {"traffic": share, "surely_uncovered": 1 - high, "risk": risk, "growth": growth_factor(growth)}


def alerts(one: Slice, *, alert_share: float) -> bool:
    """Whether so much of the traffic is uncovered in a topic that looks more missed than covered, whatever was sampled."""
    return bool(
        one.share * (1 - one.sampled.high) >= alert_share
        and one.coverage.value <= _ALERT_COVERED_AT_MOST
        and one.sampled.high <= _ALERT_HIGH_AT_MOST
    )


def _units(slices: Sequence[Slice], gap: NDArray[np.bool_]) -> list[int]:
    """Each middle topic as a whole, or its fine topics where only a part of it is a gap."""
    children: dict[int, list[int]] = {}
    for position, one in enumerate(slices):
        children.setdefault(one.parent, []).append(position)
    units = []
    for position in children.get(-1, []):
        one, inside = slices[position], children.get(position, [])
        in_gaps = sum(slices[child].turns for child in inside if gap[child])
        whole = gap[position] and in_gaps >= _OF_ONE_KIND * one.turns
        units += [position] if whole or not inside else inside
    return units


def risk_of(
    failed: float | NDArray[np.float64], turns: float | NDArray[np.float64], failures: float
) -> NDArray[np.float64]:
    """Failure rate of slices over that of everything, `failures`, drawn to 1 by twenty turns of the usual rate."""
    if failures <= 0:
        return np.ones(np.shape(turns))
    rate = (failed + failures * 20) / (np.asarray(turns) + 20)
    return np.asarray(np.clip(rate / failures, 1 / _RISK_LIMIT, _RISK_LIMIT), np.float64)


def growth_factor(growth: float) -> float:
    """What growth makes of the priority; nothing where it is not known."""
    return 1.0 if not np.isfinite(growth) else float(np.sqrt(np.clip(growth, 1 / _GROWTH_LIMIT, _GROWTH_LIMIT)))
