"""A history once more, with a simulated clock: what would have been seen, and told when.

The turns of one store go day by day into another, through the same analysis, rules and outbox as in `offmap serve`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitor.encoding.encoder import Encoder
from monitor.encoding.recipe import EVAL_PROMPT, USER_TEXT
from monitor.errors import InputError, UsageError
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.alerts import AlertRow
from monitor.store.store import Store
from monitor.watch import watch

__all__ = ["Day", "replay"]

#: Turns a transaction.
_BATCH = 5_000


@dataclass(frozen=True, slots=True)
class Day:
    """One look of a replay: the simulated time, the turns and the coverage so far, and what was told."""

    at: datetime
    turns: int
    coverage: float | None
    gaps: int
    alerts: tuple[AlertRow, ...]


def replay(
    history: Store,
    target: Store,
    encoder: Encoder,
    settings: Settings,
    *,
    eval_sets: Sequence[str],
    every: timedelta,
    window: Window | None = None,
    speed: float | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Day]:
    """Look at the history of one store once an interval, and write what is seen into another, which must be empty.

    `speed` is simulated seconds a second, at most; None is as fast as it goes. Raises `UsageError` when the target holds
    turns, and `InputError` when the history holds none.
    """
    span = window or history.turns.span()
    if span is None:
        raise InputError(f"the store {history.path} holds no turns to replay: run `offmap ingest FILE` first")
    if target.turns.count():
        raise UsageError(f"the store {target.path} holds turns already: name a new one with --into")
    for name in eval_sets:
        target.eval_sets.save(history.eval_sets.load(name))
    _copy_vectors(history, target, encoder)
    # Whole intervals from the start of the first day, so that a look falls on midnight.
    start = at = span.start.replace(hour=0, minute=0, second=0, microsecond=0)
    before = span.start
    while at < span.end:
        at += every
        _copy_turns(history, target, Window(before, at))
        before = at
        began = time.monotonic()
        yield _look(target, encoder, settings, eval_sets, Window(start, at), at)
        if speed is not None:
            pause(max(0.0, every.total_seconds() / speed - (time.monotonic() - began)))


def _look(
    store: Store, encoder: Encoder, settings: Settings, eval_sets: Sequence[str], window: Window, at: datetime
) -> Day:
    if not store.turns.count():
        return Day(at, 0, None, 0, ())
    seen = watch(store, encoder, settings, eval_sets=eval_sets, window=window, clock=lambda: at)
    report = store.reports.coverage(seen.analysis.run.report_id)
    return Day(at, seen.analysis.turns, report.value if report else None, seen.analysis.gaps, seen.alerts)


def _copy_turns(history: Store, target: Store, window: Window) -> None:
    keys: list[Any] = history.turns.read(window, columns=("turn_key",)).column(0).to_pylist()
    for first in range(0, len(keys), _BATCH):
        target.turns.append(history.turns.fetch(keys[first : first + _BATCH]))


def _copy_vectors(history: Store, target: Store, encoder: Encoder) -> None:
    """What is encoded already is not encoded again."""
    for recipe in (USER_TEXT.name, EVAL_PROMPT.name):
        hashes = history.vectors.hashes(encoder.name, recipe)
        for first in range(0, len(hashes), _BATCH):
            chunk = hashes[first : first + _BATCH]
            target.vectors.append(encoder.name, recipe, chunk, history.vectors.read(encoder.name, recipe, chunk))
