"""How ingest stood, minute by minute, for whoever looks: table `ingest_samples`.

A sample holds counters, as they were: where each partition stands and ends, how many records of files and of requests were
read, how many dead letters are kept. Rates are made of two of them. They are written once a minute beside ingest, never in its
transactions, so they cost it nothing; they survive a restart, which a list in memory would not; and they go after three hours,
since Prometheus is the place for more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from monitor.store.database import Database
from monitor.store.rows import shape

__all__ = ["FILES", "FOLDER", "HTTP", "KEPT", "LETTERS", "Sample", "Samples"]

#: Sources beside the streams, which have their own names. The offset of a log that grows is in bytes, so it is none of FILES:
#: the service counts its records as FOLDER.
FILES, FOLDER, HTTP, LETTERS = "files", "folder", "http", "dead letters"
KEPT = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Sample:
    """One counter at one time; of a stream's partition also where it ends."""

    taken_at: datetime
    source: str
    partition: str
    position: int
    end_position: int

    @property
    def lag(self) -> int:
        """Messages that wait."""
        return max(0, self.end_position - self.position)


_SAMPLE = shape(Sample)

_NOW = f"""
SELECT source, partition, position, end_position FROM partitions
UNION ALL SELECT '{FILES}', '', sum(position)::BIGINT, sum(position)::BIGINT FROM ingest_offsets
    WHERE starts_with(source, 'file:') AND NOT ends_with(partition, '/end') AND partition <> 'lines' HAVING count(*) > 0
UNION ALL SELECT '{LETTERS}', '', count(*), count(*) FROM dead_letters
"""


class Samples:
    """Take one, read those of the last hours."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, counted: Mapping[str, int]) -> None:
        """Keep how ingest stands now, with what the process has `counted` itself since it started. Old samples go."""
        now = self._database.clock()
        with self._database.transaction(journaled=False):  # nothing that must outlive a damaged log
            self._database.execute("DELETE FROM ingest_samples WHERE taken_at <= ? OR taken_at > ?", [now - KEPT, now])
            self._database.execute(f"INSERT INTO ingest_samples SELECT ?, * FROM ({_NOW})", [now])
            own = [Sample(now, source, "", records, records) for source, records in counted.items() if records]
            self._database.insert("ingest_samples", _SAMPLE.table(own))

    def read(self) -> Sequence[Sample]:
        """What is kept, from the oldest on."""
        return _SAMPLE.read(
            self._database.query(
                "SELECT * FROM ingest_samples WHERE taken_at > ? ORDER BY taken_at, source, partition", [self._since]
            )
        )

    def now(self) -> Sequence[Sample]:
        """How ingest stands now; what only the process knows that reads it is not among it."""
        found = self._database.query(f"SELECT ?::TIMESTAMP AS taken_at, * FROM ({_NOW})", [self._database.clock()])
        return _SAMPLE.read(found)

    @property
    def _since(self) -> datetime:
        return self._database.clock() - KEPT
