"""What a comparison says, in sentences for people who are no statisticians."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import floor, log10
from typing import Any

from monitor.drift.mix import Mix, ValueChange
from monitor.drift.pool import DriftResult
from monitor.records import Window
from monitor.settings import Settings
from monitor.wording import clean, cut, share, short_day

__all__ = ["Statement", "descriptor_values", "how_it_moved", "since_when"]

#: Topics that a verdict names, and values of a mix.
_NAMED = 3

#: Costs of a turn below this are told for a thousand turns.
_CENT = 0.01

#: A topic with a smaller share than this was not there.
_NONE = 0.001

#: A sentence about new subjects is worth it from this share on.
_SOMETHING = 0.01

#: A change that is dated to so many days is told with its day, and to so many with about its day; any vaguer has none.
_DATED, _ABOUT = 2, 8

#: A part of the change that is told in whole percent.
_A_PART = 0.005

_PLURAL = {"tenant": "tenants", "language": "languages", "model": "models", "prompt_version": "prompt versions"}


@dataclass(frozen=True, slots=True)
class Statement:
    """The two sides of a comparison: `window` is None for an eval set, whose name is `name`; `sizes` are of `reference` and
    `current`; `like` says that only the same hours of the week are compared."""

    name: str
    window: Window | None
    current: Window
    sizes: Mapping[str, int]
    like: bool = False

    def too_few(self, settings: Settings) -> str | None:
        """What is said of too few turns or items; None where there are enough."""
        least, setting = settings.drift.min_turns, "drift.min_turns"
        # An eval set is small by nature: what it holds is enough to compare with where it is enough for coverage.
        enough, what = (least, "turns") if self.window else (settings.coverage.min_eval_items, "items")
        if self.sizes["current"] < least:
            found, where, what = self.sizes["current"], _days(self.current), "turns"
        elif self.sizes["reference"] < enough:
            found, where, least = self.sizes["reference"], _days(self.window) if self.window else self.name, enough
            if self.window is None:
                setting = "coverage.min_eval_items"
        else:
            return None
        return f"Too little to say: {found:,} {what} in {where}, and at least {least:,} are needed (setting {setting})."

    def verdict(
        self,
        moved: Sequence[Mapping[str, Any]],
        novelty: DriftResult | None,
        mix: Mix | None,
        within: float | None,
        *,
        p_value: float,
        effect: float | None,
        alarm: bool,
        level: float,
    ) -> str:
        """`moved` are rows of topics, `within` is the p-value within the values of the `mix` that changed most, if known."""
        if p_value > level:
            return f"No change beyond chance {self._between} ({self._sizes})."
        if mix is not None and within is not None and within > level:
            return (
                f"Other {_PLURAL[mix.attribute]} make up the traffic {self._between} ({self._sizes}): {_values(mix)}. "
                f"Within each of them nothing changed beyond chance."
            )
        if effect is None:
            return f"The traffic differs {self._between}, and without topics nothing says by how much ({self._sizes})."
        if not alarm:
            return f"The traffic differs {self._between}, by too little to matter ({self._sizes})."
        named = [row for row in moved if row["label"] and not _said_by_parent(row, moved)][:_NAMED]
        said = " ".join(how_it_moved(row, eval_set=self.window is None) for row in named)
        said = said or "No single topic carries it."
        if novelty is not None and novelty.p_value <= level and novelty.effect >= _SOMETHING:
            said += f" About {share(novelty.effect)} of it is unlike anything {self._earlier}."
        if mix is not None:
            said += f" It comes with other {_PLURAL[mix.attribute]}: {_values(mix)}"
            said += ", which does not explain it." if within is not None else "."
        return f"The traffic changed {self._between} ({self._sizes}). {said}"

    @property
    def _between(self) -> str:
        return f"between {_days(self.window)} and {_days(self.current)}" if self.window else f"from {self.name}"

    @property
    def _earlier(self) -> str:
        return "before" if self.window else "in the eval set"

    @property
    def _sizes(self) -> str:
        if self.window is None:
            return f"{self.sizes['reference']:,} items and {self.sizes['current']:,} turns"
        like = ", the same hours of the week" if self.like else ""
        return f"{self.sizes['reference']:,} and {self.sizes['current']:,} turns{like}"


def how_it_moved(row: Mapping[str, Any], *, eval_set: bool = False) -> str:
    """A topic's change as a sentence; of a part of the change that rounds to nought it says nothing.

    >>> row = {"label": "refunds", "before": 0.02, "after": 0.041, "contribution": 0.71}
    >>> how_it_moved(row)
    'Traffic about refunds doubled: 4.1% of it, 2.0% before; 71% of the change.'
    >>> how_it_moved({**row, "contribution": 0.004})
    'Traffic about refunds doubled: 4.1% of it, 2.0% before.'
    >>> how_it_moved({**row, "since": "2026-03-03", "since_days": 1})
    'Traffic about refunds doubled since 3 Mar: 4.1% of it, 2.0% before; 71% of the change.'
    """
    before, after = row["before"], row["after"]
    there = f"{after:.1%} of it, {before:.1%} {'of the eval set' if eval_set else 'before'}"
    part = f"; {row['contribution']:.0%} of the change" if row["contribution"] >= _A_PART else ""
    ended = after < _NONE <= before and not eval_set
    since = since_when(row, "on" if ended else "since")
    return f"Traffic about {row['label']} {_moved(before, after, eval_set)}{since and ' '}{since}: {there}{part}."


def since_when(row: Mapping[str, Any], word: str = "since") -> str:
    """Since when a topic has its share, as far as that is known; else nothing.

    >>> since_when({"since": "2026-03-03", "since_days": 1}), since_when({"since": "2026-03-03", "since_days": 5}, "on")
    ('since 3 Mar', 'about 3 Mar')
    >>> since_when({"since": "2026-03-03", "since_days": 20}), since_when({})
    ('', '')
    """
    if "since" not in row or row["since_days"] > _ABOUT:
        return ""
    day = short_day(datetime.fromisoformat(row["since"]))
    if row["since_days"] <= _DATED:
        return f"{word} {day}".strip()
    return f"about {day}" if word in ("", "on") else f"{word} about {day}"


def _moved(before: float, after: float, eval_set: bool) -> str:
    if eval_set:
        return "weighs more" if after > before else "weighs less"
    if before < _NONE:
        return "is new"
    if after < _NONE:
        return "ended"
    ratio = after / before
    if ratio >= 2.5:
        return f"grew to {ratio:.2g} times" if ratio < 100 else "grew a hundredfold"
    if ratio >= 1.8:
        return "doubled"
    if ratio >= 1:
        return f"grew by {ratio - 1:.0%}"
    return "fell by half" if 0.45 <= ratio <= 0.55 else f"fell by {1 - ratio:.0%}"


def _values(mix: Mix) -> str:
    return ", ".join(
        f"{cut(one.value, 40)} {one.after:.0%} of it ({one.before:.0%} before{_in_use(one)})"
        for one in sorted(mix.values, key=lambda one: one.before - one.after)[:_NAMED]
    )


def _in_use(value: ValueChange) -> str:
    return f", in use since {short_day(datetime.fromisoformat(value.since))}" if value.since else ""


def _said_by_parent(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> bool:
    """A fine topic says nothing more than the middle one that it is in, when that moved too."""
    return bool(row["level"] == 2) and any(one["topic"] == row["parent"] for one in rows)


def _days(window: Window | None) -> str:
    if window is None:
        return ""
    last = window.end - timedelta(microseconds=1)
    return (
        short_day(window.start)
        if window.start.date() == last.date()
        else f"{short_day(window.start)} – {short_day(last)}"
    )


def descriptor_values(one: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """A descriptor of a comparison's body in words: its name with the unit, before, now, and the range of its change (empty
    where none is known).

    >>> cost = {"name": "cost", "unit": "USD", "before": 0.000375, "after": 0.000327, "low": -0.0001, "high": 0.00003}
    >>> descriptor_values(cost)
    ('cost, USD per 1,000', '0.375', '0.327', '-0.100 to +0.030')
    """
    ends = [one["low"], one["high"]] if one.get("low") is not None else []
    name = clean(one["name"])
    if one["unit"] == "share":
        before, now = (share(one[side]) for side in ("before", "after"))
        return name, before, now, " to ".join(f"{100 * end:+.1f}" for end in ends) + " points" * bool(ends)
    size, times, unit = max(abs(one["before"]), abs(one["after"])), 1, one["unit"]
    if unit == "USD" and size < _CENT:
        times, unit = 1_000, "USD per 1,000"
    # As many places in a row that the mean has three digits: no range is finer than its mean.
    places = max(0, 2 - floor(log10(times * size))) if size > 0 else 0
    before, now = (f"{times * one[side]:,.{places}f}" for side in ("before", "after"))
    return f"{name}, {unit}".rstrip(", "), before, now, " to ".join(f"{times * end:+,.{places}f}" for end in ends)
