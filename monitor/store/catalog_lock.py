"""Processes that share a catalog write one after the other: a lock in PostgreSQL, held for a transaction.

It is there to spare work, and not what makes the store right: a transaction that somebody overtook fails at its commit
(`Attachment.attach`). So a process that was frozen may lose the lock and find out then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import duckdb

from monitor.errors import StoreBusyError

__all__ = ["LOCK", "CatalogLock"]

#: The database of the catalog, attached a second time: the lock must be had before DuckLake looks at it.
LOCK = "offmap_lock"
#: "offmap", as a number: advisory locks have numbers for names, and hold within one database.
_NUMBER = 0x6F66666D6170
#: Seconds that a process waits for its turn, and after which one that holds the lock and does nothing is taken for frozen.
_WAITS, _HOLDS = 8, 60


class CatalogLock:
    """One a process: its threads take turns before they come here."""

    def __init__(self, root: duckdb.DuckDBPyConnection, server: str) -> None:
        quoted = server.replace("'", "''")
        root.execute(f"ATTACH '{quoted}' AS {LOCK} (TYPE postgres)")
        self._cursor = root.cursor()

    @contextmanager
    def held(self, *, seconds: int = _HOLDS) -> Iterator[None]:
        """Alone among all processes. `StoreBusyError` when another one does not let go.

        PostgreSQL lets go for a process that is gone, at once, and for one that is frozen, after `seconds`.
        """
        self._take(seconds)
        try:
            yield
        finally:
            # The transaction has committed, or not, whatever became of the lock.
            with suppress(duckdb.Error):
                self._cursor.execute("ROLLBACK")

    def _take(self, seconds: int) -> None:
        self._cursor.execute("BEGIN TRANSACTION")
        try:
            self._ask(
                f"SELECT set_config('lock_timeout', '{_WAITS}s', true) AS waits,"
                f" set_config('idle_in_transaction_session_timeout', '{seconds}s', true) AS holds"
            )
            # As text: DuckDB knows no type `void`.
            self._ask(f"SELECT pg_advisory_xact_lock({_NUMBER})::text AS held")
        except duckdb.Error as error:
            with suppress(duckdb.Error):
                self._cursor.execute("ROLLBACK")
            if "lock timeout" in str(error):
                raise StoreBusyError(
                    f"another process has been writing to the store for more than {_WAITS} s: run the same command again"
                ) from error
            raise

    def _ask(self, sql: str) -> None:
        quoted = sql.replace("'", "''")
        self._cursor.execute(f"FROM postgres_query('{LOCK}', '{quoted}')").fetchall()

    def close(self) -> None:
        self._cursor.close()
