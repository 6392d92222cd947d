"""What a comparison found, as rows of a JSON document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.drift.family import MEANINGS
from monitor.drift.look import Look
from monitor.drift.mix import Mix
from monitor.drift.onset import Days
from monitor.drift.pool import DriftResult
from monitor.drift.shares import ShareChange
from monitor.drift.sides import turns_inside
from monitor.drift.verdict import WEIGHTS
from monitor.drift.words import WordChange
from monitor.records import Window
from monitor.settings import Settings

__all__ = ["mix_row", "term_row", "test_row", "topic_rows"]


def test_row(name: str, result: DriftResult) -> dict[str, Any]:
    return {
        "name": name,
        "statistic": result.statistic,
        "p_value": _number(result.p_value),
        "effect": result.effect,
        "low": _number(result.low),
        "high": _number(result.high),
        "weight": WEIGHTS.get(name, 0.0),
        "meaning": MEANINGS[name],
    }


def mix_row(mix: Mix, within: float | None) -> dict[str, Any]:
    """`within` is the verdict's p-value within the attribute's values; None for an attribute that it was not asked of."""
    return {**asdict(mix), "values": [asdict(one) for one in mix.values], "within_p_value": within}


def term_row(word: WordChange) -> dict[str, Any]:
    return {"term": word.word, "before": word.before, "after": word.after, "contribution": word.contribution}


def topic_rows(
    look: Look,
    changes: Sequence[ShareChange],
    parts: Mapping[int, float],
    windows: tuple[Window | None, Window],
    settings: Settings,
) -> list[dict[str, Any]]:
    """Of each topic its change and its part of the whole, those that moved first; and since when they did, where the reference
    is a window."""
    reference, current = windows
    users = _users(look, current)
    rows = [_topic(look, change, parts, settings, users) for change in changes]
    if reference is not None:
        _date(rows, look, (reference, current), settings.analysis.time_zone)
    return sorted(rows, key=lambda row: (not row["moved"], -row["contribution"], row["p_value"]))


def _topic(
    look: Look, change: ShareChange, parts: Mapping[int, float], settings: Settings, users: NDArray[np.int64]
) -> dict[str, Any]:
    topic = look.topics[change.topic]
    shown = max(topic.users, int(users[change.topic])) >= settings.alerts.min_users
    return {
        "topic": topic.topic_id,
        # Fewer users than the minimum: that it moved may be said, not what they talk about.
        "label": topic.label if shown else None,
        "parent": topic.parent,
        "level": topic.level,
        "before": change.before,
        "after": change.after,
        "change_low": change.low,
        "change_high": change.high,
        "p_value": change.p_value,
        "contribution": parts.get(change.topic, 0.0),
        "moved": change.p_value <= settings.drift.false_alarm and abs(change.change) >= settings.drift.min_change,
    }


def _date(rows: Sequence[dict[str, Any]], look: Look, windows: tuple[Window, Window], zone: str) -> None:
    """Write into the rows of topics that moved since when; in place."""
    moved = [row for row in rows if row["moved"]]
    if not moved:
        return
    days, position = Days.of(look, windows, zone), look.position
    for row in moved:
        found = days.onset(position[row["topic"]], grew=row["after"] > row["before"])
        if found is not None:
            row["since"], row["since_days"] = found.day.isoformat(), found.days


def _users(look: Look, window: Window) -> NDArray[np.int64]:
    """Users of each topic in the window."""
    inside = np.zeros(len(look.keys), bool)
    inside[turns_inside(look, window)] = True
    found = np.zeros(len(look.topics), np.int64)
    for level in (look.middle, look.fine):
        rows = inside & (level >= 0)
        pairs = np.unique(np.stack([level[rows], look.user[rows]]), axis=1)
        np.add.at(found, pairs[0], 1)
    return found


def _number(value: float) -> float | None:
    """JSON has no nan."""
    return value if np.isfinite(value) else None
