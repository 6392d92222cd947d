"""Topics over time, and the map's points with a short excerpt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from dashboards.queries.coverage import unit_of
from dashboards.queries.run import LEVELS, Shown
from dashboards.theme import safe
from monitor.drift.seasons import LEAST_DAYS, calendar_day, weekday, without_weekdays
from monitor.published import shown_text
from monitor.settings import Settings
from monitor.store.atlases import TopicRow
from monitor.store.statistics import Filter
from monitor.store.store import Store
from monitor.wording import cut

__all__ = ["Shares", "map_points", "shares_over_time", "topic_over_time"]

_EXCERPT = 90


def topic_over_time(
    store: Store, shown: Shown, topic: TopicRow, chosen: Filter
) -> tuple[list[tuple[datetime, int]], list[float], str]:
    """Turns of a topic by day or week, their share of the traffic, and the unit."""
    unit = _unit(shown, chosen)
    rows = store.statistics.topics_by(
        shown.run.atlas_id, LEVELS[topic.level], unit, chosen, [topic.topic_id]
    ).to_pylist()
    totals: dict[datetime, int] = {}
    mine: dict[datetime, int] = {}
    for row in rows:
        totals[row["start"]] = totals.get(row["start"], 0) + row["turns"]
        if row["topic"] is not None:
            mine[row["start"]] = row["turns"]
    starts = sorted(totals)
    return [(one, mine.get(one, 0)) for one in starts], [mine.get(one, 0) / totals[one] for one in starts], unit


@dataclass(frozen=True, slots=True)
class Shares:
    """start, topic, share of topics of one level, with zeros where a topic has no turns; by `unit`.

    `adjustable` where there are enough days to know what weekdays do, `without_weekdays` where that is taken out.
    """

    rows: pd.DataFrame
    unit: str
    adjustable: bool = False
    without_weekdays: bool = False


def shares_over_time(
    store: Store, shown: Shown, topics: Sequence[TopicRow], chosen: Filter, zone: str, *, as_it_was: bool = False
) -> Shares:
    """By hour, day or week; days are those of the zone's calendar, without what weekdays do unless `as_it_was`."""
    unit, ids = _unit(shown, chosen), [topic.topic_id for topic in topics]
    if not topics:
        return Shares(pd.DataFrame({"start": [], "topic": [], "share": []}), unit)
    # Days of another zone begin at an hour of UTC.
    asked = "hour" if unit == "day" else unit
    table = store.statistics.topics_by(shown.run.atlas_id, LEVELS[topics[0].level], asked, chosen, ids)
    rows = table.to_pandas()
    if unit == "day":
        days = calendar_day(table.column("start").to_numpy().astype("datetime64[us]").astype(np.int64), zone)
        rows["start"] = days.astype("datetime64[D]").astype("datetime64[us]")
        rows = rows.groupby(["start", "topic"], dropna=False)["turns"].sum().reset_index()
    totals = rows.groupby("start")["turns"].sum()
    found = (
        rows[rows["topic"].notna()]
        .pivot(index="start", columns="topic", values="turns")
        .reindex(totals.index)
        .fillna(0)
    )
    shares = found.div(totals, axis=0)
    adjustable = unit == "day" and len(totals) >= LEAST_DAYS
    if adjustable and not as_it_was:
        weekdays = weekday(found.index.to_numpy().astype("datetime64[D]").astype(np.int64))
        adjusted = without_weekdays(found.to_numpy(np.float64).T, totals.to_numpy(np.float64), weekdays)
        shares = pd.DataFrame(adjusted.T, found.index, found.columns)
    drawn = pd.DataFrame(
        [
            (start, topic, float(shares.loc[start, topic]))
            for topic in ids
            if topic in shares.columns
            for start in totals.index
        ],
        columns=["start", "topic", "share"],
    )
    return Shares(drawn, unit, adjustable, adjustable and not as_it_was)


def map_points(store: Store, settings: Settings, shown: Shown, chosen: Filter) -> pd.DataFrame:
    """x, y, topics, novelty and covered of the turns on the map, with a short redacted excerpt of each.

    An excerpt is only given for topics of enough users (`Settings.min_users_of_texts`).
    """
    points = store.statistics.map_points(shown.run.atlas_id, shown.run.report_id, chosen).to_pandas()
    users = {topic.topic_id: topic.users for topic in shown.topics}
    turns = {turn.key: turn for turn in store.turns.fetch([int(key) for key in points["turn_key"]])}
    texts = []
    for key, topic in zip(points["turn_key"], points["middle"], strict=True):
        turn = turns.get(int(key))
        few = users.get(topic or "", 0) < settings.min_users_of_texts
        texts.append(
            "" if turn is None or few else safe(cut(shown_text(turn.user_text, settings.export.redact), _EXCERPT))
        )
    points["text"] = texts
    return points


def _unit(shown: Shown, chosen: Filter) -> str:
    start, end = shown.run.window_start, shown.run.window_end
    if chosen.window is not None:
        start, end = max(start, chosen.window.start), min(end, chosen.window.end)
    return unit_of(max(1.0, (end - start).total_seconds() / 86_400))
