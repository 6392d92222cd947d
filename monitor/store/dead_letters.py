"""Records that could not be read, whole, with the reason: table `dead_letters`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

from monitor.records import Coordinates, DeadLetter
from monitor.store.database import Database
from monitor.store.rows import values

__all__ = ["Chosen", "DeadLetters", "Reason", "Span", "kind_of", "places_of"]

_PLACE = "source, partition, position"
#: `Coordinates.letter_id`, as the store computes it.
_ID = "'dl' || left(sha256(source || chr(10) || partition || chr(10) || position), 12)"
_LATEST_FIRST = "received_at DESC, source, partition, position DESC"

#: What differs between records that are bad in the same way: a value, a place in a list or a text.
_DIFFERS = re.compile(
    r"(?P<value>\bgot )(?:['\"].*|-?[\d.].*)"
    r"|(?P<place>\[)\d+(?=\])"
    r"|(?P<count>\b(?:at byte|byte|character|header|line|number|part|row|row has) )(?:0x[0-9a-f]{2}|\d+)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which letters are meant: those that fit everything that is given; without anything all.

    `source` is a source, a topic, or the beginning of a file's hash. `reason` is a part of the reason, in which … stands for
    anything, as in `kind_of`. With `limit` only the latest so many.
    """

    ids: tuple[str, ...] = ()
    source: str | None = None
    reason: str | None = None
    since: datetime | None = None
    limit: int | None = None

    @property
    def condition(self) -> tuple[str, list[Any]]:
        """All but the limit, in SQL, and its parameters."""
        conditions: list[str] = []
        parameters: list[Any] = []
        if self.ids:
            conditions.append(f"list_contains(?::VARCHAR[], {_ID})")
            parameters.append(list(self.ids))
        if self.source is not None:
            # A topic that was made again is the source `kafka:topic#2`.
            conditions.append(
                "(source = ? OR split_part(source, '#', 1) IN (?, 'kafka:' || ?) OR starts_with(source, 'file:' || ?))"
            )
            parameters += [self.source, self.source, self.source, self.source.removeprefix("file:")]
        if self.reason is not None:
            conditions.append("reason ILIKE ? ESCAPE '\\'")
            parameters.append(_pattern(self.reason))
        if self.since is not None:
            conditions.append("received_at >= ?")
            parameters.append(self.since)
        return " AND ".join(conditions) or "true", parameters

    @property
    def bound(self) -> str:
        return "" if self.limit is None else f" LIMIT {int(self.limit)}"


@dataclass(frozen=True, slots=True)
class Reason:
    """One kind of reason (`kind_of`): how many letters have it, and when the newest of them was read."""

    reason: str
    letters: int
    newest: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """The positions from `start` up to `end`, which is not one of them, of one partition."""

    source: str
    partition: str
    start: int
    end: int

    @property
    def records(self) -> int:
        return max(0, self.end - self.start)


@dataclass(slots=True)
class _Sum:
    letters: int = 0
    newest: datetime = field(default=datetime.min)


def kind_of(reason: str) -> str:
    """The reason without what differs from record to record.

    >>> kind_of("latency_ms: expected a number, got 'fast'")
    'latency_ms: expected a number, got …'
    >>> kind_of("not JSON: unexpected end of data at character 18: the record is cut")
    'not JSON: unexpected end of data at character …: the record is cut'
    >>> kind_of("messages[3].role: expected a text, got a list")
    'messages[…].role: expected a text, got a list'
    """
    return _DIFFERS.sub(lambda found: f"{found['value'] or found['place'] or found['count']}…", reason)


