"""Records that could not be read, whole, with the reason: table `dead_letters`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from monitor.records import Coordinates, DeadLetter
from monitor.store.database import Database

__all__ = ["DeadLetters"]


class DeadLetters:
    """Kept once for each place that a record came from."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, letters: Sequence[DeadLetter]) -> int:
        """Keep letters; how many were new. The first letter from a place stays."""
        unique = {letter.coordinates: letter for letter in reversed(letters)}
        if not unique:
            return 0
        rows = _table(list(reversed(unique.values())))
        return self._database.execute(
            "INSERT INTO dead_letters (source, partition, position, reason, payload, received_at)"
            " SELECT source, partition, position, reason, payload, received_at FROM new_rows"
            " ANTI JOIN dead_letters USING (source, partition, position)",
            new_rows=rows,
        )

    def read(self, limit: int = 100) -> list[DeadLetter]:
        """The latest letters, latest first."""
        found = self._database.query(
            "SELECT * FROM dead_letters ORDER BY received_at DESC, source, partition, position DESC LIMIT ?", [limit]
        )
        return list(_letters(found))

    def count(self) -> int:
        return int(self._database.value("SELECT count(*) FROM dead_letters"))


def _table(letters: Sequence[DeadLetter]) -> pa.Table:
    places = [letter.coordinates for letter in letters]
    return pa.table(
        {
            "source": pa.array([place.source for place in places], pa.string()),
            "partition": pa.array([place.partition for place in places], pa.string()),
            "position": pa.array([place.position for place in places], pa.int64()),
            "reason": pa.array([letter.reason for letter in letters], pa.string()),
            "payload": pa.array([letter.payload for letter in letters], pa.binary()),
            "received_at": pa.array([letter.received_at for letter in letters], pa.timestamp("us")),
        }
    )


def _letters(table: pa.Table) -> Iterator[DeadLetter]:
    for row in table.to_pylist():
        place = Coordinates(row["source"], row["partition"], row["position"])
        yield DeadLetter(place, row["reason"], row["payload"], row["received_at"])
