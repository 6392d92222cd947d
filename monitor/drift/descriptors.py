"""Descriptors of two windows through Evidently: lengths, latency, cost, feedback, language. It is imported only here."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from monitor.errors import InputError, MissingExtraError
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.store import Store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["describe_windows"]

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
_MOST_ROWS = 50_000


def describe_windows(
    store: Store, settings: Settings, current: Window, reference: Window, *, html: Path | None = None
) -> list[dict[str, Any]]:
    """Means of each descriptor in both windows; with `html` also Evidently's drift report, written whole or not at all.

    No message is in the report: texts enter as their lengths. Raises `MissingExtraError` without Evidently, and
    `InputError` when a window holds no turns.
    """
    # Evidently reports its use unless it is told not to.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        from evidently import DataDefinition, Dataset, Report
        from evidently.metrics import MeanValue
        from evidently.presets import DataDriftPreset
    except ImportError:
        raise MissingExtraError("a report of descriptors", extra="reports", library="evidently") from None
    before, after = (_frame(store, settings, window) for window in (reference, current))
    for frame, window in ((before, reference), (after, current)):
        if not len(frame):
            raise InputError(f"the window {window} holds no turns: choose another")
    numbers = [
        name
        for name in before.columns
        if name != "language" and before[name].notna().any() and after[name].notna().any()
    ]
    if not numbers:
        return []
    report = Report([MeanValue(column=name) for name in numbers])
    sides = []
    for frame in (before, after):
        snapshot = report.run(
            Dataset.from_pandas(frame[numbers], data_definition=DataDefinition(numerical_columns=numbers)), None
        )
        sides.append([metric["value"] for metric in snapshot.dict()["metrics"]])
    if html is not None:
        categories = ["language"] if before["language"].notna().any() and after["language"].notna().any() else []
        definition = DataDefinition(numerical_columns=numbers, categorical_columns=categories)
        one, other = (
            Dataset.from_pandas(frame[[*numbers, *categories]], data_definition=definition) for frame in (after, before)
        )
        _write(Report([DataDriftPreset()]).run(one, other), html)
    units = {name: unit for _, name, unit in (*_NUMBERS, *_LENGTHS)}
    return [
        {"name": name, "before": float(old), "after": float(new), "unit": units[name]}
        for name, old, new in zip(numbers, *sides, strict=True)
    ]


def _frame(store: Store, settings: Settings, window: Window) -> pd.DataFrame:
    import pandas as pd
    import pyarrow.compute as pc

    columns = [*(name for name, _, _ in (*_NUMBERS, *_LENGTHS)), "language"]
    table = store.turns.read(window, environments=settings.analysis.environments, columns=columns)
    table = table.slice(0, _MOST_ROWS)
    found: dict[str, Any] = {name: table.column(column).to_pandas() for column, name, _ in _NUMBERS}
    found |= {name: pc.utf8_length(table.column(column)).to_pandas() for column, name, _ in _LENGTHS}
    return pd.DataFrame({**found, "language": table.column("language").to_pandas()})


def _write(snapshot: Any, html: Path) -> None:
    html.parent.mkdir(parents=True, exist_ok=True)
    fresh = html.with_name(f"{html.name}.{os.getpid()}")
    try:
        snapshot.save_html(str(fresh))
        fresh.replace(html)
    finally:
        fresh.unlink(missing_ok=True)
