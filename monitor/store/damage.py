"""A damaged write-ahead log: what DuckDB cannot replay is set aside, and the store opens with what is sound.

DuckDB says at which byte the first damaged entry begins. The entries before it are whole transactions, so the log cut there
gives a consistent store: rows and the offsets of their sources went in together, and a stream reads the rest again by
itself. Without a place it is the last checkpoint. The damaged log stays beside the store.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from glob import escape
from pathlib import Path

import duckdb

from monitor.disk import flush

__all__ = ["Damage", "damaged_logs", "set_log_aside"]

_DAMAGED = re.compile(r"replaying WAL file|Corrupt WAL|WAL file", re.IGNORECASE)
_PLACE = re.compile(r"entry at byte position (\d+)")


@dataclass(frozen=True, slots=True)
class Damage:
    """The log that was set aside, and how many bytes of it were kept and left out."""

    aside: Path
    kept: int
    left_out: int

    def __str__(self) -> str:
        return (
            f"the store's write-ahead log was damaged: its last {self.left_out:,} of {self.kept + self.left_out:,} bytes were "
            f"left out, and the damaged log is kept as {self.aside}. Streams read what is missing again by themselves; "
            "a file whose ingest had not ended must be ingested again, which doubles nothing"
        )


def damaged_logs(file: Path) -> list[Path]:
    """Logs of the store that were set aside, the oldest first."""
    return sorted(
        file.parent.glob(f"{escape(file.name)}.wal.damaged-*"), key=lambda one: int(one.suffix.rpartition("-")[2])
    )


def set_log_aside(file: Path, error: duckdb.Error) -> Damage | None:
    """Keep a copy of the log and cut it where the error says it is damaged; None when the error is about something else.

    A process that dies in between leaves the log whole, or cut: nothing is half done.
    """
    log = file.with_name(f"{file.name}.wal")
    text = str(error)
    if not _DAMAGED.search(text) or not log.exists():
        return None
    size = log.stat().st_size
    place = _PLACE.search(text)
    kept = min(int(place[1]), size) if place else 0
    known = damaged_logs(file)
    number = int(known[-1].suffix.rpartition("-")[2]) + 1 if known else 1
    aside = file.with_name(f"{log.name}.damaged-{number}")
    _copy(log, aside, size)
    if kept:
        cut = log.with_name(f"{log.name}.cut")
        _copy(log, cut, kept)
        cut.replace(log)
    else:
        log.unlink()
    flush(file.parent)
    return Damage(aside, kept, size - kept)


def _copy(source: Path, target: Path, size: int) -> None:
    fresh = target.with_name(f"{target.name}.part")
    with source.open("rb") as reader, fresh.open("wb") as writer:
        shutil.copyfileobj(reader, writer)
        writer.truncate(size)
        writer.flush()
        os.fsync(writer.fileno())
    fresh.replace(target)
