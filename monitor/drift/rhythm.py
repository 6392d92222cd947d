"""The rhythm of the traffic: hours of the week in which people ask for different things, found in a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from monitor.drift.seasons import HOURS_OF_WEEK

__all__ = ["LEAST_HOURS", "Rhythm"]

#: A reference of fewer hours than a week has no weekend, and what is of one day only would be taken for a rhythm.
LEAST_HOURS = HOURS_OF_WEEK
#: Hours of a working day, then those of a day of the weekend.
_SLOTS = 48
#: A season has so many conversations of the reference, and is parted so often at most: into eight.
_LEAST, _DEPTH = 150, 3
#: A part is kept when none of so many random ones is as different.
_SHUFFLES = 99


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The season of each hour of the week [168], Monday at midnight first, from 0 on."""

    of_hour: NDArray[np.int64]

    @property
    def seasons(self) -> int:
        return int(self.of_hour.max()) + 1

    @classmethod
    def none(cls) -> Self:
        """All hours alike."""
        return cls(np.zeros(HOURS_OF_WEEK, np.int64))

    @classmethod
    def of_list(cls, seasons: Sequence[int] | None) -> Self:
        """As it was kept; None where no seasons were looked for."""
        return cls.none() if seasons is None else cls(np.array(seasons, np.int64))

    @classmethod
    def find(cls, topics: NDArray[np.int64], hours: NDArray[np.int64], *, seed: int) -> Self:
        """Of conversations [c] with their topics and hours of the week.

        The hours are parted again and again, the weekend from the working days or some hours of the day from the others, where
        the topics differ most (G-test), as long as they differ more than in any of 99 random partings of the same conversations
        (so one in a hundred is by chance) and either side has 150. People ask alike in all hours of a season.
        """
        slots = _slots_of(hours)
        seasons = np.zeros(_SLOTS, np.int64)
        _part(seasons, slots, topics, 0, np.random.default_rng(seed))
        names = {old: new for new, old in enumerate(dict.fromkeys(seasons.tolist()))}
        found = np.array([names[one] for one in seasons.tolist()], np.int64)
        return cls(found[_slots_of(np.arange(HOURS_OF_WEEK))])


def _slots_of(hours: NDArray[np.int64]) -> NDArray[np.int64]:
    return hours % 24 + 24 * (hours >= 5 * 24)


def _part(
    seasons: NDArray[np.int64],
    slots: NDArray[np.int64],
    topics: NDArray[np.int64],
    depth: int,
    rng: np.random.Generator,
) -> None:
    """Part the one season that these conversations lie in, and its parts; in place."""
    if depth == _DEPTH or len(slots) < 2 * _LEAST:
        return
    own = seasons[slots[0]]
    width = int(topics.max()) + 1
    counts = _counts(slots, topics, width)
    candidates = _PARTINGS & (seasons == own)
    inside = candidates @ counts.sum(axis=1)
    candidates = candidates[(inside >= _LEAST) & (len(slots) - inside >= _LEAST)]
    if not len(candidates):
        return
    differ = _differ(candidates, counts)
    shuffled = max(
        float(_differ(candidates, _counts(rng.permutation(slots), topics, width)).max()) for _ in range(_SHUFFLES)
    )
    if differ.max() <= shuffled:
        return
    chosen = candidates[differ.argmax()]
    seasons[chosen] = seasons.max() + 1
    for side in (chosen[slots], ~chosen[slots]):
        _part(seasons, slots[side], topics[side], depth + 1, rng)


def _counts(slots: NDArray[np.int64], topics: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    return np.bincount(slots * width + topics, minlength=_SLOTS * width).reshape(_SLOTS, width).astype(np.float64)


def _differ(candidates: NDArray[np.bool_], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much the topics of the slots inside and outside of each candidate differ: half of G, but for a constant."""
    inside = candidates @ counts
    outside = counts.sum(axis=0) - inside
    found: NDArray[np.float64] = sum(
        _entropy(part).sum(axis=1) - _entropy(part.sum(axis=1)) for part in (inside, outside)
    )
    return found


def _entropy(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = counts * np.log(np.maximum(counts, 1.0))
    return found


def _partings() -> NDArray[np.bool_]:
    """Slots inside of each: the weekend; and so many hours of the day from each hour on."""
    weekend = np.arange(_SLOTS) >= 24
    hour = np.arange(_SLOTS) % 24
    spans = [(hour - start) % 24 < length for length in range(1, 13) for start in range(24)]
    return np.array([weekend, *spans])


_PARTINGS = _partings()
