"""Published runs: table `published_runs`. One row is what makes an atlas and its report visible."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson
import pyarrow as pa

from monitor.errors import StoreError
from monitor.store.atlases import Atlases
from monitor.store.database import Database
from monitor.store.reports import Reports
from monitor.store.rows import shape, values

__all__ = ["PublishedRun", "Runs"]

#: A job without an end for longer than this was killed and left: it holds nothing back any more.
_CLAIM = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class PublishedRun:
    """What readers see. `generation` is given by the store and grows with every publication."""

    run_id: str
    atlas_id: str
    report_id: str
    published_at: datetime
    window_start: datetime
    window_end: datetime
    eval_sets: tuple[str, ...]
    settings: str
    generation: int = field(default=0, compare=False)


_RUN = shape(PublishedRun)


class Runs:
    """Readers see the run before or this one, never half."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def publish(self, run: PublishedRun) -> None:
        """The last transaction of a run. Publishing the same run again makes it the latest."""
        with self._database.transaction():
            if not self._database.value("SELECT count(*) FROM atlases WHERE atlas_id = ?", [run.atlas_id]):
                raise StoreError(f"run {run.run_id} cannot be published: its atlas {run.atlas_id} is not stored")
            generation = int(self._database.value("SELECT coalesce(max(generation), 0) + 1 FROM published_runs"))
            self._database.execute("DELETE FROM published_runs WHERE run_id = ?", [run.run_id])
            row = _RUN.table([run])
            number = row.schema.get_field_index("generation")
            self._database.insert(
                "published_runs", row.set_column(number, "generation", pa.array([generation], pa.int64()))
            )

    def current(self) -> PublishedRun | None:
        """The run published last."""
        found = _RUN.read(
            self._database.query("SELECT * FROM published_runs ORDER BY published_at DESC, generation DESC LIMIT 1")
        )
        return found[0] if found else None

    def sweep(self, keep: int = 5) -> int:
        """Remove published runs beyond the newest `keep`, and atlases and reports that nothing uses; how many in all.

        Unfinished jobs keep the atlases and reports that their parameters name.
        """
        with self._database.transaction():
            runs = _RUN.read(
                self._database.query("SELECT * FROM published_runs ORDER BY published_at DESC, generation DESC")
            )
            kept, old = runs[:keep], runs[keep:]
            for run in old:
                self._database.execute("DELETE FROM published_runs WHERE run_id = ?", [run.run_id])
            used = self._claimed() | {run.atlas_id for run in kept} | {run.report_id for run in kept}
            return (
                len(old)
                + self._remove("atlas_id", (*Atlases.TABLES, "layout"), used)
                + self._remove("report_id", Reports.TABLES, used)
            )

    def _remove(self, column: str, tables: tuple[str, ...], used: set[str]) -> int:
        names = pa.table({"id": pa.array(sorted(used), pa.string())})
        found: set[str] = set()
        for table in tables:
            unused = f"{column} NOT IN (SELECT id FROM used)"
            rows = self._database.query(f"SELECT DISTINCT {column} FROM {table} WHERE {unused}", used=names)
            if rows.num_rows:
                found |= set(values(rows, 0))
                self._database.execute(f"DELETE FROM {table} WHERE {unused}", used=names)
        return len(found)

    def _claimed(self) -> set[str]:
        jobs = self._database.query(
            "SELECT job_id, parameters FROM jobs WHERE state <> 'finished' AND started_at > ?",
            [self._database.clock() - _CLAIM],
        ).to_pylist()
        claimed = {job["job_id"] for job in jobs}
        for job in jobs:
            claimed |= {value for value in orjson.loads(job["parameters"]).values() if isinstance(value, str)}
        return claimed
