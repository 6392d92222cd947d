"""Long work that can be resumed: tables `jobs` and `job_steps`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from monitor.errors import UsageError
from monitor.store.database import Database
from monitor.store.rows import json_text, shape, values

__all__ = ["KEPT", "KEPT_WHY", "Job", "Jobs"]


@dataclass(frozen=True, slots=True)
class Job:
    """`state` is queued, running, finished or failed. Running without a process means that it was killed.

    `result` is JSON: what a finished job of the app made, such as an export.
    """

    job_id: str
    kind: str
    parameters: Mapping[str, Any]
    state: str
    started_at: datetime
    finished_at: datetime | None = None
    error: str | None = None
    result: Mapping[str, Any] | None = None


_JOB = shape(Job)

#: How long a job is kept, and what says why a turn is near or far.
KEPT, KEPT_WHY = timedelta(days=30), timedelta(days=1)
#: Of a kind that ended alike: so many stay however old they are, and no more than so many however young.
_NEWEST, _MOST = 5, 2_000

_SWEEP = """
DELETE FROM jobs WHERE job_id IN (
    SELECT job_id FROM (
        SELECT job_id, kind, started_at,
            row_number() OVER (PARTITION BY kind, state ORDER BY started_at DESC, job_id) AS place
        FROM jobs WHERE state <> 'queued' AND json_extract_string(result, '$.path') IS NULL
    ) WHERE place > ? OR (started_at < ? AND place > ?) OR (kind = 'why' AND started_at < ?)
)
"""


class Jobs:
    """A job that was killed or failed goes on after its last finished step; a finished one starts over. Old ones are swept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, job_id: str, kind: str, parameters: Mapping[str, Any]) -> None:
        """Start a job, or take it up again."""
        with self._database.transaction():
            state = self._database.value("SELECT state FROM jobs WHERE job_id = ?", [job_id])
            if state == "finished":
                self._database.execute("DELETE FROM job_steps WHERE job_id = ?", [job_id])
            self._database.execute("DELETE FROM jobs WHERE job_id = ?", [job_id])
            job = Job(job_id, kind, parameters, "running", self._database.clock())
            self._database.insert("jobs", _JOB.table([job]))

    def enqueue(self, job_id: str, kind: str, parameters: Mapping[str, Any]) -> None:
        """Ask for a job. One that is queued or running already is left alone."""
        with self._database.transaction():
            found = self.find(job_id)
            if found is not None and found.state in ("queued", "running"):
                return
            self._database.execute("DELETE FROM jobs WHERE job_id = ?", [job_id])
            self._database.execute("DELETE FROM job_steps WHERE job_id = ?", [job_id])
            self._database.insert("jobs", _JOB.table([Job(job_id, kind, parameters, "queued", self._database.clock())]))

    def take(self) -> Job | None:
        """Begin the job that waits longest, and return it; None when none waits. One that was taken away meanwhile, as its
        turn was forgotten, is not begun."""
        with self._database.transaction():
            found = self._database.query(
                "SELECT * FROM jobs WHERE state = 'queued' ORDER BY started_at, job_id LIMIT 1"
            )
            for job in _JOB.read(found):
                self.begin(job.job_id, job.kind, job.parameters)
                return job
        return None

    def requeue(self, job_id: str) -> None:
        """A job that was running when its process died waits again."""
        self._database.execute("UPDATE jobs SET state = 'queued' WHERE job_id = ? AND state = 'running'", [job_id])

    def find(self, job_id: str) -> Job | None:
        found = _JOB.read(self._database.query("SELECT * FROM jobs WHERE job_id = ?", [job_id]))
        return found[0] if found else None

    def steps(self, job_id: str) -> list[tuple[str, float]]:
        """The finished steps with their seconds, in order."""
        found = self._database.query(
            "SELECT step, seconds FROM job_steps WHERE job_id = ? ORDER BY finished_at", [job_id]
        )
        return list(zip(values(found, 0), values(found, 1), strict=True))

    def done_steps(self, job_id: str) -> set[str]:
        found = self._database.query("SELECT step FROM job_steps WHERE job_id = ?", [job_id])
        return set(values(found, 0))

    def finish_step(self, job_id: str, step: str, seconds: float) -> None:
        """Write it in the transaction of the step's results, so that both are there or neither."""
        with self._database.transaction():
            self._database.execute("DELETE FROM job_steps WHERE job_id = ? AND step = ?", [job_id, step])
            self._database.execute(
                "INSERT INTO job_steps (job_id, step, seconds, finished_at) VALUES (?, ?, ?, ?)",
                [job_id, step, seconds, self._database.clock()],
            )

    def finish(self, job_id: str, result: Mapping[str, Any] | None = None) -> None:
        with self._database.transaction():
            self._end(job_id, "finished", None)
            if result is not None:
                self._database.execute("UPDATE jobs SET result = ? WHERE job_id = ?", [json_text(dict(result)), job_id])

    def fail(self, job_id: str, error: str) -> None:
        """`error` is shown to the user, so it must hold no message text."""
        self._end(job_id, "failed", error)

    def read(
        self,
        state: str | None = None,
        *,
        kind: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        most: int | None = None,
    ) -> list[Job]:
        """Every job, or those of a state, of a kind, with exactly these parameters; the latest first, `most` at most."""
        wanted = {
            "state": state,
            "kind": kind,
            "parameters": None if parameters is None else json_text(dict(parameters)),
        }
        asked = {name: value for name, value in wanted.items() if value is not None}
        condition = "".join(f" AND {name} = ?" for name in asked)
        limit = "" if most is None else f" LIMIT {int(most)}"
        return _JOB.read(
            self._database.query(
                f"SELECT * FROM jobs WHERE true{condition} ORDER BY started_at DESC, job_id{limit}", [*asked.values()]
            )
        )

    def sweep(self) -> int:
        """Remove what no page shows any more, with its steps; how many.

        Jobs go after `KEPT`, and those beyond the newest `_MOST` of their kind; the newest `_NEWEST` that ended alike stay.
        What says why a turn is near or far holds for one run, so it goes after `KEPT_WHY`, every one. A job that made a file
        stays with it, and one that waits is still to be done.
        """
        now = self._database.clock()
        with self._database.transaction():
            gone = self._database.execute(_SWEEP, [_MOST, now - KEPT, _NEWEST, now - KEPT_WHY])
            if gone:
                self._database.execute("DELETE FROM job_steps WHERE job_id NOT IN (SELECT job_id FROM jobs)")
        return gone

    def _end(self, job_id: str, state: str, error: str | None) -> None:
        changed = self._database.execute(
            "UPDATE jobs SET state = ?, error = ?, finished_at = ? WHERE job_id = ?",
            [state, error, self._database.clock(), job_id],
        )
        if not changed:
            raise UsageError(f"no job {job_id!r}: begin it first")
