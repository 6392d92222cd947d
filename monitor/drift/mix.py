"""A change of who is there: whether another mix of tenants, languages, models or prompt versions explains a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from monitor.drift.attribution import Attribution
from monitor.drift.pool import Pool, pooled
from monitor.drift.sample import Sample
from monitor.drift.shares import shares, shares_of
from monitor.store.statistics import Release

__all__ = ["Mix", "ValueChange", "dated", "like_strata", "mixes"]

#: A value with a smaller part of the turns than this is counted with the other rare ones.
_RARE = 0.02

#: What the values beside the largest are counted as.
OTHERS = "others"

#: Within strata only what both windows have is compared, from so many conversations on each side.
_LEAST = 10


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One value of an attribute: its shares of the turns, and the part of the change that its turns carry; `since` is the day
    on which a model or a prompt version came into use, where that was between the windows' ends."""

    value: str
    before: float
    after: float
    contribution: float
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Mix:
    """An attribute of the turns: `p_value` is of a change of its shares, `effect` the share of turns that differ."""

    attribute: str
    p_value: float
    effect: float
    values: tuple[ValueChange, ...]


def mixes(
    pool: Pool, carried: Attribution, attributes: Mapping[str, tuple[Sequence[str], NDArray[np.int64]]]
) -> list[Mix]:
    """How the mix of each attribute changed: of names, and each turn's number among them [n] in the pool's order, -1 for none.

    `carried` says what the turns carry of the change. Only attributes with at least two values are looked at. P-values are by
    the G-test, multiplied by how many are asked about (Bonferroni).
    """
    found = []
    for name, (names, of_turns) in attributes.items():
        names, of_turns = _without_rare(names, of_turns)
        if len(names) < 2:
            continue
        alone = replace(pool, topics=of_turns[None])
        test, parts = shares(alone), carried.parts(of_turns)
        values = [
            ValueChange(names[place], before, after, float(parts[place]))
            for place, (before, after) in shares_of(alone).items()
        ]
        values.sort(key=lambda one: (-abs(one.after - one.before), one.value))
        found.append(Mix(name, test.p_value, test.effect, tuple(values)))
    return [replace(one, p_value=min(1.0, one.p_value * len(found))) for one in found]


def dated(found: Sequence[Mix], releases: Sequence[Release], start: datetime, end: datetime) -> list[Mix]:
    """The mixes with the days of the releases between `start` and `end`."""
    since = {(one.field, one.value): one.since.date().isoformat() for one in releases if start < one.since < end}
    return [
        replace(mix, values=tuple(replace(one, since=since.get((mix.attribute, one.value))) for one in mix.values))
        for mix in found
    ]


def like_strata(
    reference: Sample,
    current: Sample,
    strata: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    rng: np.random.Generator,
    permutations: int,
) -> Pool:
    """Both windows within strata [n of each], so that a change of the strata's shares makes no difference.

    What has fewer than ten conversations of its stratum on either side is left out, for it has nothing to be compared with.
    """
    now, before = (
        {
            int(one)
            for one, count in zip(*np.unique(_of_conversations(side, part), return_counts=True), strict=True)
            if count >= _LEAST
        }
        for side, part in ((current, strata[1]), (reference, strata[0]))
    )
    both = np.array(sorted(now & before), np.int64)
    kept = [np.isin(part, both) for part in strata]
    numbers = tuple(np.searchsorted(both, part[keep]) for part, keep in zip(strata, kept, strict=True))
    return pooled(
        reference.only(kept[0]),
        current.only(kept[1]),
        rng=rng,
        permutations=permutations,
        strata=(numbers[0].astype(np.int64), numbers[1].astype(np.int64)),
    )


def _of_conversations(side: Sample, stratum: NDArray[np.int64]) -> NDArray[np.int64]:
    """The stratum of each conversation's first turn."""
    return stratum[np.unique(side.conversations, return_index=True)[1]]


def _without_rare(names: Sequence[str], of_turns: NDArray[np.int64]) -> tuple[list[str], NDArray[np.int64]]:
    """The values that matter, and the rare ones as one; numbered anew."""
    there = of_turns[of_turns >= 0]
    counts = np.bincount(there, minlength=len(names))
    frequent = np.flatnonzero(counts >= max(_RARE * len(of_turns), 1))
    number = np.full(len(names) + 1, len(frequent), np.int64)  # the last is for -1, which stays
    number[frequent] = np.arange(len(frequent))
    found = np.where(of_turns >= 0, number[of_turns], -1)
    kept = [names[place] for place in frequent.tolist()]
    return ([*kept, OTHERS] if (found == len(frequent)).any() else kept), found
