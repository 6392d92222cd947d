"""How much more of the same traffic one eval set covers than another, with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from monitor.coverage.estimate import Coverage
from monitor.coverage.interval import Interval, differs, flips

__all__ = ["Change", "change_between"]


@dataclass(frozen=True, slots=True)
class Change:
    """Coverage now less that before: of all turns, and of each topic; nan where one of them has no turns."""

    traffic: Interval
    topics: tuple[Interval, ...]


def change_between(before: Coverage, now: Coverage, interval: float) -> Change:
    """A paired bootstrap: the difference in each replicate, where both drew the same conversations, and shared items alike.

    So what both eval sets have in common cancels. The traffic's change lies where these differences do; of a topic it is that
    of a handful of intents, each of which the items cover or not (`monitor.coverage.interval.flips`). Both estimates must be of
    the same turns and topics, with the same seed and number of replicates.
    """
    draws = now.draws - before.draws
    (traffic,) = differs(np.array([now.traffic.value - before.traffic.value]), draws[:, :1], interval)
    figures = np.array([one.value - other.value for one, other in zip(now.topics, before.topics, strict=True)])
    return Change(traffic, flips(figures, draws[:, 1:], interval))
