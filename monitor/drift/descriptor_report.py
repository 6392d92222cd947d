"""Evidently's report of the descriptors of two windows, as HTML. It is imported only here and for drift of embeddings."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from monitor.drift.descriptors import read_turns, values_of
from monitor.errors import MissingExtraError
from monitor.records import Window
from monitor.settings import Settings
from monitor.store.store import Store

__all__ = ["write_report"]


def write_report(store: Store, settings: Settings, current: Window, reference: Window, html: Path) -> None:
    """Evidently's drift of each number, of refusals and of the language, written whole or not at all.

    No message is in the report: texts enter as their lengths and as whether they refuse. Raises `MissingExtraError` without
    Evidently, and `InputError` when a window holds no turns.
    """
    # Evidently reports its use unless it is told not to.
    os.environ.setdefault("DO_NOT_TRACK", "1")
    try:
        from evidently import DataDefinition, Dataset, Report
        from evidently.presets import DataDriftPreset
    except ImportError:
        raise MissingExtraError("a report of descriptors", extra="reports", library="evidently") from None
    import pandas as pd

    rng = np.random.default_rng(settings.atlas.seed)
    frames = []
    for window in (reference, current):
        turns = read_turns(store, settings, window, rng)
        frames.append(pd.DataFrame({**values_of(turns), "language": turns.column("language").to_pandas()}))
        refused = frames[-1]["refusals"]
        frames[-1]["refusals"] = refused.map({1.0: "refuses", 0.0: "answers"})
    names = [name for name in frames[0].columns if all(frame[name].notna().any() for frame in frames)]
    categories = [name for name in names if name in ("refusals", "language")]
    definition = DataDefinition(
        numerical_columns=[name for name in names if name not in categories], categorical_columns=categories
    )
    before, after = (Dataset.from_pandas(frame[names], data_definition=definition) for frame in frames)
    _write(Report([DataDriftPreset()]).run(after, before), html)


def _write(snapshot: Any, html: Path) -> None:
    html.parent.mkdir(parents=True, exist_ok=True)
    fresh = html.with_name(f"{html.name}.{os.getpid()}")
    try:
        snapshot.save_html(str(fresh))
        fresh.replace(html)
    finally:
        fresh.unlink(missing_ok=True)
