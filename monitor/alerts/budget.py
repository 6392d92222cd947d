"""One budget of false alarms over all that watches for a change: `drift.false_alarms_per_month`, and how much of it each has.

The lookout, the surges, the comparisons of windows and the watch-lists look at the same traffic again and again, each with a
chance of crying wolf. Chances add up, whatever the dependence: where the levels of all looks of a month sum up to a part of
the budget, so many false alarms come from them in the mean at most. So a look may spend what has gathered since the look before
it, and looks that come often ask for more. The lookout's bets are valid at any time, and have a part as their limit
(docs/decisions/0037).

A gap is no change: it is an estimate of coverage, told once every look of a week has found it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from monitor.settings import Settings
from monitor.store.alerts import SubjectRow

__all__ = ["KIND", "MONTH", "PARTS", "Allowance", "allowed", "lookout_limit"]

MONTH = timedelta(days=30)

#: What each has of the budget. A smaller part costs the lookout a few conversations and a surge one or two, and the comparisons
#: days: they see last what the others see first, and are there for what spreads over many topics.
PARTS = MappingProxyType({"lookout": 0.5, "surges": 0.35, "comparisons": 0.1, "watch_lists": 0.05})

#: Of the part of surges and of watch-lists so much is kept for one look a day, and the rest is spent by every look: a burst is
#: told in the hour, and what grows by a few a day is not asked for a p-value that it never reaches.
_KEPT = 0.8
_DAY = timedelta(days=1)

#: The kind of the subjects that remember when a look spent last.
KIND = "budget"
_DAILY = "_daily"


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one look may spend: the largest p-value of a surge, of each comparison and of all watch-lists together that is told.

    `spent` is what is remembered of it.
    """

    surges: float
    comparisons: float
    watch_lists: float
    spent: tuple[SubjectRow, ...] = ()


def lookout_limit(settings: Settings) -> float:
    """Months of evidence that are an alarm of the lookout: the mean time to a false one is at least as long."""
    return 1 / (PARTS["lookout"] * settings.drift.false_alarms_per_month)


def allowed(
    known: Sequence[SubjectRow], settings: Settings, *, comparisons: int, now: datetime, at: datetime
) -> Allowance:
    """What this look may spend; `known` are the subjects of this kind, and `comparisons` so many windows are compared.

    Time is the traffic's (`now`) or the clock's (`at`), whichever has gone on farther. P-values of surges and watch-lists are
    as small as need be: every look spends a fifth of what gathered since the last, and one look a day the rest of the day's.
    Those of comparisons are of permutations, and none is below 1 / (`drift.permutations` + 1): they wait until
    `drift.false_alarm` has gathered and spend it at once, whether or not they then find anything.
    """
    rows = {row.subject: row for row in known}
    drift = settings.drift

    def gathered(name: str) -> float:
        months = _since(rows.get(name), now, at) / MONTH
        return PARTS[name.removesuffix(_DAILY)] * drift.false_alarms_per_month * months

    each = max(drift.false_alarm / max(comparisons, 1), 1 / (drift.permutations + 1))
    levels, spend = {}, []
    for name in ("surges", "watch_lists"):
        daily = name + _DAILY
        levels[name] = (1 - _KEPT) * gathered(name)
        spend.append(name)
        if _since(rows.get(daily), now, at) >= _DAY:
            levels[name] += _KEPT * gathered(daily)
            spend.append(daily)
    opens = "comparisons" not in rows or gathered("comparisons") >= each * comparisons
    if opens:
        spend.append("comparisons")
    return Allowance(
        surges=min(drift.false_alarm, levels["surges"]),
        comparisons=each if opens else 0.0,
        watch_lists=min(drift.false_alarm, levels["watch_lists"]),
        spent=tuple(_spent(rows.get(name), name, now, at) for name in spend),
    )


def _since(row: SubjectRow | None, now: datetime, at: datetime) -> timedelta:
    """`seen_at` of such a row is in the traffic's time, `since` in the clock's. The first look spends what a day gathers."""
    if row is None:
        return _DAY
    return max(now - row.seen_at, at - row.since, timedelta(0))


def _spent(row: SubjectRow | None, name: str, now: datetime, at: datetime) -> SubjectRow:
    fresh = row or SubjectRow(KIND, name, "open", at, now, None, None, 0.0)
    # A log of older turns does not turn time back.
    return replace(fresh, since=max(at, fresh.since), seen_at=max(now, fresh.seen_at))
