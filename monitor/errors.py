"""Every error that offmap raises on purpose, as one tree.

    OffmapError                       exit code 1: said in one line, no traceback
    ├── UsageError                    exit code 2: the command was called wrongly
    │   └── SettingError              a setting that is unknown or has a bad value
    ├── InputError                    a file, record or eval set that cannot be read
    │   └── RecordError               one bad record; goes to the dead letters, never stops the rest
    ├── StoreError                    the store cannot be used
    │   ├── StoreBusyError            another process holds it
    │   ├── StoreConflictError        another process changed it in the middle of a transaction
    │   ├── StoreVersionError         it was written by a newer offmap
    │   └── StoreFullError            the disk is full
    ├── ModelError                    a model file is absent or is not the one that was pinned
    └── MissingExtraError             a heavy optional library is not installed

A message names the setting or field, its value, and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "InputError",
    "MissingExtraError",
    "ModelError",
    "OffmapError",
    "OffsetMovedError",
    "RecordError",
    "SettingError",
    "StoreBusyError",
    "StoreConflictError",
    "StoreError",
    "StoreFullError",
    "StoreVersionError",
    "UsageError",
    "place_of",
]


class OffmapError(Exception):
    """Root of the tree; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(OffmapError):
    """The command was called wrongly: an option that does not fit, an id that names nothing."""

    exit_code = 2


class SettingError(UsageError):
    """A setting is unknown or its value is not allowed."""


class InputError(OffmapError):
    """A file that cannot be read as what it should be."""


class RecordError(InputError):
    """One record is bad. Its reason goes to the dead letters with the record."""


class StoreError(OffmapError):
    """The store cannot do what was asked."""


class StoreBusyError(StoreError):
    """Another process holds the store: a DuckDB file takes one process at a time."""


class StoreConflictError(StoreError):
    """Another process changed the store since this transaction began: nothing of it was kept, and it can be done again."""


class StoreVersionError(StoreError):
    """The store was written by a newer offmap than this one."""


class OffsetMovedError(StoreError):
    """Somebody else has read on of the same source; `found` is where the store stands."""

    def __init__(self, message: str, *, found: int) -> None:
        super().__init__(message)
        self.found = found


class StoreFullError(StoreError):
    """The disk under the store is full; the last transaction was rolled back whole."""


class ModelError(OffmapError):
    """A model file is absent, or its SHA-256 is not the pinned one."""


class MissingExtraError(OffmapError):
    """A feature needs an optional library."""

    def __init__(self, feature: str, *, extra: str, library: str) -> None:
        super().__init__(f"{feature} needs {library}, which is not installed: pip install 'offmap[{extra}]'")


def place_of(error: BaseException) -> str:
    """File and line that raised, without the message: it may quote what a user wrote."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
