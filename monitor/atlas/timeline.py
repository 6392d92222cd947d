"""When a topic appeared, and whether it grows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAY", "first_seen", "growth"]

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
    recent: int = 7 * DAY,
    before: int = 28 * DAY,
) -> float:
    """Share of the traffic in the last 7 days over that in the 28 days before; 1 is no change, nan without two weeks of data.

    One turn is added to the topic's count on either side (in proportion to the traffic), so that new and rare topics have a
    finite growth.
    """
    border, start = end - recent, end - recent - before
    total_recent, total_before = _between(all_created, border, end), _between(all_created, start, border)
    if total_before == 0 or total_recent == 0 or all_created.min() > border - _WEEK:
        return float("nan")
    whole = total_recent + total_before
    in_recent = _between(created, border, end) + total_recent / whole
    in_before = _between(created, start, border) + total_before / whole
    return float((in_recent / total_recent) / (in_before / total_before))


def _between(created: NDArray[np.int64], start: int, end: int) -> int:
    return int(((created >= start) & (created < end)).sum())
