"""Turns that are on a watch-list: found in the texts themselves, so that a list that changes has a history at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from monitor.errors import SettingError, StoreError
from monitor.records import Window
from monitor.store.database import Database
from monitor.store.rows import values
from monitor.store.turns import traffic
from monitor.watch_list import WatchList

__all__ = ["Hits", "WatchLists"]

#: Stand around a hit while it is looked for; texts that hold one have a space there.
_START, _END = "\x01", "\x02"
_MARKS = {ord(_START): " ", ord(_END): " "}
_EITHER = re.compile(f"([{_START}{_END}])")
#: A phrase between what is around it. What stands between two phrases is around both: the second look finds every other.
_PHRASE, _PATTERN = rf"\1{_START}\2{_END}\3", rf"{_START}\0{_END}"


@dataclass(frozen=True, slots=True)
class Hits:
    """What a window holds of a list, and what it holds in all."""

    turns: int = 0
    conversations: int = 0
    users: int = 0
    of_turns: int = 0
    of_conversations: int = 0


class WatchLists:
    """Counts of lists. Every look reads the texts of its window, in time that grows with them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, one: WatchList, window: Window | None, environments: Sequence[str]) -> Hits:
        """Raises `SettingError` for a pattern that RE2 does not take."""
        condition, parameters = traffic(window, environments)
        found = self._ask(
            one,
            "SELECT count(*) FILTER (hit), count(DISTINCT conversation_key) FILTER (hit),"
            " count(DISTINCT coalesce(tenant, '') || chr(0) || coalesce(user_id, 'conversation ' || conversation_key))"
            " FILTER (hit), count(*), count(DISTINCT conversation_key)"
            f" FROM (SELECT *, regexp_matches(user_text, ?) AS hit FROM turns WHERE {condition})",
            parameters,
        )
        return Hits(*(int(values(found, place)[0]) for place in range(found.num_columns)))

    def days(self, one: WatchList, window: Window | None, environments: Sequence[str]) -> pa.Table:
        """Columns day, turns and of_turns: a row for each day with traffic, in order."""
        condition, parameters = traffic(window, environments)
        return self._ask(
            one,
            "SELECT CAST(created_at AS DATE) AS day, count(*) FILTER (hit) AS turns, count(*) AS of_turns"
            f" FROM (SELECT *, regexp_matches(user_text, ?) AS hit FROM turns WHERE {condition}) GROUP BY day ORDER BY day",
            parameters,
        )

    def latest(self, one: WatchList, window: Window | None, environments: Sequence[str], *, most: int) -> list[int]:
        """Keys of the turns on the list, the latest first."""
        condition, parameters = traffic(window, environments)
        found = self._ask(
            one,
            f"SELECT turn_key FROM (SELECT turn_key, created_at FROM turns WHERE regexp_matches(user_text, ?) AND {condition})"
            f" ORDER BY created_at DESC, turn_key LIMIT {int(most)}",
            parameters,
        )
        return [int(key) for key in values(found, 0)]

    def spans(self, one: WatchList, texts: Sequence[str]) -> list[list[tuple[int, int]]]:
        """Where the list's hits stand in each text, as half-open ranges of characters, in order and apart from each other.

        RE2 looks, in time that grows with the texts. Raises `SettingError` for a pattern that it does not take.
        """
        if not texts:
            return []
        self._check(one)
        asked = pa.table(
            {
                "number": pa.array(range(len(texts)), pa.int64()),
                "text": pa.array([text.translate(_MARKS) for text in texts], pa.string()),
            }
        )
        columns, parameters = [], []
        if phrases := one.phrase_expression:
            columns.append("regexp_replace(regexp_replace(text, ?, ?, 'g'), ?, ?, 'g')")
            parameters += [phrases, _PHRASE] * 2
        if patterns := one.pattern_expression:
            columns.append("regexp_replace(text, ?, ?, 'g')")
            parameters += [patterns, _PATTERN]
        found = self._database.query(f"SELECT {', '.join(columns)} FROM asked ORDER BY number", parameters, asked=asked)
        marked = [values(found, place) for place in range(found.num_columns)]
        return [_union([span for text in row for span in _between(text)]) for row in zip(*marked, strict=True)]

    def _ask(self, one: WatchList, sql: str, parameters: Sequence[Any]) -> pa.Table:
        self._check(one)
        return self._database.query(sql, [one.expression, *parameters])

    def _check(self, one: WatchList) -> None:
        for pattern in one.patterns:
            try:
                self._database.query("SELECT regexp_matches('', ?)", [f"(?is){pattern}"])
            except StoreError as error:
                raise SettingError(
                    f"setting analysis.watch_lists: the pattern {pattern!r} of {one.name!r} is no regular expression of RE2: "
                    + str(error).rpartition("Error: ")[2]
                ) from None


def _between(marked: str) -> list[tuple[int, int]]:
    """Where the marks of a text stand in it without them; marks within marks are one."""
    found, at, depth, start = [], 0, 0, 0
    for piece in _EITHER.split(marked):
        if piece == _START:
            start, depth = (start if depth else at), depth + 1
        elif piece == _END:
            depth -= 1
            if not depth and at > start:
                found.append((start, at))
        else:
            at += len(piece)
    return found


def _union(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if found and start < found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found
