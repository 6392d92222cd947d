"""When a topic appeared, and whether it grows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAY", "first_seen", "growth", "growth_of", "periods"]

DAY = 86_400_000_000
_WEEK = 7 * DAY

#: A topic has appeared when the week from then on holds this many conversations, and this share of its busiest week.
_LEAST, _SHARE_OF_PEAK = 3, 0.25


def first_seen(created: NDArray[np.int64], conversations: NDArray[np.int64]) -> int:
    """Time of the first turn that is no stray, in microseconds since 1970. At least one turn.

    A few turns of other topics always end up in a topic; the first turn of all would date a new topic by its first
    stray. So it is the first turn whose following week holds at least 3 conversations and a quarter of the conversations of
    the topic's busiest week. A topic that never has that is dated by its first turn.
    """
    order = np.lexsort((conversations, created))
    times, talks = created[order], conversations[order]
    _, firsts = np.unique(talks, return_index=True)
    starts = np.sort(times[firsts])
    following = np.searchsorted(starts, starts + _WEEK) - np.arange(len(starts))
    established = following >= max(_LEAST, _SHARE_OF_PEAK * following.max())
    return int(starts[established.argmax()]) if established.any() else int(times[0])


def growth(
    created: NDArray[np.int64],
    all_created: NDArray[np.int64],
    *,
    end: int,
) -> float:
    """Share of the traffic in the last 7 days over that in the 28 days before; 1 is no change, nan without two weeks of data.

    One turn is added to the topic's count on either side (in proportion to the traffic), so that new and rare topics have a
    finite growth.
    """
    totals = [float(one.sum()) for one in periods(all_created, end=end)]
    if not all(totals) or all_created.min() > end - 2 * _WEEK:
        return float("nan")
    in_recent, in_before = (np.array([float(one.sum())]) for one in periods(created, end=end))
    return float(growth_of(in_recent, in_before, *totals)[0])


def periods(created: NDArray[np.int64], *, end: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What is of the last 7 days [t], and of the 28 days before [t]."""
    border = end - _WEEK
    return (created >= border) & (created < end), (created >= border - 4 * _WEEK) & (created < border)


def growth_of(
    in_recent: NDArray[np.float64], in_before: NDArray[np.float64], recent: float, before: float
) -> NDArray[np.float64]:
    """Growth of topics [l] from their turns of both periods and those of all; nan where a period holds none at all."""
    if not recent or not before:
        return np.full(len(in_recent), np.nan)
    whole = recent + before
    return np.asarray(((in_recent + recent / whole) / recent) / ((in_before + before / whole) / before), np.float64)
