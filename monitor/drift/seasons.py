"""Weekday and hour in counts over time: which season an hour belongs to, and what a series is without its seasons."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "HOUR",
    "HOURS_OF_WEEK",
    "LEAST_DAYS",
    "calendar_day",
    "hour_of_week",
    "like_hours",
    "weekday",
    "without_weekdays",
]

HOURS_OF_WEEK = 168

#: In microseconds.
HOUR = 3_600_000_000

#: The hour of the week that the current window has most of, less the few oddest ones.
_NEARLY_ALL = 0.98

#: A weekday's factor counts as much as this many expected conversations of evidence that weekdays do not matter.
_PRIOR = 10.0

#: Weekdays show in no fewer days than two weeks.
LEAST_DAYS = 14


def hour_of_week(moments: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Hour of the week [n] in a zone of the calendar, Monday at midnight is 0; microseconds since 1970 in UTC."""
    # 1970 began on a Thursday.
    return (_local_hours(moments, zone) + 3 * 24) % HOURS_OF_WEEK


def like_hours(current: tuple[int, int], reference: tuple[int, int], zone: str) -> NDArray[np.float64]:
    """What part of the reference to keep in each hour of the week [168], for it to hold as much of each as the current window
    does: ten days hold two Mondays and one Thursday, so of four of each all Mondays and two Thursdays. Nought where the current
    window has no such hour. Starts and ends in microseconds since 1970 in UTC.
    """
    now, before = (_lengths(*one, zone) for one in (current, reference))
    wanted = np.divide(now, before, out=np.zeros(HOURS_OF_WEEK), where=before > 0)
    there = wanted[wanted > 0]
    # An hour that a change of the clock took from the reference would have all others thinned: it stays a little short.
    whole = np.quantile(there, _NEARLY_ALL, method="higher") if len(there) else 1.0
    found: NDArray[np.float64] = np.minimum(wanted / whole, 1.0)
    return found


def _lengths(start: int, end: int, zone: str) -> NDArray[np.float64]:
    """How many of each hour of the week [168] a time from `start` to `end` holds, parts counted as parts."""
    hours = np.arange(start // HOUR, max(-(-end // HOUR), start // HOUR), dtype=np.int64)
    parts = (np.minimum((hours + 1) * HOUR, end) - np.maximum(hours * HOUR, start)) / HOUR
    found = np.zeros(HOURS_OF_WEEK)
    np.add.at(found, hour_of_week(hours * HOUR, zone), parts)
    return found


def calendar_day(moments: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Day [n] of a zone's calendar, in days since 1970; microseconds since 1970 in UTC."""
    return _local_hours(moments, zone) // 24


def weekday(days: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of days since 1970 [n]; Monday is 0."""
    return (np.asarray(days, np.int64) + 3) % 7


def without_weekdays(
    counts: NDArray[np.float64], totals: NDArray[np.float64], weekdays: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Shares [s, d] of series of counts [s, d] in totals [d], as if every day were an average weekday.

    Each day's share is divided by its weekday's factor: what the series has on that weekday over what its overall share would
    give, drawn to 1 by ten expected cases (the mean of a gamma posterior). Fewer than 14 days are left as they are. A
    day without a total is nan.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = counts / totals
    if counts.shape[1] < LEAST_DAYS:
        return shares
    overall = counts.sum(axis=1, keepdims=True) / max(float(totals.sum()), 1.0)
    expected = overall * totals
    factors = np.ones_like(shares)
    for weekday in np.unique(weekdays):
        days = weekdays == weekday
        seen, due = counts[:, days].sum(axis=1), expected[:, days].sum(axis=1)
        factors[:, days] = ((seen + _PRIOR) / (due + _PRIOR))[:, None]
    return np.asarray(shares / factors)


def _local_hours(moments: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    hours, place = np.unique(np.asarray(moments, np.int64) // HOUR, return_inverse=True)
    # The zone's distance from UTC is asked once a distinct hour, for it changes twice a year.
    shifted = hours + np.array([_offset_hours(hour, zone) for hour in hours.tolist()], np.int64)
    return shifted[place.ravel()]


def _offset_hours(hour: int, zone: str) -> int:
    from datetime import UTC, datetime

    offset = datetime.fromtimestamp(hour * 3600, UTC).astimezone(ZoneInfo(zone)).utcoffset()
    return round(offset.total_seconds() / 3600) if offset else 0
