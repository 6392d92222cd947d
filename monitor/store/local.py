"""One DuckDB instance with one cursor a thread; all SQL of the store passes through here."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from typing import Any

import duckdb
import pyarrow as pa

from monitor.clock import Clock, utc_now
from monitor.errors import SettingError, StoreError, StoreFullError
from monitor.store.attachment import Attachment
from monitor.store.database import Database, Depth
from monitor.store.failures import translated
from monitor.store.journal import MOST_OF_A_JOURNAL, MOST_OF_AN_ENTRY, Entry, Journal, Recording, journal_of
from monitor.store.recovery import Recovery, attach_sound, replay

__all__ = ["LocalDatabase"]

#: Arrow's offsets are 32 bits wide: a chunk of vectors or long texts must stay under 2 GiB.
_ROWS_A_CHUNK = 100_000
#: After so many transactions it is looked whether a DuckLake has too many files.
_COMMITS = 25
#: The log grows to this before it is moved into the file: at DuckDB's own 16 MB each group of rows is written several times, as
#: it fills. A store that was killed with a log of this size opened in 0.7 s.
_CHECKPOINT = "64MB"
#: A DuckDB file begins with three blocks of headers; whatever it holds comes after them.
_HEADERS = 3 * 4096


class _Thread(Depth):
    cursor: duckdb.DuckDBPyConnection | None = None
    recording: Recording | None = None


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


class LocalDatabase(Database):
    """One DuckDB instance; use it from any thread."""

    def __init__(
        self, attachment: Attachment, *, memory_limit: str = "", threads: int = 0, clock: Clock = utc_now
    ) -> None:
        self.attachment = attachment
        self.clock = clock
        self._thread = _Thread()
        self._gate = _Gate()
        # One writer at a time: DuckDB would let two run and fail the second at its commit.
        self._writer = threading.RLock()
        self._erase_due = False
        self._commits = 0
        self._closed = self._invalid = False
        new = not attachment.file.exists()
        # A DuckLake cannot count entries in its transactions: there a checkpoint of the small catalog follows each.
        self._journal = Journal(journal_of(attachment.file)) if attachment.kind == "duckdb" else None
        self._entry: int | None = None
        self._hole = False
        with translated(attachment.name):
            self.root = _connect(attachment, memory_limit, threads)
            try:
                self._lock = attachment.lock(self.root)
                with self.turn():  # two processes that make the same catalog
                    self.recovery = self._recovered()
                _clear_spilled(attachment)
            except BaseException:
                self.root.close()
                if new:
                    _remove_stub(attachment)
                raise

    def close(self) -> None:
        """Write everything into the file and let it go. Waits for the transactions of other threads. Twice is as once."""
        if self._closed:
            return
        self._closed = True
        # On a full disk the log stays as it is, and holds all: a command that only read must not fail for it.
        with self._gate.alone(), suppress(StoreFullError):
            try:
                # Cursors of other threads keep the instance alive; what frees the file is to detach it.
                with translated(self.attachment.name):
                    self.root.execute("DETACH DATABASE IF EXISTS store")
                if self._journal is not None and not self.attachment.log.exists():
                    self._journal.close()
                    self._journal.clear()
            finally:
                if self._lock is not None:
                    self._lock.close()
                self.root.close()
                if self._journal is not None:
                    self._journal.close()

    def query(self, sql: str, parameters: Sequence[object] = (), **tables: pa.Table) -> pa.Table:
        self._recover()
        with self._gate.shared(), self._translated():
            cursor = self._cursor()
            try:
                for name, table in tables.items():
                    cursor.register(name, table)
                found = cursor.execute(sql, list(parameters)).to_arrow_table(_ROWS_A_CHUNK)
                if self._thread.recording is not None:
                    self._thread.recording.add(sql, parameters, tables)
                return found
            finally:
                for name in tables:
                    # After a fatal error (a full disk) the cursor takes nothing more: show the first error.
                    with suppress(duckdb.Error):
                        cursor.unregister(name)

    @contextmanager
    def transaction(self, *, journaled: bool = True) -> Iterator[None]:
        if self._thread.depth:
            with self._thread.joined():
                yield
            return
        self._recover()
        with self._writer, self._gate.shared(), self.turn():
            cursor = self._cursor()
            with self._translated():
                cursor.execute("BEGIN TRANSACTION")
            self._thread.depth, self._thread.failed = 1, False
            recording = self._thread.recording = Recording() if journaled else None
            try:
                yield
                if self._thread.failed:
                    raise StoreError("a part of this transaction failed, so none of it was kept")
                with self._translated():
                    self._commit(cursor)
            except BaseException:
                self._erase_due = False
                with suppress(duckdb.Error):  # a failed COMMIT has rolled back already
                    cursor.execute("ROLLBACK")
                raise
            finally:
                self._thread.depth, self._thread.recording = 0, None
            due, self._erase_due = self._erase_due, False
        if due:
            self.erase()
        elif recording is not None and self._checkpoint_due(recording):
            # The rows are committed: a checkpoint that fails now is tried again after the next transaction.
            with suppress(StoreError):
                self.checkpoint()
        self._compact()

    def _compact(self) -> None:
        """Now and then, the first time soon: commands that commit once and end are processes, too."""
        self._commits += 1
        if self.attachment.kind == "ducklake" and self._commits % _COMMITS == 1:
            from monitor.store.compaction import Compaction

            with suppress(StoreError):
                Compaction(self).run_if_due()

    def erase_after_commit(self) -> None:
        self._erase_due = True

    def erase(self) -> None:
        """Write the store anew, without the bytes of deleted rows."""
        from monitor.store.erasure import Erasure

        Erasure(self).run()

    def alone(self) -> AbstractContextManager[None]:
        """Hold back every other thread, for maintenance on `root`."""
        return self._gate.alone()

    @contextmanager
    def turn(self, **limits: int) -> Iterator[None]:
        """Hold back every other process that may write, where there can be one."""
        with ExitStack() as held:
            if self._lock is not None:
                with self._translated():
                    held.enter_context(self._lock.held(**limits))
            yield

    def unchanged(self) -> AbstractContextManager[object]:
        """Hold back whoever wants to write; others read on. `alone` may be called inside."""
        return self._writer

    def beside(self) -> AbstractContextManager[None]:
        """Work beside others, on a cursor of one's own: nobody takes the file away meanwhile."""
        return self._gate.shared()

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file. Writers wait; readers only when DuckDB cannot do it beside them."""
        if self.attachment.server:
            return
        statement = f"CHECKPOINT {self.attachment.checkpointed}"
        with self._writer, self._translated():
            try:
                with self._gate.shared():
                    self._cursor().execute(statement)
            except duckdb.TransactionException:
                with self.alone():
                    self.root.execute(statement)
            self.clear_journal()

    def clear_journal(self) -> None:
        """Call it when a checkpoint has been made and no writer was let in since."""
        if self._journal is not None:
            self._journal.clear()
            self._hole = False

    @contextmanager
    def detached(self) -> Iterator[None]:
        """Let the file go for a moment, written completely, with every other thread held back.

        Whoever opens and closes the file while DuckDB holds it takes DuckDB's lock away: such are POSIX locks.
        """
        with self.alone():
            with translated(self.attachment.name):
                self.root.execute(f"CHECKPOINT {self.attachment.checkpointed}")
                self.clear_journal()
                self.root.execute("DETACH store")
            try:
                yield
            finally:
                with translated(self.attachment.name):
                    self.attachment.attach(self.root)

    def _recovered(self) -> Recovery:
        damage = attach_sound(self.attachment, self.root)
        if self._journal is None:
            return Recovery(damage)
        return Recovery(damage, *replay(self.root, self._journal))

    def _commit(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Commit; what stands in no other log is flushed into the journal before."""
        recording = self._thread.recording
        if self._journal is None or recording is None or not recording.statements or recording.size > MOST_OF_AN_ENTRY:
            cursor.execute("COMMIT")
            return
        if self._entry is None:
            found = cursor.execute("SELECT max(position) FROM journal").fetchone()
            self._entry = int(found[0]) if found and found[0] is not None else 0
        number = self._entry + 1
        cursor.execute("UPDATE journal SET position = ?", [number])
        # Until it is over, whether it was committed is known to the store alone.
        self._entry = None
        try:
            self._journal.append(Entry(number, tuple(recording.statements)))
            cursor.execute("COMMIT")
        except BaseException:
            # It may have been committed all the same (a checkpoint that failed after it): a hole that the next one closes.
            self._journal.take_back()
            self._hole = True
            raise
        self._entry = number

    def _checkpoint_due(self, recording: Recording) -> bool:
        if self._journal is None:
            return bool(recording.statements)
        return self._hole or recording.size > MOST_OF_AN_ENTRY or self._journal.size > MOST_OF_A_JOURNAL

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            with translated(self.attachment.name):
                yield
        except StoreError as error:
            if "has been invalidated" in str(error.__cause__):
                self._invalid = True
            raise

    def _recover(self) -> None:
        """After a checkpoint that failed (a full disk) DuckDB takes nothing more, also when there is room again: what was
        committed is in the log, and comes back with the file."""
        if not self._invalid or self._thread.depth:
            return
        with self.alone():
            if not self._invalid:
                return
            with translated(self.attachment.name):
                self.root.execute("DETACH DATABASE IF EXISTS store")
                self.attachment.attach(self.root)
            self._invalid, self._entry = False, None

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        cursor = self._thread.cursor
        if cursor is None:
            cursor = self.root.cursor()
            cursor.execute("USE store")
            self._thread.cursor = cursor
        return cursor


def _remove_stub(attachment: Attachment) -> None:
    """A disk that was full before even the headers were written leaves what DuckDB never opens again, and holds nothing."""
    with suppress(OSError):
        if attachment.file.stat().st_size <= _HEADERS:
            attachment.file.unlink()


def _clear_spilled(attachment: Attachment) -> None:
    """What a process that was killed has spilled holds people's texts. The store is ours now, so nobody needs it."""
    folder = attachment.temporary
    if not attachment.server and folder.is_dir():
        for left in folder.glob("duckdb_temp_*"):
            left.unlink(missing_ok=True)


def _connect(attachment: Attachment, memory_limit: str, threads: int) -> duckdb.DuckDBPyConnection:
    config: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        "temp_directory": str(attachment.temporary),
        "checkpoint_threshold": _CHECKPOINT,
    }
    if threads:
        config["threads"] = threads
    if memory_limit:
        config["memory_limit"] = memory_limit
    try:
        return duckdb.connect(":memory:", config=config)
    except (duckdb.ParserException, duckdb.InvalidInputException) as error:
        raise SettingError(f"setting store.memory_limit = {memory_limit!r} is no size: write it like 4GB") from error
