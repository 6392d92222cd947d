"""The store: every table family over one database."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime, timedelta
from glob import escape
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from monitor.clock import Clock, utc_now
from monitor.errors import StoreConflictError, StoreError
from monitor.store import migrations
from monitor.store.alerts import Alerts
from monitor.store.atlases import Atlases
from monitor.store.attachment import Attachment
from monitor.store.catalog_lock import LOCK
from monitor.store.curation import Curation
from monitor.store.damage import Damage, damaged_logs
from monitor.store.database import Database
from monitor.store.dead_letters import DeadLetters
from monitor.store.deletion import Deletion
from monitor.store.drift import DriftReports
from monitor.store.erasure import Erasure
from monitor.store.eval_health import EvalHealth
from monitor.store.eval_sets import EvalSets
from monitor.store.events import Events
from monitor.store.exports import Exports
from monitor.store.gap_lives import GapLives
from monitor.store.history import CoverageHistory
from monitor.store.jobs import Jobs
from monitor.store.kept_out import KeptOut
from monitor.store.languages import TurnLanguages
from monitor.store.late_facts import LateFacts
from monitor.store.layouts import Layouts
from monitor.store.leases import Leases
from monitor.store.local import LocalDatabase
from monitor.store.lookouts import Lookouts
from monitor.store.marks import Marks
from monitor.store.offsets import Offsets
from monitor.store.partitions import Partitions
from monitor.store.recovery import Recovery
from monitor.store.remote import RemoteDatabase
from monitor.store.reports import Reports
from monitor.store.runs import Runs
from monitor.store.samples import Samples
from monitor.store.schedule import Schedule
from monitor.store.sharing import StoreServer
from monitor.store.statistics import Statistics
from monitor.store.streams import Streams
from monitor.store.topic_names import TopicNames
from monitor.store.turns import Turns
from monitor.store.vectors import Vectors
from monitor.store.watch_lists import WatchLists

__all__ = ["Store"]

T = TypeVar("T")


class Store:
    """Open it with `Store.open`; use it from any thread; one process at a time holds a file, many a catalog in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.turns = Turns(database)
        self.kept_out = KeptOut(database)
        self.languages = TurnLanguages(database)
        self.events = Events(database)
        self.late_facts = LateFacts(database, self.turns)
        self.vectors = Vectors(database)
        self.offsets = Offsets(database)
        self.dead_letters = DeadLetters(database)
        self.eval_sets = EvalSets(database)
        self.jobs = Jobs(database)
        self.atlases = Atlases(database)
        self.curation = Curation(database)
        self.gap_lives = GapLives(database)
        self.marks = Marks(database)
        self.topic_names = TopicNames(database)
        self.reports = Reports(database)
        self.runs = Runs(database)
        self.exports = Exports(database)
        self.alerts = Alerts(database)
        self.drift = DriftReports(database)
        self.history = CoverageHistory(database)
        self.eval_health = EvalHealth(database)
        self.partitions = Partitions(database)
        self.samples = Samples(database)
        self.streams = Streams(database)
        self.schedule = Schedule(database)
        self.layouts = Layouts(database)
        self.leases = Leases(database)
        self.lookouts = Lookouts(database)
        self.statistics = Statistics(database)
        self.deletion = Deletion(database)
        self.watch_lists = WatchLists(database)

    @classmethod
    def open(
        cls, path: str, *, memory_limit: str = "", threads: int = 0, create: bool = True, clock: Clock = utc_now
    ) -> Store:
        """Open a store and bring its schema up to date.

        `path` is a DuckDB file, `ducklake:PATH`, or `ducklake:postgres:dbname=NAME data_path=FOLDER`. With `create=False` a
        missing store is an error.
        """
        attachment = Attachment.parse(path)
        attachment.check(create=create)
        database = LocalDatabase(attachment, memory_limit=memory_limit, threads=threads, clock=clock)
        try:
            migrations.migrate(database)
            Erasure(database).finish_pending()
        except BaseException:
            database.close()
            raise
        return cls(database)

    @classmethod
    def connect(cls, path: str) -> Store | None:
        """The store through the process that shares it (`share`); None when nobody does."""
        database = RemoteDatabase.find(Attachment.parse(path))
        return None if database is None else cls(database)

    def share(self, *, url: str = "") -> StoreServer | None:
        """Let other processes of this user work on the store too; start what is returned. `url` is shown to people.

        None for a store that they open themselves.
        """
        if self.many_processes:
            return None
        if not isinstance(self._database, LocalDatabase):
            raise StoreError(f"the store {self.path} is shared by another process already")
        return StoreServer(self._database, url=url)

    @property
    def shared_by(self) -> str | None:
        """The address of the app of the process that holds the store; None when it is this one."""
        return self._database.holder.url if isinstance(self._database, RemoteDatabase) else None

    @property
    def path(self) -> str:
        """The store as it was named."""
        return self._database.attachment.name

    @property
    def folder(self) -> Path:
        """Where the store is, and what is made of it may go."""
        return self._database.attachment.file.parent

    @property
    def many_processes(self) -> bool:
        """May other processes write to the store while this one does? Then its catalog is in PostgreSQL."""
        return bool(self._database.attachment.server)

    @property
    def damage(self) -> Damage | None:
        """What was left out when the store was opened, because its log was damaged."""
        return self.recovery.damage

    @property
    def recovery(self) -> Recovery:
        """What opening the store had to mend."""
        return self._database.recovery if isinstance(self._database, LocalDatabase) else Recovery()

    def copy_into(self, file: Path) -> int:
        """Copy every table into a new DuckDB file, as one transaction sees them; how many turns that are.

        Ingest goes on meanwhile. The file must not exist, and its path be absolute: whoever holds the store writes it.
        """
        path = str(file).replace("'", "''")
        name = "copy_" + file.name.replace("-", "_").replace(".", "_")
        self._database.query(f"ATTACH '{path}' AS {name}")
        try:
            self._database.query(f"COPY FROM DATABASE store TO {name}")
            turns = int(self._database.value(f"SELECT count(*) FROM {name}.turns"))
        finally:
            self._database.query(f"DETACH {name}")
        return turns

    def size(self) -> int:
        """Bytes on the disk: the file, or the catalog, with its log. Parquet files of a DuckLake are not counted."""
        if self.many_processes:
            sql = "SELECT pg_database_size(current_database())"
            return int(self._database.value(f"FROM postgres_query('{LOCK}', '{sql}')"))
        file = self._database.attachment.file
        found = 0
        for path in (file, file.with_name(f"{file.name}.wal")):
            with suppress(FileNotFoundError):
                found += path.stat().st_size
        return found

    def damaged_logs(self) -> list[Path]:
        """Logs and journals that were set aside beside the store, by this process or an earlier one."""
        file = self._database.attachment.file
        return [*damaged_logs(file), *sorted(file.parent.glob(f"{escape(file.name)}.journal.damaged-*"))]

    def erase_due(self, after: timedelta = timedelta()) -> bool:
        """Take the bytes of what was deleted off the disk, when that is owed for so long; whether it was."""
        since: datetime | None = self._database.value("SELECT min(due_at) FROM erasures")
        if since is None or since + after > self._database.clock():
            return False
        self._database.erase()
        return True

    @property
    def kind(self) -> str:
        """`duckdb` or `ducklake`."""
        return self._database.attachment.kind

    def transaction(self, *, journaled: bool = True) -> AbstractContextManager[None]:
        """All that this thread does inside becomes visible at once, or not at all.

        `journaled=False` when its source can be read again, by an offset that is written in the same transaction.
        """
        return self._database.transaction(journaled=journaled)

    def checkpoint(self) -> None:
        """What was committed lies in the store's file, and no damage to its log can take it away."""
        self._database.checkpoint()

    def retrying(self, action: Callable[[], T], *, journaled: bool = True, times: int = 4) -> T:
        """Do it in one transaction, again when another process was faster. `action` must be such that it can be run twice."""
        for left in reversed(range(times)):
            try:
                with self.transaction(journaled=journaled):
                    return action()
            except StoreConflictError:
                if not left:
                    raise
                time.sleep(random.uniform(0.05, 0.2) * (times - left))
        raise AssertionError("the last try returned or raised")

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
