"""Since when: the day on which a share of the traffic most likely changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaln

from monitor.atlas.assembly import microseconds
from monitor.drift.look import Look
from monitor.drift.seasons import calendar_day
from monitor.records import Window

__all__ = ["Days", "Onset", "onset"]

_EPOCH = date(1970, 1, 1)
#: What is known of either share beforehand: nothing (Jeffreys).
_HALF = 0.5
_ENDS = (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class Onset:
    """The first day of the new share, and the days between which it lies with 90 % probability."""

    day: date
    low: date
    high: date

    @property
    def days(self) -> int:
        """How many days it may be."""
        return (self.high - self.low).days + 1


def onset(hits: NDArray[np.int64], totals: NDArray[np.int64], days: NDArray[np.int64]) -> Onset | None:
    """When a share changed that changed once, of counts by day: `hits` of `totals` [d] conversations on `days` [d] since 1970.

    Each day is as likely beforehand; the shares before and after it are unknown (Smith, 1975, for binomial counts: the
    probability of a day is the product of two beta-binomials). The days are those with conversations, in order; None where
    there are fewer than two.

    A share that grows slowly has its day in the middle of its growth.
    """
    seen = np.flatnonzero(totals > 0)
    if len(seen) < 2:
        return None
    hit, total, day = hits[seen].astype(np.float64), totals[seen].astype(np.float64), days[seen]
    before, of_before = np.cumsum(hit)[:-1], np.cumsum(total)[:-1]
    after, of_after = hit.sum() - before, total.sum() - of_before
    log = _log_evidence(before, of_before) + _log_evidence(after, of_after)
    chance = np.exp(log - log.max())
    reached = np.cumsum(chance) / chance.sum()
    low, high = (int(np.searchsorted(reached, end)) for end in _ENDS)
    found = [
        _EPOCH + timedelta(days=int(day[1:][place])) for place in (int(log.argmax()), low, min(high, len(log) - 1))
    ]
    return Onset(*found)


@dataclass(frozen=True, slots=True)
class Days:
    """The conversations of a time by the day on which they began: the days [d] since 1970 with their conversations, each
    conversation's place among them [c], and of each turn inside [t] its row in the look and its conversation."""

    look: Look
    day: NDArray[np.int64]
    totals: NDArray[np.int64]
    place: NDArray[np.int64]
    inside: NDArray[np.int64]
    of_turns: NDArray[np.int64]

    @classmethod
    def of(cls, look: Look, windows: tuple[Window, Window], zone: str) -> Days:
        """From the start of the first window to the end of the second, in days of the zone's calendar."""
        start, end = microseconds(windows[0].start), microseconds(windows[1].end)
        inside = np.flatnonzero((look.created >= start) & (look.created < end))
        inside = inside[np.argsort(look.created[inside], kind="stable")]
        _, first, of_turns = np.unique(look.conversation[inside], return_index=True, return_inverse=True)
        day, place = np.unique(calendar_day(look.created[inside[first]], zone), return_inverse=True)
        return cls(look, day, np.bincount(place, minlength=len(day)), place, inside, of_turns)

    def onset(self, topic: int, *, grew: bool) -> Onset | None:
        """Since when a topic has its share of the conversations. None where it is unknown, or is the day of a change the
        other way."""
        about = np.zeros(len(self.place), bool)
        about[self.of_turns[np.isin(self.inside, self.look.members(topic))]] = True
        hits = np.bincount(self.place, weights=about, minlength=len(self.day)).astype(np.int64)
        found = onset(hits, self.totals, self.day)
        if found is None:
            return None
        new = self.day >= (found.day - _EPOCH).days
        rises = hits[new].sum() * self.totals[~new].sum() > hits[~new].sum() * self.totals[new].sum()
        return found if rises == grew else None


def _log_evidence(hits: NDArray[np.float64], totals: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(betaln(hits + _HALF, totals - hits + _HALF) - betaln(_HALF, _HALF), np.float64)
