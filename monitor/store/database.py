"""What every table family speaks to: statements and transactions. Two kinds: the instance itself (`monitor.store.local`), and
a connection to the process that holds it (`monitor.store.remote`)."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pyarrow as pa

from monitor.clock import Clock
from monitor.store.attachment import Attachment

__all__ = ["Database", "Depth"]


class Depth(threading.local):
    """How deep this thread is in transactions, and whether an inner one failed."""

    depth: int = 0
    failed: bool = False

    @contextmanager
    def joined(self) -> Iterator[None]:
        """A transaction inside another: when it fails, so does the whole."""
        self.depth += 1
        try:
            yield
        except BaseException:
            self.failed = True
            raise
        finally:
            self.depth -= 1


class Database(ABC):
    """Queries in and out as Arrow, transactions, and the errors of both in offmap's words."""

    attachment: Attachment
    clock: Clock

    @abstractmethod
    def query(self, sql: str, parameters: Sequence[object] = (), **tables: pa.Table) -> pa.Table:
        """Run one statement. `tables` are Arrow tables that it can name; texts go in as `?` parameters."""

    @abstractmethod
    def transaction(self, *, journaled: bool = True) -> AbstractContextManager[None]:
        """All or nothing. A transaction inside another joins it; when a part of it failed, the whole is rolled back.

        `journaled=False` is for what can be read again from its source, by the offsets that are written in the same
        transaction: it is not written into the journal (`monitor.store.journal`).
        """

    @abstractmethod
    def erase_after_commit(self) -> None:
        """When this thread's transaction has been committed, take the bytes of deleted rows off the disk."""

    @abstractmethod
    def erase(self) -> None:
        """Take the bytes of deleted rows off the disk now."""

    @abstractmethod
    def checkpoint(self) -> None:
        """Move the write-ahead log into the store, and so empty the journal."""

    @abstractmethod
    def close(self) -> None:
        """Let the store go."""

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
