"""How the lookout stands, in words for people: what it has watched, and how much of what an alarm takes it has seen."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from monitor.alerts.budget import lookout_limit
from monitor.drift.detector import FAMILIES, FEWEST
from monitor.drift.rhythm import LEAST_HOURS
from monitor.settings import Settings
from monitor.store.lookouts import LookoutRow
from monitor.wording import counted, short_day

__all__ = ["Standing", "standing"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the lookout stands, in words and as a number: `share` of what an alarm takes, nan while it does not bet.

    `parts` are the shares of the families by their names.
    """

    words: str
    share: float
    parts: Mapping[str, float]


_FAMILIES = {"novelty": "new subjects", "topics": "topics asked more often", "negative": "replies that go wrong"}


def standing(row: LookoutRow | None, settings: Settings) -> Standing:
    """What is shown of it; `row` is None before there is traffic enough."""
    if row is None:
        days = counted(settings.alerts.settle_days, "day")
        words = f"`offmap serve` begins to watch when the traffic spans {days} and {FEWEST} conversations are analysed."
        return Standing(words, math.nan, {})
    if not row.encoder:
        return Standing("The change is accepted: the next look pins another reference.", math.nan, {})
    watched = f"{counted(row.conversations, 'conversation')} since {row.since:%H:%M} on {short_day(row.since)} (UTC)"
    known = int(np.sum(row.state["counts"]))
    if known < FEWEST:
        return Standing(
            f"Learning what is usual: {known} of {FEWEST} conversations since the last change.", math.nan, {}
        )
    limit = lookout_limit(settings)
    parts = {_FAMILIES[name]: row.evidence[name] / limit for name in FAMILIES}
    share_ = sum(parts.values())
    words = f"Watched {watched}, against {row.reference:,} before: evidence of a change is {share_:.2f} of 1."
    return Standing(words + _rhythm_words(row), share_, parts)


def _rhythm_words(row: LookoutRow) -> str:
    """What hours of the week have to do with it; nothing where they are alike."""
    hours = row.state.get("hours")
    if hours is not None and hours < LEAST_HOURS:
        spanned = counted(round(hours / 24), "day") if hours >= 48 else counted(round(hours), "hour")
        return (
            f" Those before came within {spanned}: hours and days that are not among them may look like a change, "
            "until there is a week of them."
        )
    seasons = len(set(row.state.get("season_of_hour") or (0,)))
    return " What is asked differs by the hour of the week, so like hours are compared." if seasons > 1 else ""
