"""A copy of the store while it is in use, and its way back.

A backup is one DuckDB file, whatever the kind of store: one transaction's view of every table, so the rows and the offsets of
their sources agree and a restored store reads on from its own offsets. What was forgotten after the backup was made is
forgotten again when it is restored, by the deletion log that lies beside the store (`monitor.store.tombstones`).
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from monitor.disk import flush
from monitor.errors import StoreBusyError, StoreError, UsageError
from monitor.store.attachment import Attachment
from monitor.store.store import Store
from monitor.store.tombstones import Tombstone, read_deletions, read_log

__all__ = ["Backup", "Restored", "back_up", "restore"]

_NAME = "offmap-%Y%m%dT%H%M%SZ.duckdb"


@dataclass(frozen=True, slots=True)
class Backup:
    """One backup: the file, its size, and the turns in it."""

    path: Path
    bytes: int
    turns: int


@dataclass(frozen=True, slots=True)
class Restored:
    """A store that was restored: its turns, how many were forgotten again, and where the store is that was there before."""

    turns: int
    forgotten: int
    aside: Path | None


def back_up(store: Store, folder: Path, *, at: datetime) -> Backup:
    """Copy the store into a new file of the folder. Ingest goes on meanwhile; the file appears when it is whole.

    Raises `StoreError` when it cannot be written.
    """
    # Whoever holds the store writes the file, and its working folder may be another.
    target = folder.expanduser().resolve() / at.strftime(_NAME)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the backup cannot be written to {folder}: {error.strerror}") from error
    if target.exists():
        raise StoreError(f"there is a backup {target} already: wait a second")
    part = target.with_name(f"{target.name}.part")
    _remove(part)
    try:
        turns = store.copy_into(part)
        flush(part)
        part.replace(target)
    finally:
        _remove(part)
    flush(target.parent)
    return Backup(target, target.stat().st_size, turns)


def restore(backup: Path, name: str, *, replace: bool = False, deletions: Path | None = None) -> Restored:
    """Make the store `name` from a backup. Raises `UsageError` when there is one already and `replace` is false, `StoreError`
    for a file that is no backup and for a store that is in use.

    What was forgotten since the backup was made is in the deletion log beside the store that was backed up: `deletions`, when
    the backup becomes another store.

    The store that was there stays beside the new one. Until everything else is done the new one has another name.
    """
    attachment = Attachment.parse(name)
    if attachment.kind != "duckdb":
        raise UsageError(f"a backup is restored as a DuckDB file, and {name!r} is a DuckLake: name a file with --store")
    file = attachment.file
    if not backup.is_file():
        raise UsageError(f"there is no backup {backup}")
    if file.exists() and not replace:
        raise UsageError(f"the store {name} exists: add --replace to keep it aside and put the backup in its place")
    forgotten = [*read_log(attachment), *(_deletions(deletions) if deletions is not None else [])]
    if file.exists():
        forgotten = [*forgotten, *_tombstones_of(name)]
    fresh = file.with_name(f"{file.name}.restoring")
    _remove(fresh)
    try:
        shutil.copyfile(backup, fresh)
        _check(fresh, backup)
        with Store.open(str(fresh)) as store:
            before = store.turns.count()
            store.deletion.apply(forgotten)
            turns = store.turns.count()
        flush(fresh)
        aside = _set_aside(file) if file.exists() else None
        fresh.replace(file)
    finally:
        _remove(fresh)
    flush(file.parent)
    return Restored(turns, before - turns, aside)


def _deletions(log: Path) -> list[Tombstone]:
    try:
        found = read_deletions(log)
    except OSError as error:
        raise UsageError(f"the deletion log {log} cannot be read: {error.strerror}") from error
    if not found and log.stat().st_size:
        raise UsageError(f"{log} is no deletion log: give the file STORE.deletions of the store that was backed up")
    return found


def _tombstones_of(name: str) -> list[Tombstone]:
    """What the store that is replaced has forgotten. One that cannot be read any more has its log."""
    try:
        with Store.open(name, create=False) as store:
            return store.deletion.tombstones()
    except StoreBusyError:
        raise
    except StoreError:
        return []


def _check(fresh: Path, backup: Path) -> None:
    """Opening makes a store of an empty file, and a backup is none."""
    if fresh.stat().st_size < 4096:
        raise StoreError(f"{backup} is no backup of a store: it has {fresh.stat().st_size} bytes")


def _set_aside(file: Path) -> Path:
    number = 1
    while (aside := file.with_name(f"{file.name}.replaced-{number}")).exists():
        number += 1
    file.replace(aside)
    # Of a store that could not be opened: they belong to the old one.
    for ending in (".wal", ".journal"):
        log = file.with_name(f"{file.name}{ending}")
        if log.exists():
            log.replace(aside.with_name(f"{aside.name}{ending}"))
    return aside


def _remove(file: Path) -> None:
    for path in (file, file.with_name(f"{file.name}.wal")):
        path.unlink(missing_ok=True)
