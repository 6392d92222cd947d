"""A watched folder: what is put there is read, by asking again and again, so that it works on every kind of disk.

Two kinds of files. Logs of lines (`.jsonl`, `.ndjson`, also rotated: `.jsonl.1`) are read as they grow and stay where they
are, since whoever appends has them open (`consumers.growing`). Everything else that `offmap ingest` reads (arrays, CSV,
Parquet, gzip) is taken as a whole when it has not changed for `ingest.settle_seconds`, and moved to `done/` when it is
stored, so that the folder shows what waits and a start reads nothing twice. What cannot be read goes to `failed/`, with its
reason beside it.

Hidden files, links, subfolders and other names (`.part`, `.tmp`) are left alone.
"""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from consumers.batches import BUG, Counts
from consumers.growing import GrowingLog
from consumers.ingest import ingest_file
from monitor.clock import Clock
from monitor.errors import InputError, StoreError, place_of
from monitor.health import State
from monitor.settings import Settings
from monitor.store import Store
from monitor.wording import clean, counted, cut

__all__ = ["Folder"]

_EVERY = 1.0
_LINES = re.compile(r".+\.(?:jsonl|ndjson)(?:\.\d+)?", re.DOTALL | re.IGNORECASE)
_WHOLE = re.compile(r".+\.(?:(?:jsonl|ndjson|json|csv|tsv)(?:\.gz)?|parquet)", re.DOTALL | re.IGNORECASE)

