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
    "hours_between",
    "weekday",
    "without_weekdays",
]

HOURS_OF_WEEK = 168

#: Microseconds.
HOUR = 3_600_000_000

#: A weekday's factor counts as much as this many expected conversations of evidence that weekdays do not matter.
_PRIOR = 10.0

#: Weekdays show in no fewer days than two weeks.
LEAST_DAYS = 14


def hour_of_week(moments: NDArray[np.int64], zone: str) -> NDArray[np.int64]:
    """Hour of the week [n] in a zone of the calendar, Monday at midnight is 0; microseconds since 1970 in UTC."""
    # 1970 began on a Thursday.
    return (_local_hours(moments, zone) + 3 * 24) % HOURS_OF_WEEK


def hours_between(start: int, end: int, zone: str) -> NDArray[np.int64]:
    """The hours of the week that a time from `start` to `end` touches, in order; microseconds since 1970 in UTC."""
    hours = np.arange(start // HOUR, -(-end // HOUR), dtype=np.int64)[:HOURS_OF_WEEK]
    return np.unique(hour_of_week(hours * HOUR, zone))


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
