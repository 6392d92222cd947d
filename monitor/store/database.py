"""One DuckDB instance with one cursor a thread; all SQL of the store passes through here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from monitor.errors import SettingError, StoreError, StoreFullError
from monitor.store.attachment import Attachment
from monitor.store.failures import translated

__all__ = ["Clock", "Database", "utc_now"]

Clock = Callable[[], datetime]

#: Arrow's offsets are 32 bits wide: a chunk of vectors or long texts must stay under 2 GiB.
_ROWS_A_CHUNK = 100_000


def utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


class _Thread(threading.local):
    cursor: duckdb.DuckDBPyConnection | None = None
    depth: int = 0
    failed: bool = False


class _Gate:
    """Many threads may pass at once, or one alone: maintenance swaps the file while nobody reads it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside: dict[int, int] = {}
        self._alone: int | None = None

    @contextmanager
    def shared(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            # Who is inside may go deeper, or a maintainer and an open transaction would wait for each other.
            self._changed.wait_for(lambda: self._alone in (None, me) or me in self._inside)
            self._inside[me] = self._inside.get(me, 0) + 1
        try:
            yield
        finally:
            with self._changed:
                self._inside[me] -= 1
                if not self._inside[me]:
                    del self._inside[me]
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        me = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: self._alone is None)
            self._alone = me
            self._changed.wait_for(lambda: not self._inside)
        try:
            yield
        finally:
            with self._changed:
                self._alone = None
                self._changed.notify_all()


class Database:
    """Queries in and out as Arrow, transactions, and the errors of both in offmap's words."""

    def __init__(
        self, attachment: Attachment, *, memory_limit: str = "", threads: int = 0, clock: Clock = utc_now
    ) -> None:
        self.attachment = attachment
        self.clock = clock
        self._thread = _Thread()
        self._gate = _Gate()
        # One writer at a time: DuckDB would let two run and fail the second at its commit.
        self._writer = threading.RLock()
        self._after_commit: list[Callable[[], None]] = []
        with translated(attachment.name):
            self.root = _connect(attachment, memory_limit, threads)
            try:
                attachment.attach(self.root)
            except BaseException:
                self.root.close()
                raise

    def close(self) -> None:
        """Write everything into the file and let it go. Waits for the transactions of other threads."""
        # On a full disk the log stays as it is, and holds all: a command that only read must not fail for it.
        with self._gate.alone(), suppress(StoreFullError):
            try:
                # Cursors of other threads keep the instance alive; what frees the file is to detach it.
                with translated(self.attachment.name):
                    self.root.execute("DETACH DATABASE IF EXISTS store")
            finally:
                self.root.close()

    def query(self, sql: str, parameters: Sequence[object] = (), **tables: pa.Table) -> pa.Table:
        """Run one statement. `tables` are Arrow tables that it can name; texts go in as `?` parameters."""
        with self._gate.shared(), translated(self.attachment.name):
            cursor = self._cursor()
            try:
                for name, table in tables.items():
                    cursor.register(name, table)
                return cursor.execute(sql, list(parameters)).to_arrow_table(_ROWS_A_CHUNK)
            finally:
                for name in tables:
                    # After a fatal error (a full disk) the cursor takes nothing more: show the first error.
                    with suppress(duckdb.Error):
                        cursor.unregister(name)

    def execute(self, sql: str, parameters: Sequence[object] = (), **tables: pa.Table) -> int:
        """Run one INSERT, UPDATE or DELETE, in the open transaction or in its own; how many rows it changed."""
        with self.transaction():
            result = self.query(sql, parameters, **tables)
        return int(result.column(0)[0].as_py()) if result.num_rows and result.column_names == ["Count"] else 0

    def insert(self, table: str, rows: pa.Table) -> int:
        """Append Arrow rows to a table, columns by name."""
        if not rows.num_rows:
            return 0
        names = ", ".join(rows.column_names)
        return self.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM new_rows", new_rows=rows)

    def value(self, sql: str, parameters: Sequence[object] = ()) -> Any:
        """The first column of the first row, or None."""
        result = self.query(sql, parameters)
        return result.column(0)[0].as_py() if result.num_rows else None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing. A transaction inside another joins it; when a part of it failed, the whole is rolled back."""
        if self._thread.depth:
            with self._joined():
                yield
            return
        with self._writer, self._gate.shared():
            cursor = self._cursor()
            with translated(self.attachment.name):
                cursor.execute("BEGIN TRANSACTION")
            self._thread.depth, self._thread.failed = 1, False
            try:
                yield
                if self._thread.failed:
                    raise StoreError("a part of this transaction failed, so none of it was kept")
                with translated(self.attachment.name):
                    cursor.execute("COMMIT")
            except BaseException:
                self._after_commit.clear()
                with suppress(duckdb.Error):  # a failed COMMIT has rolled back already
                    cursor.execute("ROLLBACK")
                raise
            finally:
                self._thread.depth = 0
            due, self._after_commit = self._after_commit, []
        for task in due:
            task()

    @contextmanager
    def _joined(self) -> Iterator[None]:
        self._thread.depth += 1
        try:
            yield
        except BaseException:
            self._thread.failed = True
            raise
        finally:
            self._thread.depth -= 1

    def after_commit(self, task: Callable[[], None]) -> None:
        """Run `task` once, when the transaction of this thread has been committed."""
        if task not in self._after_commit:
            self._after_commit.append(task)

    def alone(self) -> AbstractContextManager[None]:
        """Hold back every other thread, for maintenance on `root`."""
        return self._gate.alone()

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file."""
        with self.alone(), translated(self.attachment.name):
            self.root.execute(f"CHECKPOINT {self.attachment.checkpointed}")

    @contextmanager
    def detached(self) -> Iterator[None]:
        """Let the file go for a moment, written completely, with every other thread held back.

        Whoever opens and closes the file while DuckDB holds it takes DuckDB's lock away: such are POSIX locks.
        """
        with self.alone():
            with translated(self.attachment.name):
                self.root.execute(f"CHECKPOINT {self.attachment.checkpointed}")
                self.root.execute("DETACH store")
            try:
                yield
            finally:
                with translated(self.attachment.name):
                    self.attachment.attach(self.root)

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = self._thread.cursor
        if cursor is None:
            cursor = self.root.cursor()
            cursor.execute("USE store")
            self._thread.cursor = cursor
        return cursor


def _connect(attachment: Attachment, memory_limit: str, threads: int) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        # What spills goes beside the store, on the disk that was chosen for it, and not into the working folder.
        "temp_directory": f"{attachment.file}.tmp",
    }
    if threads:
        config["threads"] = threads
    if memory_limit:
        config["memory_limit"] = memory_limit
    try:
        return duckdb.connect(":memory:", config=config)
    except (duckdb.ParserException, duckdb.InvalidInputException) as error:
        raise SettingError(f"setting store.memory_limit = {memory_limit!r} is no size: write it like 4GB") from error