class DeadLetters:
    """Kept once for each place that a record came from, until it is replayed, discarded or forgotten."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, letters: Sequence[DeadLetter]) -> int:
        """Keep letters; how many were new. The first letter from a place stays."""
        unique = {letter.coordinates: letter for letter in reversed(letters)}
        if not unique:
            return 0
        rows = _table(list(reversed(unique.values())))
        return self._database.execute(
            "INSERT INTO dead_letters (source, partition, position, reason, payload, received_at, headers, message_key)"
            " SELECT source, partition, position, reason, payload, received_at, headers, message_key FROM new_rows"
            " ANTI JOIN dead_letters USING (source, partition, position)",
            new_rows=rows,
        )

    def read(self, limit: int | None = 100, chosen: Chosen | None = None) -> list[DeadLetter]:
        """The latest letters, latest first."""
        condition, parameters = (chosen or Chosen()).condition
        found = self._database.query(
            f"SELECT * FROM dead_letters WHERE {condition} ORDER BY {_LATEST_FIRST}{Chosen(limit=limit).bound}",
            parameters,
        )
        return list(_letters(found))

    def find(self, letter_id: str) -> DeadLetter | None:
        found = self.read(1, Chosen(ids=(letter_id,)))
        return found[0] if found else None

    def count(self, chosen: Chosen | None = None) -> int:
        """How many are meant; its limit does not count."""
        condition, parameters = (chosen or Chosen()).condition
        return int(self._database.value(f"SELECT count(*) FROM dead_letters WHERE {condition}", parameters))

    def reasons(self, chosen: Chosen | None = None) -> list[Reason]:
        """The kinds of reasons, the most frequent first."""
        condition, parameters = (chosen or Chosen()).condition
        return _summed(
            self._database.query(
                "SELECT reason, count(*) AS letters, max(received_at) AS newest FROM dead_letters"
                f" WHERE {condition} GROUP BY reason",
                parameters,
            )
        )

    def reasons_within(self, spans: Iterable[Span]) -> list[Reason]:
        """The kinds of reasons of the letters that came from these positions, the most frequent first."""
        listed = list(spans)
        asked = pa.table(
            {
                "source": pa.array([span.source for span in listed], pa.string()),
                "partition": pa.array([span.partition for span in listed], pa.string()),
                "first": pa.array([span.start for span in listed], pa.int64()),
                "after": pa.array([span.end for span in listed], pa.int64()),
            }
        )
        return _summed(
            self._database.query(
                "SELECT reason, count(*) AS letters, max(received_at) AS newest FROM dead_letters"
                " JOIN asked USING (source, partition) WHERE position >= first AND position < after GROUP BY reason",
                asked=asked,
            )
        )

    def places(self, chosen: Chosen) -> pa.Table:
        """Where the chosen letters stand, in the order of their logs, and how long they are: source, partition, position,
        bytes."""
        condition, parameters = chosen.condition
        return self._database.query(
            f"SELECT * FROM (SELECT {_PLACE}, octet_length(payload) AS bytes FROM dead_letters WHERE {condition}"
            f" ORDER BY {_LATEST_FIRST}{chosen.bound}) ORDER BY {_PLACE}",
            parameters,
        )

    def at(self, places: pa.Table) -> list[DeadLetter]:
        """The letters that are there (still), in the order of their logs."""
        found = self._database.query(
            f"SELECT * FROM dead_letters SEMI JOIN asked USING ({_PLACE}) ORDER BY {_PLACE}",
            asked=places.select(["source", "partition", "position"]),
        )
        return list(_letters(found))

    def remove(self, places: pa.Table) -> int:
        """Take letters away; how many there were."""
        if not places.num_rows:
            return 0
        return self._database.execute(
            f"DELETE FROM dead_letters WHERE ({_PLACE}) IN (SELECT ({_PLACE}) FROM gone)",
            gone=places.select(["source", "partition", "position"]),
        )

    def restate(self, letters: Sequence[DeadLetter]) -> None:
        """Give the letters, as far as they are there, the reasons that these have."""
        if not letters:
            return
        self._database.execute(
            "UPDATE dead_letters SET reason = changed.reason FROM changed WHERE dead_letters.source = changed.source"
            " AND dead_letters.partition = changed.partition AND dead_letters.position = changed.position",
            changed=_table(letters).select(["source", "partition", "position", "reason"]),
        )

    def unsent(self, stream: str, limit: int) -> pa.Table:
        """Where letters of a stream stand that were not sent to its topic of dead letters yet, and how long they are; the
        oldest."""
        return self._database.query(
            f"SELECT {_PLACE}, octet_length(payload) AS bytes FROM dead_letters"
            f" WHERE sent_at IS NULL AND split_part(source, '#', 1) = ? ORDER BY received_at, {_PLACE} LIMIT {int(limit)}",
            [stream],
        )

    def mark_sent(self, places: pa.Table, at: datetime) -> None:
        # Not for the journal: what is not known to be sent is sent again.
        with self._database.transaction(journaled=False):
            self._database.execute(
                f"UPDATE dead_letters SET sent_at = ? WHERE ({_PLACE}) IN (SELECT ({_PLACE}) FROM sent)",
                [at],
                sent=places.select(["source", "partition", "position"]),
            )

    def discard(self, chosen: Chosen) -> int:
        """Delete the chosen letters for good; how many there were."""
        with self._database.transaction():
            return self.remove(self.places(chosen))


def _pattern(text: str) -> str:
    """A pattern for LIKE that finds the text anywhere, and anything where it has …"""
    escaped = re.sub(r"([\\%_])", r"\\\1", text)
    return f"%{escaped.replace('…', '%')}%"


def _summed(found: pa.Table) -> list[Reason]:
    sums: dict[str, _Sum] = {}
    for reason, letters, newest in zip(*(values(found, column) for column in range(3)), strict=True):
        one = sums.setdefault(kind_of(reason or ""), _Sum())
        one.letters += letters
        one.newest = max(one.newest, newest or one.newest)
    ordered = sorted(sums.items(), key=lambda item: (-item[1].letters, item[0]))
    return [Reason(reason, one.letters, one.newest) for reason, one in ordered]


def places_of(coordinates: Sequence[Coordinates]) -> pa.Table:
    """Coordinates as a table, as `DeadLetters.places` gives them."""
    return pa.table(
        {
            "source": pa.array([place.source for place in coordinates], pa.string()),
            "partition": pa.array([place.partition for place in coordinates], pa.string()),
            "position": pa.array([place.position for place in coordinates], pa.int64()),
        }
    )


def _table(letters: Sequence[DeadLetter]) -> pa.Table:
    columns: dict[str, pa.Array[Any]] = {
        "reason": pa.array([letter.reason for letter in letters], pa.string()),
        "payload": pa.array([letter.payload for letter in letters], pa.binary()),
        "received_at": pa.array([letter.received_at for letter in letters], pa.timestamp("us")),
        "headers": pa.array([_headers(letter) for letter in letters], pa.string()),
        "message_key": pa.array([letter.key for letter in letters], pa.binary()),
    }
    table = places_of([letter.coordinates for letter in letters])
    for name, column in columns.items():
        table = table.append_column(name, column)
    return table


def _letters(table: pa.Table) -> Iterator[DeadLetter]:
    for row in table.to_pylist():
        place = Coordinates(row["source"], row["partition"], row["position"])
        headers = tuple((str(name), str(value)) for name, value in orjson.loads(row["headers"] or "[]"))
        yield DeadLetter(place, row["reason"], row["payload"], row["received_at"], headers, row["message_key"])


def _headers(letter: DeadLetter) -> str | None:
    return orjson.dumps(list(letter.headers)).decode() if letter.headers else None
