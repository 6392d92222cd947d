"""The store: every table family over one database."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from monitor.store import migrations
from monitor.store.atlases import Atlases
from monitor.store.attachment import Attachment
from monitor.store.database import Clock, Database, utc_now
from monitor.store.dead_letters import DeadLetters
from monitor.store.deletion import Deletion
from monitor.store.erasure import Erasure
from monitor.store.eval_sets import EvalSets
from monitor.store.events import Events
from monitor.store.exports import Exports
from monitor.store.jobs import Jobs
from monitor.store.offsets import Offsets
from monitor.store.reports import Reports
from monitor.store.runs import Runs
from monitor.store.turns import Turns
from monitor.store.vectors import Vectors

__all__ = ["Store"]


class Store:
    """Open it with `Store.open`; use it from any thread; one process at a time holds a DuckDB file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.turns = Turns(database)
        self.events = Events(database)
        self.vectors = Vectors(database)
        self.offsets = Offsets(database)
        self.dead_letters = DeadLetters(database)
        self.eval_sets = EvalSets(database)
        self.jobs = Jobs(database)
        self.atlases = Atlases(database)
        self.reports = Reports(database)
        self.runs = Runs(database)
        self.exports = Exports(database)
        self.deletion = Deletion(database)

    @classmethod
    def open(
        cls, path: str, *, memory_limit: str = "", threads: int = 0, create: bool = True, clock: Clock = utc_now
    ) -> Store:
        """Open a store and bring its schema up to date.

        `path` is a DuckDB file, or `ducklake:PATH`. With `create=False` a missing store is an error.
        """
        attachment = Attachment.parse(path)
        attachment.check(create=create)
        database = Database(attachment, memory_limit=memory_limit, threads=threads, clock=clock)
        try:
            migrations.migrate(database)
            Erasure(database).finish_pending()
        except BaseException:
            database.close()
            raise
        return cls(database)

    @property
    def path(self) -> str:
        """The store as it was named."""
        return self._database.attachment.name

    @property
    def kind(self) -> str:
        """`duckdb` or `ducklake`."""
        return self._database.attachment.kind

    def transaction(self) -> AbstractContextManager[None]:
        """All that this thread does inside becomes visible at once, or not at all."""
        return self._database.transaction()

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