_log = structlog.get_logger("offmap")


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it looked. Two equal ones: nobody wrote in between."""

    inode: int
    size: int
    changed_ns: int


@dataclass(slots=True)
class _Waiting:
    """A file that is watched: since when it looks as it does, in seconds, and whether there is nothing more to do with it."""

    seen: _Seen
    since: float
    over: bool = False
    trouble: str = ""


class Folder:
    """One folder into the store. `look` goes through it once, `run` does so until it is told to stop."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        clock: Clock,
        stop: threading.Event,
        say: Callable[[State, str], None] = lambda state, detail: None,
        on_stored: Callable[[Counts], None] = lambda done: None,
        on_lines: Callable[[int], None] = lambda records: None,
    ) -> None:
        self._store, self._ingest, self._clock, self._stop = store, settings.ingest, clock, stop
        self._path = Path(settings.ingest.folder).expanduser()
        self._say, self._on_stored = say, on_stored
        self._on_lines = on_lines
        self._files: dict[str, _Waiting] = {}
        self._last = ""

    def run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(_EVERY)

    def look(self) -> None:
        """Take what is ready. A file that makes trouble does not hold up the others; a store that fails does."""
        try:
            found = dict(self._found())
        except OSError as error:
            self._say(
                "waiting",
                f"the folder {_shown(str(self._path))} cannot be read ({error.strerror}): make it, or change ingest.folder",
            )
            return
        now = self._clock().timestamp()
        self._files = {name: one for name, one in self._files.items() if name in found}
        for name, seen in sorted(found.items()):
            if self._stop.is_set():
                return
            known = self._files.get(name)
            if known is None or known.seen != seen:
                known = self._files[name] = _Waiting(seen, now)
            # Less than nothing: a clock that was set back.
            settled = not 0 <= now - known.since < self._ingest.settle_seconds
            if not known.over:
                self._look_at(name, known, settled)
        self._tell()

    def _found(self) -> Iterator[tuple[str, _Seen]]:
        with os.scandir(self._path) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not (_LINES.fullmatch(entry.name) or _WHOLE.fullmatch(entry.name)):
                    continue
                with suppress(FileNotFoundError):
                    if (seen := _seen(self._path / entry.name)) is not None:
                        yield entry.name, seen

    def _look_at(self, name: str, known: _Waiting, settled: bool) -> None:
        path = self._path / name
        try:
            if _LINES.fullmatch(name) and self._follow(path, known, settled):
                return
            if settled:
                self._take(path, known)
        except FileNotFoundError:
            known.over = True  # it comes again as another file
        except OSError as error:
            known.trouble = f"{_shown(name)}: {error.strerror or error}"

    def _follow(self, path: Path, known: _Waiting, settled: bool) -> bool:
        """Read on in a log of lines; False for a file that only has the name of one."""
        with GrowingLog(path) as log:
            if not log.is_lines:
                return False
            stored = 0
            taking = log.take(
                self._store,
                clock=self._clock,
                redact=self._ingest.redact,
                rows=self._ingest.batch_rows,
                settled=settled,
            )
            for done, end in taking:
                self._count(done, path.name)
                self._on_lines(done.records)
                stored = end
                if self._stop.is_set():
                    return True
            known.trouble = ""
            whole = stored >= log.size == known.seen.size
            known.over = whole or settled
            if settled and not whole:
                known.trouble = f"{_shown(path.name)} ends in the middle of a line, which waits for its end"
        return True

    def _take(self, path: Path, known: _Waiting) -> None:
        """Store a file that is complete, and move it away."""
        if not os.access(path, os.R_OK):
            known.trouble = f"{_shown(path.name)} may not be read by this user"
            return
        try:
            result = ingest_file(
                self._store, path, redact=self._ingest.redact, batch_rows=self._ingest.batch_rows, clock=self._clock
            )
        except StoreError:
            raise
        except InputError as error:
            self._away(path, known, "failed", reason=str(error))
            return
        except (OSError, MemoryError):
            raise
        # A bug of ours must not hold up the folder for ever at one file. Its text may quote somebody: only its place is kept.
        except Exception as error:
            self._away(
                path, known, "failed", reason=f"{BUG} in {place_of(error)}: {type(error).__name__}; please report it"
            )
            return
        self._count(result.counts, path.name)
        self._away(path, known, "done")  # its rows are in the store's own file, and need it no more

    def _away(self, path: Path, known: _Waiting, where: str, *, reason: str = "") -> None:
        if _seen(path) != known.seen:
            return  # somebody wrote meanwhile: it is taken again, and not lost
        known.over = True
        if reason:
            _log.warning("file not read", file=_shown(path.name), reason=clean(reason))
        try:
            target = _free(self._path / where, path.name)
            if reason:
                target.with_name(f"{target.name}.reason").write_text(f"{clean(reason)}\n", "utf-8")
            path.rename(target)
        except (
            OSError
        ) as error:  # a folder that may only be read: what was done is remembered, and known by its content later
            known.trouble = f"{_shown(path.name)} cannot be moved to {where}/: {error.strerror}"
            if reason:
                known.trouble += f"; it was not read: {clean(reason)}"

    def _count(self, done: Counts, name: str) -> None:
        if done.records:
            self._last = _shown(name)
            self._on_stored(done)

    def _tell(self) -> None:
        troubles = [one.trouble for one in self._files.values() if one.trouble]
        waiting = sum(not one.over for one in self._files.values())
        words = [f"last read {self._last}"] if self._last else []
        words += [counted(waiting, "file") + " not complete yet"] if waiting else []
        if failed := _number(self._path / "failed"):
            words.append(f"{counted(failed, 'file')} in failed/, each with its reason beside it")
        if troubles:
            more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
            self._say("failing", "; ".join([troubles[0] + more, *words]))
        else:
            self._say("running", "; ".join(words) or f"watching {_shown(str(self._path))}")


def _seen(path: Path) -> _Seen | None:
    """How a regular file looks; None for a link and anything else."""
    found = path.lstat()
    return _Seen(found.st_ino, found.st_size, found.st_mtime_ns) if stat.S_ISREG(found.st_mode) else None


def _free(folder: Path, name: str) -> Path:
    """A name in the folder that no file has."""
    folder.mkdir(exist_ok=True)
    number = 1
    while (target := folder / (name if number == 1 else f"{number}-{name}")).exists():
        number += 1
    return target


def _number(folder: Path) -> int:
    with suppress(OSError):
        return sum(one.suffix != ".reason" for one in folder.iterdir())
    return 0


def _shown(name: str) -> str:
    """A name as it may stand in a log and on a page: it is whatever somebody called a file."""
    return cut(clean(name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")), 120)
