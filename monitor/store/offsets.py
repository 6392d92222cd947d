"""How far each source has been ingested: table `ingest_offsets`. It moves in the transaction of its rows."""

from __future__ import annotations

from monitor.errors import OffsetMovedError, StoreError
from monitor.store.database import Database

__all__ = ["Offsets"]


class Offsets:
    """The next position of every (source, partition)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def next(self, source: str, partition: str) -> int:
        """The position to read next, 0 for a source that was never read."""
        found = self._database.value(
            "SELECT max(position) FROM ingest_offsets WHERE source = ? AND partition = ?", [source, partition]
        )
        return int(found or 0)

    def begin(self, source: str, partition: str) -> int:
        """The position to read next; from now on there is a row for it.

        Two writers that set a row conflict on every kind of store. Two that make one do not on DuckLake.
        """
        with self._database.transaction(journaled=False):
            rows = self._database.value(
                "SELECT count(*) FROM ingest_offsets WHERE source = ? AND partition = ?", [source, partition]
            )
            if not rows:
                now = self._database.clock()
                self._database.execute("INSERT INTO ingest_offsets VALUES (?, ?, 0, ?)", [source, partition, now])
            return self.next(source, partition)

    def advance(self, source: str, partition: str, *, expected: int, to: int) -> None:
        """Compare and set, only forwards. `StoreError` when another reader of the source got ahead."""
        with self._database.transaction(journaled=False):
            found = self.next(source, partition)
            if found != expected:
                raise OffsetMovedError(
                    f"offset of {source} partition {partition} is {found} and was expected to be {expected}: "
                    "another process ingests the same source; run the same command again",
                    found=found,
                )
            if to < expected:
                raise StoreError(
                    f"offset of {source} partition {partition} cannot go back from {expected} to {to}; "
                    "ingesting again needs no reset, since a turn is stored once"
                )
            if to == expected:
                return
            now = self._database.clock()
            changed = self._database.execute(
                "UPDATE ingest_offsets SET position = ?, updated_at = ? WHERE source = ? AND partition = ?",
                [to, now, source, partition],
            )
            if not changed:
                self._database.execute("INSERT INTO ingest_offsets VALUES (?, ?, ?, ?)", [source, partition, to, now])
