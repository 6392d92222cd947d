"""The one place where DuckDB's errors become offmap's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from monitor.errors import StoreBusyError, StoreError, StoreFullError, StoreVersionError

__all__ = ["translated"]

#: What DuckDB and the operating system say when bytes no longer fit. "File too large" is a file-size limit (EFBIG).
_FULL = (
    "No space left",
    "File too large",
    "Disk quota exceeded",
    "Could not write all bytes",
    "max_temp_directory_size",
)
_BUSY = ("Could not set lock", "Unique file handle conflict")
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


def _meaning(path: str, error: duckdb.Error) -> StoreError | None:
    text = str(error)
    if any(sign in text for sign in _BUSY):
        return _busy(path, text)
    if isinstance(error, _BUGS):
        return None
    if any(sign in text for sign in _FULL):
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
    if isinstance(error, duckdb.TransactionException) and "onflict" in text:
        return StoreError(f"another writer changed the same rows of the store {path}: run the same command again")
    return StoreError(f"the store {path} failed: {text.splitlines()[0]}")


def _busy(path: str, text: str) -> StoreBusyError:
    holder = re.search(r"\(PID (\d+)\)", text)
    who = f"process {holder[1]}" if holder else "this process"
    return StoreBusyError(
        f"the store {path} is held by {who}, and takes one process at a time: "
        "wait for it or stop it, or name another store with --store"
    )
