"""Where a gap comes from: one tenant, language, model or prompt version that holds most of it, far beyond its share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.attributes import Attribute
from monitor.atlas.timeline import DAY
from monitor.coverage.production import Production

__all__ = ["Split", "splits_of"]

#: A value is told when it has most of the gap's conversations, its share is so far above that in the traffic and its odds so
#: many times as large, and chance does that in at most this share of analyses.
_MOST, _FAR, _LEAST_ODDS, _BY_CHANCE = 0.5, 0.2, 3.0, 0.05

#: A turn with a lower probability of being covered counts as missed.
_MISSED = 0.5


@dataclass(frozen=True, slots=True)
class Split:
    """A value that holds most of a gap: shares of conversations, in the gap and in the traffic of its weeks; the p-value is
    corrected for all that was asked. `failures` is the share of its turns in the gap with a negative signal, `failures_of_rest`
    that of the gap's other turns (None without any)."""

    attribute: str
    value: str
    share_of_gap: float
    share_of_traffic: float
    p_value: float
    failures: float
    failures_of_rest: float | None


def splits_of(
    production: Production,
    covered: NDArray[np.floating],
    gaps: Sequence[NDArray[np.int64]],
    *,
    min_conversations: int,
) -> list[tuple[dict[str, Any], ...]]:
    """For each gap, given as rows of its turns, what comes mostly from one value, as rows of a report; `covered` [c] is of the
    counted turns.

    A gap's conversations are those with a missed or failed turn in it. Chance draws each from the traffic of its week, so the
    values that came into use lately explain no gap that is as new: the number with the value is compared with a binomial one
    of the same mean, whose variance is no less, and p-values are multiplied by the number of values asked (Bonferroni).
    """
    asked, found = 0, []
    open_ = production.failed.copy()
    open_[production.counted] |= covered < _MISSED
    weeks = production.corpus.created // (7 * DAY)
    for name, said in production.attributes.items() if gaps else ():
        usual = _usual(production, said, weeks)
        for number, member in enumerate(gaps):
            rows = _first_of_conversations(production, member[open_[member]])
            if len(rows) < min_conversations:
                continue
            counts = np.bincount(said.of_turns[rows] + 1, minlength=len(said.values) + 1)[1:]
            asked += int((usual.sum(axis=0) > 0).sum())
            place = int(counts.argmax())
            expected = float(usual[weeks[rows] - weeks.min(), place].mean())
            if _stands_out(counts[place] / len(rows), expected):
                found.append((number, _split(production, name, said, place, rows, member, expected)))
    told: list[list[dict[str, Any]]] = [[] for _ in gaps]
    for number, one in found:
        corrected = min(1.0, one.p_value * asked)
        if corrected <= _BY_CHANCE:
            told[number].append(asdict(one) | {"p_value": corrected})
    return [tuple(some) for some in told]


def _stands_out(share: float, expected: float) -> bool:
    odds = share * (1 - expected) >= _LEAST_ODDS * expected * (1 - share)
    return odds and share > _MOST and share - expected >= _FAR


def _split(
    production: Production,
    name: str,
    said: Attribute,
    place: int,
    rows: NDArray[np.int64],
    member: NDArray[np.int64],
    expected: float,
) -> Split:
    from scipy.stats import binom

    count = int((said.of_turns[rows] == place).sum())
    with_it = said.of_turns[member] == place
    failed = production.failed[member]
    return Split(
        attribute=name,
        value=said.values[place],
        share_of_gap=count / len(rows),
        share_of_traffic=expected,
        p_value=float(binom.sf(count - 1, len(rows), expected)),
        failures=float(failed[with_it].mean()) if with_it.any() else 0.0,
        failures_of_rest=None if with_it.all() else float(failed[~with_it].mean()),
    )


def _first_of_conversations(production: Production, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """The first of each conversation's rows."""
    return rows[np.unique(production.corpus.conversation[rows], return_index=True)[1]]


def _usual(production: Production, said: Attribute, weeks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of each value [w, v] among all conversations of each week, numbered from the first turn's."""
    rows = _first_of_conversations(production, production.counted)
    week, columns = weeks[rows] - weeks.min(), len(said.values) + 1
    size = int(weeks.max() - weeks.min()) + 1
    # The first column is of no value.
    place = week * columns + said.of_turns[rows] + 1
    counts = np.bincount(place, minlength=size * columns).reshape(size, columns)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros(counts.shape), where=total > 0)
    return np.asarray(shares[:, 1:], np.float64)
