"""Recurring jobs and when they are due. The clock is passed in: a replay runs eight weeks of them in minutes.

Why not APScheduler: its clock is the machine's, and its state lies in stores of its own; here both must be ours
(docs/decisions/0006).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.clock import Clock
from monitor.errors import OffmapError
from monitor.store.schedule import ScheduledJob
from monitor.store.store import Store

__all__ = ["Recurring", "Timetable"]


@dataclass(frozen=True, slots=True)
class Recurring:
    """A job that runs `every` so often. `run` says in a few words what it did; `""` is nothing.

    `wanted` can ask for a run before it is due: an eval set was imported, the first turns came.
    """

    name: str
    every: timedelta
    run: Callable[[], str]
    wanted: Callable[[], bool] = lambda: False


class Timetable:
    """Runs what is due, one after the other, and keeps the state in the store."""

    def __init__(self, store: Store, jobs: Sequence[Recurring], *, clock: Clock, retry: timedelta) -> None:
        self._store, self._jobs, self._clock, self._retry = store, jobs, clock, retry
        self._rows: dict[str, ScheduledJob] = {}
        self._read()

    def run_due(self) -> list[tuple[str, str]]:
        """Run every job that is due; the names of those that ran, with what they said.

        A job that fails is due again after the retry pause, then twice that, four times, but never later than its next
        regular run. Runs that were missed are caught up once: the next is due an interval from now.
        """
        ran = []
        for job in self._jobs:
            row = self._rows[job.name]
            now = self._clock()
            if row.due_at <= now or (not row.attempts and job.wanted()):
                ran.append((job.name, self._run(job, row)))
        return ran

    def next_due(self) -> datetime:
        return min(self._rows[job.name].due_at for job in self._jobs)

    def failure(self) -> str | None:
        """Why the job that failed last did, when it did not end well since."""
        failed = [row for row in self._rows.values() if row.state == "failed"]
        return failed[0].error if failed else None

    def _run(self, job: Recurring, row: ScheduledJob) -> str:
        started = self._clock()
        row = replace(row, state="running", started_at=started, finished_at=None)
        self._write(row)
        try:
            said = job.run()
        except OffmapError as error:
            attempts = row.attempts + 1
            pause = min(self._retry * 2 ** min(attempts - 1, 20), max(job.every, self._retry))
            self._write(
                replace(
                    row,
                    state="failed",
                    due_at=self._clock() + pause,
                    finished_at=self._clock(),
                    attempts=attempts,
                    error=str(error),
                )
            )
            return f"failed: {error}"
        finished = self._clock()
        self._write(
            replace(row, state="waiting", due_at=started + job.every, finished_at=finished, attempts=0, error=None)
        )
        return said

    def _read(self) -> None:
        known = {row.job: row for row in self._store.schedule.read()}
        for job in self._jobs:
            row = known.get(job.name)
            if row is None:
                row = ScheduledJob(job.name, self._clock(), "waiting", None, None, 0, None)
            elif row.state == "running":
                # The process died in it: at once again.
                row = replace(row, state="waiting", due_at=self._clock(), attempts=row.attempts + 1)
            elif row.due_at > self._clock() + job.every:
                # The interval was shortened, or the clock set back.
                row = replace(row, due_at=self._clock() + job.every)
            self._write(row)

    def _write(self, row: ScheduledJob) -> None:
        self._rows[row.job] = row
        self._store.schedule.write(row)
