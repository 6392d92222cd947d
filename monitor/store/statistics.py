"""Counts and shares for pages: every query is bounded, and reads no text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from monitor.records import Window
from monitor.store.database import Database
from monitor.store.languages import TurnLanguages, spoken
from monitor.store.turns import traffic

__all__ = ["FILTERS", "MAP_POINTS", "Filter", "Release", "Statistics"]

#: What turns can be filtered by.
FILTERS = ("model", "prompt_version", "language", "tenant")

_LEVELS = ("broad", "middle", "fine")

#: Points of a map on a page: no more can be told apart on a screen.
MAP_POINTS = 5_000


@dataclass(frozen=True, slots=True)
class Filter:
    """A window and values of fields; an empty tuple is every value."""

    window: Window | None = None
    model: tuple[str, ...] = ()
    prompt_version: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    tenant: tuple[str, ...] = ()

    def condition(self, environments: Sequence[str] | None = None) -> tuple[str, list[Any]]:
        """SQL over `turns`, and its parameters."""
        found, parameters = traffic(self.window, environments)
        parts = [found]
        for name in FILTERS:
            values = getattr(self, name)
            if values and name == "language":
                found, more = spoken(values)
                parts.append(found)
                parameters += more
            elif values:
                parts.append(f"list_contains(?::VARCHAR[], turns.{name})")
                parameters.append(list(values))
        return " AND ".join(parts), parameters


@dataclass(frozen=True, slots=True)
class Release:
    """When a model or a prompt version came into use: the first of its turns."""

    field: str
    value: str
    since: datetime


#: What is released, how many turns say that it is in use, and what has been there from so early on that it is no news.
_RELEASED, _IN_USE, _FROM_THE_START = ("model", "prompt_version"), 20, timedelta(days=1)


class Statistics:
    """Read-only."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def turns_by(self, unit: str, chosen: Filter) -> pa.Table:
        """start, turns, conversations for every hour, day or week that has some."""
        condition, parameters = chosen.condition()
        return self._database.query(
            f"SELECT date_trunc('{_unit(unit)}', created_at)::TIMESTAMP AS start, count(*) AS turns,"
            " count(DISTINCT conversation_key) AS conversations"
            f" FROM turns WHERE {condition} GROUP BY start ORDER BY start",
            parameters,
        )

    def coverage_by_conversation(self, report_id: str, unit: str, chosen: Filter) -> pa.Table:
        """start, covered (sum), turns of each conversation in each hour, day or week: what an interval is made of."""
        condition, parameters = chosen.condition()
        return self._database.query(
            f"SELECT date_trunc('{_unit(unit)}', turns.created_at)::TIMESTAMP AS start, turns.conversation_key,"
            " sum(c.covered)::DOUBLE AS covered, count(*) AS turns FROM turn_coverage c JOIN turns USING (turn_key)"
            f" WHERE c.report_id = ? AND c.covered IS NOT NULL AND {condition}"
            " GROUP BY start, turns.conversation_key ORDER BY start",
            [report_id, *parameters],
        )

    def topics_by(self, atlas_id: str, level: str, unit: str, chosen: Filter, topics: Sequence[str]) -> pa.Table:
        """start, topic, turns for the given topics of a level; and under topic NULL the other turns with a subject."""
        assert level in _LEVELS
        condition, parameters = chosen.condition()
        return self._database.query(
            f"SELECT date_trunc('{_unit(unit)}', turns.created_at)::TIMESTAMP AS start,"
            f" CASE WHEN list_contains(?::VARCHAR[], a.{level}) THEN a.{level} END AS topic, count(*) AS turns"
            " FROM assignments a JOIN turns USING (turn_key)"
            f" WHERE a.atlas_id = ? AND a.act IS NULL AND NOT a.flood"
            f" AND a.foreign_language IS NULL AND {condition} GROUP BY start, topic ORDER BY start",
            [list(topics), atlas_id, *parameters],
        )

    def conversations_by_hour(self, atlas_id: str, level: str, chosen: Filter) -> pa.Table:
        """hour, topic, conversations that began in the hour and touch the topic; under topic NULL all with a subject."""
        assert level in _LEVELS
        condition, parameters = chosen.condition()
        return self._database.query(
            f"WITH said AS (SELECT turns.conversation_key, a.{level} AS topic, turns.created_at"
            " FROM assignments a JOIN turns USING (turn_key)"
            f" WHERE a.atlas_id = ? AND a.act IS NULL AND NOT a.flood AND a.foreign_language IS NULL AND {condition}),"
            " began AS (SELECT conversation_key, date_trunc('hour', min(created_at))::TIMESTAMP AS hour FROM said"
            " GROUP BY conversation_key),"
            " touched AS (SELECT DISTINCT conversation_key, topic FROM said WHERE topic IS NOT NULL)"
            " SELECT hour, topic, count(*) AS conversations FROM touched JOIN began USING (conversation_key)"
            " GROUP BY hour, topic"
            " UNION ALL SELECT hour, NULL AS topic, count(*) AS conversations FROM began GROUP BY hour"
            " ORDER BY hour, topic",
            [atlas_id, *parameters],
        )

    def members(
        self, atlas_id: str, level: str, topic: str, chosen: Filter, *, limit: int, offset: int = 0
    ) -> tuple[list[int], int]:
        """Keys of a topic's turns with a subject, the latest first, and how many there are in all."""
        assert level in _LEVELS
        condition, parameters = chosen.condition()
        where = f"a.atlas_id = ? AND a.{level} = ? AND a.act IS NULL AND NOT a.flood AND {condition}"
        asked = [atlas_id, topic, *parameters]
        total = self._database.value(
            f"SELECT count(*) FROM assignments a JOIN turns USING (turn_key) WHERE {where}", asked
        )
        found = self._database.query(
            f"SELECT a.turn_key FROM assignments a JOIN turns USING (turn_key) WHERE {where}"
            " ORDER BY turns.created_at DESC, a.turn_key LIMIT ? OFFSET ?",
            [*asked, limit, offset],
        )
        keys: list[Any] = found.column(0).to_pylist()
        return keys, int(total or 0)

    def topic_sizes(self, atlas_id: str, chosen: Filter) -> tuple[dict[str, int], int]:
        """Turns with a subject of each topic, of all levels, and of all topics; a topic without any is left out."""
        condition, parameters = chosen.condition()
        found = self._database.query(
            "SELECT a.broad, a.middle, a.fine, count(*) AS turns FROM assignments a JOIN turns USING (turn_key)"
            f" WHERE a.atlas_id = ? AND a.act IS NULL AND NOT a.flood AND a.foreign_language IS NULL AND {condition}"
            " GROUP BY a.broad, a.middle, a.fine",
            [atlas_id, *parameters],
        ).to_pylist()
        sizes: dict[str, int] = {}
        for row in found:
            for level in _LEVELS:
                if row[level] is not None:
                    sizes[row[level]] = sizes.get(row[level], 0) + int(row["turns"])
        return sizes, sum(int(row["turns"]) for row in found)

    def conversation_of(self, keys: Sequence[int]) -> pa.Table:
        """turn_key, conversation_key of every turn of the conversations that the given turns belong to, in order."""
        asked = pa.table({"turn_key": pa.array(list(keys), pa.uint64())})
        return self._database.query(
            "SELECT turn_key, conversation_key FROM turns WHERE conversation_key IN"
            " (SELECT conversation_key FROM turns SEMI JOIN asked USING (turn_key))"
            " ORDER BY conversation_key, turn_index NULLS LAST, created_at, turn_key LIMIT 5000",
            asked=asked,
        )

    def map_points(self, atlas_id: str, report_id: str, chosen: Filter) -> pa.Table:
        """turn_key, x, y, broad, middle, fine, novelty, covered of turns on the map, `MAP_POINTS` of them and few more.

        Each middle topic keeps its share of the points, and at least three. A key is a hash, so that the least keys are a
        sample, and the same one whenever the page is opened.
        """
        condition, parameters = chosen.condition()
        return self._database.query(
            "SELECT turn_key, x, y, broad, middle, fine, novelty, covered FROM ("
            "SELECT l.turn_key, l.x, l.y, a.broad, a.middle, a.fine, c.novelty, c.covered,"
            " row_number() OVER (PARTITION BY a.middle ORDER BY l.turn_key) AS number,"
            " count(*) OVER (PARTITION BY a.middle) AS of_topic, count(*) OVER () AS of_all FROM layout l"
            " JOIN assignments a ON a.atlas_id = l.atlas_id AND a.turn_key = l.turn_key"
            " JOIN turns ON turns.turn_key = l.turn_key"
            " LEFT JOIN turn_coverage c ON c.report_id = ? AND c.turn_key = l.turn_key"
            f" WHERE l.atlas_id = ? AND {condition})"
            f" WHERE of_all <= {MAP_POINTS} OR number <= greatest(3, round(of_topic * {MAP_POINTS} / of_all))"
            " ORDER BY turn_key",
            [report_id, atlas_id, *parameters],
        )

    def signals_of(self, report_id: str, atlas_id: str, level: str, topic: str) -> dict[str, int]:
        """How many turns of a topic have each signal."""
        assert level in _LEVELS
        found = self._database.query(
            "SELECT s.signal, count(DISTINCT s.turn_key) AS turns FROM signals s JOIN assignments a USING (turn_key)"
            f" WHERE s.report_id = ? AND a.atlas_id = ? AND a.{level} = ? GROUP BY s.signal ORDER BY turns DESC, s.signal",
            [report_id, atlas_id, topic],
        ).to_pylist()
        return {row["signal"]: row["turns"] for row in found}

    def values(self, field: str, limit: int = 50) -> list[str]:
        """The most frequent values of a field that turns can be filtered by."""
        assert field in FILTERS
        if field == "language":
            return list(TurnLanguages(self._database).counts(limit))
        found = self._database.query(
            f"SELECT {field} FROM turns WHERE {field} IS NOT NULL GROUP BY {field} ORDER BY count(*) DESC, {field} LIMIT ?",
            [limit],
        )
        return [str(value) for value in found.column(0).to_pylist()]

    def releases(self, limit: int = 12) -> list[Release]:
        """Models and prompt versions that came after the first day of traffic: the latest `limit`, in the order of time."""
        parts = " UNION ALL ".join(
            f"SELECT '{field}' AS field, {field} AS value, min(created_at) AS since FROM turns"
            f" WHERE {field} IS NOT NULL AND {field} <> '' GROUP BY {field} HAVING count(*) >= {_IN_USE}"
            for field in _RELEASED
        )
        first = self._database.value("SELECT min(created_at) FROM turns")
        if first is None:
            return []
        found = self._database.query(
            f"SELECT field, value, since FROM ({parts}) WHERE since >= ? ORDER BY since DESC, field, value LIMIT ?",
            [first + _FROM_THE_START, limit],
        ).to_pylist()
        return [Release(row["field"], str(row["value"]), row["since"]) for row in reversed(found)]

    def unassigned(self, atlas_id: str, environments: Sequence[str]) -> int:
        """Turns that wait for a topic."""
        condition, parameters = traffic(None, environments)
        return int(
            self._database.value(
                "SELECT count(*) FROM turns ANTI JOIN (SELECT turn_key FROM assignments WHERE atlas_id = ?) USING (turn_key)"
                f" WHERE {condition}",
                [atlas_id, *parameters],
            )
            or 0
        )

    def by_environment(self) -> list[tuple[str, int]]:
        """Turns by environment, the most first."""
        found = self._database.query(
            "SELECT coalesce(environment, '(none)') AS name, count(*) AS turns FROM turns"
            " GROUP BY name ORDER BY turns DESC, name LIMIT 20"
        ).to_pylist()
        return [(row["name"], row["turns"]) for row in found]


def _unit(unit: str) -> str:
    if unit not in ("hour", "day", "week"):
        raise ValueError(f"unit must be hour, day or week, and is {unit!r}")
    return unit
