"""Descriptors of two windows: lengths, latency, cost, refusals, feedback, languages, each with the interval of its change."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from monitor.drift.refusal import refuses
from monitor.drift.windows import windows_before
from monitor.errors import InputError
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.drift import DriftRow
from monitor.store.store import Store

__all__ = ["SURE", "Descriptor", "describe_windows", "described", "described_windows", "read_turns", "values_of"]

#: Column of the store, what it is called, its unit.
_NUMBERS = (
    ("latency_ms", "latency", "ms"),
    ("time_to_first_token_ms", "time to first token", "ms"),
    ("cost_usd", "cost", "USD"),
    ("input_tokens", "input tokens", ""),
    ("output_tokens", "output tokens", ""),
    ("feedback_score", "feedback", ""),
)
_LENGTHS = (("user_text", "message length", "characters"), ("assistant_text", "reply length", "characters"))
_REFUSALS = "refusals"
_UNITS = {name: unit for _, name, unit in (*_NUMBERS, *_LENGTHS)} | {_REFUSALS: "share"}

#: More turns of a window than this are sampled by conversation.
_MOST_TURNS = 50_000

#: Languages that are listed, the most frequent first.
_LANGUAGES = 5

#: All intervals of one comparison hold together with this probability.
SURE = 0.95

#: Conversations are drawn again so often, in so many groups at most: a group's sums are drawn as one.
_DRAWS, _GROUPS = 1000, 1000

#: With fewer conversations that have a value on a side, no interval is given.
_LEAST = 30


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A mean before and now. `unit` "share" says that it is a share of turns; `low` and `high` bound the difference
    now - before (None where too few conversations have a value); `sure` says that the interval excludes no change."""

    name: str
    before: float
    after: float
    unit: str
    low: float | None = None
    high: float | None = None
    sure: bool = False


def described(store: Store, settings: Settings, row: DriftRow, *, strict: bool = True) -> DriftRow:
    """The comparison with `descriptors` of its windows and `described`, the window they are compared with, in its body.

    Raises `InputError` when a window holds no turns; without `strict` there are no descriptors then.
    """
    current, reference = described_windows(row, settings)
    try:
        found = describe_windows(store, settings, current, reference)
    except InputError:
        if strict:
            raise
        return row
    window = {"start": reference.start.isoformat(), "end": reference.end.isoformat()}
    return replace(row, body={**row.body, "descriptors": [asdict(one) for one in found], "described": window})


def described_windows(row: DriftRow, settings: Settings) -> tuple[Window, Window]:
    """The current window and the one its descriptors are compared with: the comparison's own reference. An eval set has no
    replies: then it is the usual window before."""
    current = Window(row.current_start, row.current_end)
    if row.reference_start is None or row.reference_end is None:
        return windows_before(current.end, settings.drift, current)
    return current, Window(row.reference_start, row.reference_end)


def describe_windows(store: Store, settings: Settings, current: Window, reference: Window) -> list[Descriptor]:
    """Each descriptor that both windows have. Raises `InputError` when a window holds no turns."""
    rng = np.random.default_rng(settings.atlas.seed)
    sides = [read_turns(store, settings, window, rng) for window in (reference, current)]
    measured = [values_of(side) for side in sides]
    units = dict(_UNITS)
    for language in _languages(sides):
        units[f"language {language}"] = "share"
        for side, values in zip(sides, measured, strict=True):
            known = side.column("language")
            values[f"language {language}"] = _floats(pc.equal(known, pa.scalar(language)))
    names = [name for name in units if all(np.isfinite(values[name]).any() for values in measured)]
    before, after = (
        _Side.of(side, np.stack([values[name] for name in names], axis=1), rng)
        for side, values in zip(sides, measured, strict=True)
    )
    told = np.minimum(before.conversations, after.conversations) >= _LEAST
    # One level over all descriptors together (Bonferroni).
    reach = NormalDist().inv_cdf(1 - (1 - SURE) / 2 / max(1, int(told.sum())))
    found = []
    for place, name in enumerate(names):
        old, new = float(before.mean[place]), float(after.mean[place])
        one = Descriptor(name, old, new, units[name])
        if told[place]:
            half = reach * float(np.hypot(before.error[place], after.error[place]))
            # What never differed has no spread, which says nothing of how rare it may be.
            if half > 0:
                one = replace(one, low=new - old - half, high=new - old + half, sure=abs(new - old) > half)
        found.append(one)
    return found


