"""The one place where DuckDB's errors become offmap's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from monitor.errors import StoreBusyError, StoreConflictError, StoreError, StoreFullError, StoreVersionError

__all__ = ["is_full", "translated"]

#: What DuckDB and the operating system say when bytes no longer fit. "File too large" is a file-size limit (EFBIG).
_FULL = (
    "No space left",
    "File too large",
    "Disk quota exceeded",
    "Could not write all bytes",
    "max_temp_directory_size",
)
_BUSY = ("Could not set lock", "Unique file handle conflict")
#: What DuckLake says at the commit when somebody else has committed since the transaction began.
_OVERTAKEN = ("maximum retry count",)
#: What libpq says when there is no server.
_AWAY = re.compile(
    r"connection to server [^\n]*|could not translate host name[^\n]*|server closed the connection[^\n]*"
)
#: Errors of our own SQL: bugs, which must keep their traceback.
_BUGS = (duckdb.ParserException, duckdb.CatalogException, duckdb.BinderException, duckdb.NotImplementedException)


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise what goes wrong with the store at `path` as a `StoreError` that says what to do."""
    try:
        yield
    except duckdb.Error as error:
        meant = _meaning(path, error)
        if meant is None:
            raise
        raise meant from error


def is_full(error: duckdb.Error) -> bool:
    """Whether the disk has no room, or a limit of it was reached."""
    return any(sign in str(error) for sign in _FULL)


def _meaning(path: str, error: duckdb.Error) -> StoreError | None:
    text = str(error)
    if any(sign in text for sign in _BUSY):
        return _busy(path, text)
    if any(sign in text for sign in _OVERTAKEN):
        return StoreConflictError(
            f"another process changed the store {path} in the middle of a transaction, of which nothing was kept: "
            "run the same command again"
        )
    if isinstance(error, _BUGS):
        return None
    if is_full(error):
        if "COMMIT succeeded" in text:  # what failed is to move the log into the file
            return StoreFullError(
                f"no room left on the disk of the store {path}; what was written is kept in its log: "
                "free some space and run the same command again"
            )
        return StoreFullError(
            f"no room left on the disk of the store {path}; nothing of the last transaction was kept: "
            "free some space and run the same command again"
        )
    if "version number" in text and "read a database file" in text:
        return StoreVersionError(f"the store {path} was written by a newer DuckDB: install a newer offmap")
    if "not a valid DuckDB database file" in text:
        return StoreError(f"{path} is no DuckDB file: name another store with --store or OFFMAP_STORE")
    if isinstance(error, duckdb.OutOfMemoryException):
        return StoreError(f"the store {path} reached its memory limit: raise the setting store.memory_limit")
    if away := _AWAY.search(text):
        return StoreError(
            f"the store {path} does not reach its catalog in PostgreSQL: {away[0]}; "
            "start the server, or mend store.path, PGPASSWORD or ~/.pgpass"
        )
    if isinstance(error, duckdb.TransactionException) and "onflict" in text:
        return StoreConflictError(
            f"another writer changed the same rows of the store {path}: run the same command again"
        )
    return StoreError(f"the store {path} failed: {text.splitlines()[0]}")


def _busy(path: str, text: str) -> StoreBusyError:
    holder = re.search(r"\(PID (\d+)\)", text)
    who = f"process {holder[1]}" if holder else "this process"
    return StoreBusyError(
        f"the store {path} is held by {who}, and takes one process at a time: "
        "wait for it or stop it, or name another store with --store"
    )
