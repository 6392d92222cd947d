"""What the service does again and again, and what it does when a page asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from monitor.alerts.delivery import deliver_due
from monitor.alerts.rules import Decision, Unread, damaged, stalled, unreadable
from monitor.alerts.slack import channels_of, notifiers_of
from monitor.assignment import Assigner
from monitor.clock import Clock
from monitor.encoding.encoder import make_encoder
from monitor.errors import OffmapError, UsageError
from monitor.lookout import Lookout
from monitor.records import short_hash
from monitor.service.requests import KINDS, command_of, kept_of
from monitor.service.timetable import Recurring
from monitor.service.watermarks import Watermarks
from monitor.service.worker import Worker
from monitor.settings import Settings
from monitor.store.curation import shaping
from monitor.store.deletion import ERASE_WITHIN
from monitor.store.store import Store

__all__ = ["Duties"]

#: A first atlas is fitted when so many turns are there: fewer have no topics.
_FIRST_TURNS = 50

#: New turns that are a topic of their own wait for no more than this part of the interval; and a refit has so much rest.
_AT_ONCE = 0.25


class Duties:
    """The jobs of one service over one store. Each runs in the thread of the part that asks."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        worker: Worker,
        *,
        clock: Clock,
        local_url: str,
        counted: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """`counted` says of records that came in other ways how many they were so far."""
        self._store, self._settings, self._worker, self._clock = store, settings, worker, clock
        self._local_url, self._counted = local_url, counted
        self._assigner: Assigner | None = None
        self._seen: object = None
        self._watermarks = Watermarks()
        self._lookout = Lookout(store, settings, clock=clock, channels=channels_of(settings))

    def assigning(self) -> Recurring:
        return Recurring("assign", timedelta(seconds=self._settings.schedule.assign_seconds), self._assign)

    def refitting(self) -> Recurring:
        every = timedelta(minutes=self._settings.schedule.refit_minutes)
        return Recurring("refit", every, self._refit, wanted=self._refit_wanted)

    def looking_out(self) -> Recurring:
        return Recurring("lookout", timedelta(minutes=1), self._look_out)

    def _look_out(self) -> str:
        """Only after `assign`, in its thread: what has no topic yet is waited for."""
        waits = self._assigner is not None and self._assigner.waits
        return "" if waits else self._lookout.look()

    def delivering(self) -> Recurring:
        every = timedelta(seconds=self._settings.schedule.deliver_seconds)
        return Recurring("deliver", every, self._deliver)

    def watching(self) -> Recurring:
        self._watermarks.note(self._clock(), self._store.partitions.read())
        return Recurring("stall", timedelta(minutes=1), self._watch_ingest)

    def sampling(self) -> Recurring:
        return Recurring("sample", timedelta(minutes=1), self._sample)

    def _sample(self) -> str:
        self._store.samples.take(self._counted())
        return ""

    def erasing(self) -> Recurring:
        return Recurring("erase", timedelta(minutes=1), self._erase)

    def _erase(self) -> str:
        return "the store was written anew without what was deleted" if self._store.erase_due(ERASE_WITHIN) else ""

    def _assign(self) -> str:
        if self._assigner is None:
            self._assigner = Assigner(self._store, make_encoder(self._settings.encoder), self._settings)
        done = self._assigner.assign()
        if self._assigner.waits:
            return f"new turns wait for the next analysis: the encoder {self._assigner.former} cannot be made any more"
        with_former = f", with {self._assigner.former} until the next analysis" if self._assigner.former else ""
        return f"{done:,} turns{with_former}" if done else ""

    def _refit(self) -> str:
        """Analyse when there is something new; `offmap analyse` publishes, compares and raises alerts."""
        state = self._state()
        if state == self._seen or not self._store.turns.count():
            return ""
        because = "new turns had come close together: " if self._assigner is not None and self._assigner.dense else ""
        command = ["analyse"]
        for name in self.eval_sets():
            command += ["--eval-set", name]
        done = self._worker.run(command)
        self._seen = state
        return because + str(done.get("verdict", ""))

    def _refit_wanted(self) -> bool:
        """Before the interval is over: the first atlas, another encoder, new turns that are a topic of their own, and an eval
        set that the last run did not compare."""
        run = self._store.runs.current()
        if run is None:
            return self._store.turns.count() >= _FIRST_TURNS and self._state() != self._seen
        if self._assigner is not None and self._assigner.former:
            return self._state() != self._seen
        sets = self._latest_eval_sets()
        waited = self._clock() - run.published_at >= timedelta(minutes=self._settings.schedule.refit_minutes) * _AT_ONCE
        if waited and self._assigner is not None and self._assigner.dense:
            return self._state() != self._seen
        newest = max((when for when in sets.values()), default=None)
        return newest is not None and newest > run.published_at and self._state() != self._seen

    def _state(self) -> object:
        """What a refit depends on, cheaply: how many turns there are, which eval sets, and what people decided."""
        marks = tuple(one.mark.mark_id for one in self._store.marks.in_force())
        decided = (*shaping(self._store.curation.in_force()), *marks)
        return self._store.turns.count(), tuple(sorted(self._latest_eval_sets().items())), decided

    def eval_sets(self) -> Sequence[str]:
        """The eval sets to compare with: those of the settings, of the last run, or all."""
        if self._settings.schedule.eval_sets:
            return self._settings.schedule.eval_sets
        known = self._latest_eval_sets()
        run = self._store.runs.current()
        chosen = [name for name in run.eval_sets if name in known] if run is not None else []
        return chosen or sorted(known)

    def _latest_eval_sets(self) -> dict[str, datetime]:
        return {one.name: one.created_at for one in self._store.eval_sets.summaries()}

    def _deliver(self) -> str:
        done = deliver_due(
            self._store, notifiers_of(self._settings), self._settings, clock=self._clock, local_url=self._local_url
        )
        if done.failed:
            raise OffmapError(f"{done.failed} alerts could not be delivered: {done.reason}")
        return f"{done.sent} sent" if done.sent else ""

    def _watch_ingest(self) -> str:
        """Tell when no turn came for longer than the setting says, and when too many records cannot be read; each once until it
        is over."""
        decisions = (self._stall(), self._unread())
        for decision in decisions:
            self._store.alerts.raise_alerts(decision.alerts, decision.subjects, channels=channels_of(self._settings))
        told = sum(len(decision.alerts) for decision in decisions)
        return f"{told} alerts" if told else ""

    def _stall(self) -> Decision:
        return stalled(
            self._store.turns.last_arrival(),
            self._store.partitions.read(),
            self._store.alerts.subjects("stalled"),
            now=self._clock(),
            patience=timedelta(minutes=self._settings.alerts.stalled_minutes),
        )

    def _unread(self) -> Decision:
        now, partitions = self._clock(), self._store.partitions.read()
        self._watermarks.note(now, partitions)
        spans = self._watermarks.spans(partitions)
        unread = Unread(
            self._watermarks.since,
            sum(span.records for span in spans),
            tuple(self._store.dead_letters.reasons_within(spans)),
            self._watermarks.whole,
        )
        known = self._store.alerts.subjects("dead_letters")
        return unreadable(unread, known, now=now, most=self._settings.alerts.dead_letters)

    def run_queued(self) -> str:
        """The oldest job that a page asked for, run to its end; what it was, or `""` when none waits."""
        jobs = self._store.jobs
        if (job := jobs.take()) is None:
            return ""
        failure, result = "", {}
        try:
            result = kept_of(job.kind, self._worker.run(self._command(job.job_id, job.kind, job.parameters)))
        except OffmapError as error:
            failure = str(error)
        with self._store.transaction():
            if jobs.find(job.job_id) is None:  # the turn that it was about was forgotten
                return f"{job.kind}: no longer asked for"
            if failure:
                jobs.fail(job.job_id, failure)
            else:
                jobs.finish(job.job_id, result)
        return f"{job.kind} failed" if failure else job.kind

    def take_up(self) -> None:
        """Jobs of a page that were running when the process died are asked for again; a damaged log is told."""
        for log in self._store.damaged_logs():
            told = damaged(log.name, self._store.alerts.subjects("damaged"), now=self._clock())
            self._store.alerts.raise_alerts(told.alerts, told.subjects, channels=channels_of(self._settings))
        for job in self._store.jobs.read("running"):
            if job.kind in KINDS:
                self._store.jobs.requeue(job.job_id)

    def request(self, kind: str, parameters: Mapping[str, Any]) -> str:
        """Ask for a job; its id. Raises `UsageError` for a kind that is unknown."""
        if kind not in KINDS:
            raise UsageError(f"no job of kind {kind!r}; there are {', '.join(KINDS)}")
        job_id = "job" + short_hash(kind, repr(sorted(parameters.items())), self._clock().isoformat())
        self._command(job_id, kind, parameters)  # refused now, and not in the background
        self._store.jobs.enqueue(job_id, kind, dict(parameters))
        return job_id

    def folder(self, job_id: str) -> Path:
        """Where a job of a page writes its files: beside the store."""
        return self._store.folder / "exports" / job_id

    def file(self, job_id: str) -> Path | None:
        """The file that a finished job made; None when there is none."""
        job = self._store.jobs.find(job_id)
        if job is None or job.state != "finished" or not job.result:
            return None
        path = Path(str(job.result.get("path", "")))
        inside = path.is_absolute() and path.resolve().is_relative_to(self.folder(job_id))
        return path if inside and path.is_file() else None

    def _command(self, job_id: str, kind: str, parameters: Mapping[str, Any]) -> list[str]:
        command = command_of(kind, parameters)
        if kind == "refit":
            command += [part for name in self.eval_sets() for part in ("--eval-set", name)]
        if kind == "export":
            command += ["--out", str(self.folder(job_id))]
        if kind == "drift_html":
            command += ["--html", str(self.folder(job_id) / "drift.html")]
        return command