@dataclass(frozen=True, slots=True)
class _Side:
    """Of each descriptor (d) of one window the mean, its standard error by the bootstrap, and the conversations with it."""

    mean: NDArray[np.float64]
    error: NDArray[np.float64]
    conversations: NDArray[np.int64]

    @classmethod
    def of(cls, turns: pa.Table, values: NDArray[np.float64], rng: np.random.Generator) -> _Side:
        """`values` is turns x d, nan where a turn has none. Turns of a conversation are drawn together."""
        keys = turns.column("conversation_key").to_numpy()
        _, conversation = np.unique(keys, return_inverse=True)
        count = int(conversation.max()) + 1
        has = np.isfinite(values)
        sums, sizes = (_summed(part, conversation, count) for part in (np.where(has, values, 0.0), has.astype(float)))
        mean = sums.sum(axis=0) / sizes.sum(axis=0)
        groups = min(count, _GROUPS)
        group = rng.permutation(count) % groups
        # Around the mean, so that a group that is larger by chance alone does not count as a difference.
        above, weight = _summed(sums - mean * sizes, group, groups), _summed(sizes, group, groups)
        times = rng.multinomial(groups, np.full(groups, 1 / groups), size=_DRAWS).astype(float)
        drawn = (times @ above) / np.maximum(times @ weight, 1.0)
        return cls(mean, drawn.std(axis=0), (sizes > 0).sum(axis=0))


def _summed(values: NDArray[np.float64], group: NDArray[np.int64], groups: int) -> NDArray[np.float64]:
    return np.stack([np.bincount(group, column, groups) for column in values.T], axis=1)


def read_turns(store: Store, settings: Settings, window: Window, rng: np.random.Generator) -> pa.Table:
    """The turns of a window, at most 50,000 of whole conversations that are drawn at random."""
    columns = [*(name for name, _, _ in (*_NUMBERS, *_LENGTHS)), "language", "conversation_key"]
    table = store.turns.read(window, environments=settings.analysis.environments, columns=columns)
    if not len(table):
        raise InputError(f"the window {window} holds no turns: choose another")
    if len(table) <= _MOST_TURNS:
        return table
    _, conversation, sizes = np.unique(
        table.column("conversation_key").to_numpy(), return_inverse=True, return_counts=True
    )
    order = rng.permutation(len(sizes))
    chosen = order[: max(1, int(np.searchsorted(np.cumsum(sizes[order]), _MOST_TURNS, side="right")))]
    return table.filter(pa.array(np.isin(conversation, chosen)))


def values_of(turns: pa.Table) -> dict[str, NDArray[np.float64]]:
    """Each number of each turn, nan where there is none. No text is in it."""
    found = {name: _floats(turns.column(column)) for column, name, _ in _NUMBERS}
    found |= {name: _floats(pc.utf8_length(turns.column(column))) for column, name, _ in _LENGTHS}
    replies = turns.column("assistant_text")
    said = pc.utf8_slice_codeunits(replies, 0, 300).to_pylist()
    found[_REFUSALS] = np.array([float(refuses(reply)) if reply else np.nan for reply in said])
    return found


def _floats(column: Any) -> NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).to_numpy(), float)


def _languages(sides: list[pa.Table]) -> list[str]:
    counts: dict[str, float] = {}
    for side in sides:
        for language, count in Counter(str(one) for one in side.column("language").drop_null().to_pylist()).items():
            counts[language] = counts.get(language, 0.0) + count / len(side)
    return sorted(counts, key=lambda name: (-counts[name], name))[:_LANGUAGES]
