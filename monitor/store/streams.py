"""Which log a stream is: table `streams`.

A topic that was deleted and made again has its old name and is another log: offsets of the first say nothing about the second.
Each log is a source of its own in offsets, dead letters and the ids of turns that have none.
"""

from __future__ import annotations

from monitor.store.database import Database
from monitor.store.rows import values

__all__ = ["Streams"]


class Streams:
    """The newest log of every stream."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def source(self, stream: str, log_id: str | None) -> str:
        """The name of the stream's log as a source. `log_id` is what the broker calls the log, None when it does not say.

        The first log has the stream's name, the next ones a number behind it.
        """
        with self._database.transaction(journaled=False):
            found = self._database.query(
                "SELECT source, log_id FROM streams WHERE stream = ? ORDER BY since DESC, source DESC LIMIT 1", [stream]
            )
            if found.num_rows:
                source, known = str(values(found, "source")[0]), values(found, "log_id")[0]
                if known == log_id or log_id is None:
                    return source
                if known is not None:
                    return self.restart(stream, log_id)
                self._database.execute("UPDATE streams SET log_id = ? WHERE source = ?", [log_id, source])
                return source
            self._write(stream, log_id, stream)
            return stream

    def restart(self, stream: str, log_id: str | None) -> str:
        """The log begins anew: it is another one from now on; its source."""
        with self._database.transaction(journaled=False):
            number = int(self._database.value("SELECT count(*) FROM streams WHERE stream = ?", [stream]))
            source = f"{stream}#{number + 1}" if number else stream
            self._write(stream, log_id, source)
            return source

    def _write(self, stream: str, log_id: str | None, source: str) -> None:
        self._database.execute(
            "INSERT INTO streams VALUES (?, ?, ?, ?)", [stream, log_id, source, self._database.clock()]
        )
