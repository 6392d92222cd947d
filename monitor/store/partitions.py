"""What is known of each partition that is read: where we stand, where it ends, when its last message was: table `partitions`.

This is for people who look. What decides where reading goes on is `ingest_offsets`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from monitor.store.database import Database
from monitor.store.rows import shape

__all__ = ["PartitionRow", "Partitions"]


@dataclass(frozen=True, slots=True)
class PartitionRow:
    """`position` is the next message to read, `end_position` the next to come; `message_at` is the time of the last one.

    `lost` messages were gone from the log before they were read.
    """

    source: str
    partition: str
    position: int
    end_position: int
    seen_at: datetime
    message_at: datetime | None = None
    lost: int | None = None

    @property
    def lag(self) -> int:
        """Messages that wait."""
        return max(0, self.end_position - self.position)


_PARTITION = shape(PartitionRow)


class Partitions:
    """One row a partition."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, rows: Sequence[PartitionRow]) -> None:
        """Keep the rows. The lost of a row come on top of those that were known."""
        with self._database.transaction(journaled=False):
            known = {(row.source, row.partition): row for row in self.read()}
            rows = [_on_top_of(row, known.get((row.source, row.partition))) for row in rows]
            for row in rows:
                self._database.execute(
                    "DELETE FROM partitions WHERE source = ? AND partition = ?", [row.source, row.partition]
                )
            self._database.insert("partitions", _PARTITION.table(rows))

    def read(self) -> list[PartitionRow]:
        return _PARTITION.read(self._database.query("SELECT * FROM partitions ORDER BY source, partition"))


def _on_top_of(row: PartitionRow, known: PartitionRow | None) -> PartitionRow:
    if known is None:
        return row
    return replace(
        row, message_at=row.message_at or known.message_at, lost=((known.lost or 0) + (row.lost or 0)) or None
    )
