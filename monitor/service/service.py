"""The service: one process that reads, keeps the analysis up to date, shows it, and tells.

`docs/architecture.md` has the picture.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from consumers.forwarding import check_topics
from consumers.http import PATHS, HttpIntake
from monitor.clock import Clock
from monitor.health import Health
from monitor.service.duties import Duties
from monitor.service.leadership import Leadership
from monitor.service.metrics import Metrics
from monitor.service.parts import Body, Part, Say
from monitor.service.timetable import Recurring, Timetable
from monitor.service.web import WebServer
from monitor.service.worker import Worker
from monitor.settings import Settings
from monitor.store.store import Store

__all__ = ["Service"]

_log = structlog.get_logger("offmap")

#: How often a part looks whether something is due.
_TICK = 0.5
_ELSEWHERE = "another process on this store does it"


class Service:
    """The parts over one store. `start`, and `stop` within ten seconds; each part fails and recovers on its own."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        environment: Mapping[str, str],
        *,
        clock: Clock,
        kafka: bool = False,
    ) -> None:
        if kafka:
            check_topics(settings.kafka)  # not only in the part, which would try again for ever
        self._store, self._settings, self._clock = store, settings, clock
        self._started = clock()
        self._metrics = Metrics(store, self.health)
        self._intake = HttpIntake(store, settings, clock=clock, on_stored=self._metrics.observe_request)
        self._worker = Worker(environment)
        self._web = WebServer(settings)  # takes the port now: a port in use ends the command before anything is begun
        self.url = settings.serve.public_url or self._web.url
        self._sharing = store.share(url=self._web.url)
        self.duties = Duties(
            store,
            settings,
            self._worker,
            clock=clock,
            local_url=self._web.url,
            counted=self._metrics.counted,
        )
        self._leadership = Leadership(store, clock=clock, on_taken=self.duties.take_up)
        self._parts = [
            Part("assign", self._recurring(self.duties.assigning, self.duties.looking_out), clock=clock),
            Part("refit", self._recurring(self.duties.refitting), clock=clock),
            Part("alerts", self._recurring(self.duties.delivering), clock=clock),
            Part("jobs", self._jobs, clock=clock),
            Part("erasure", self._recurring(self.duties.erasing), clock=clock),
        ]
        if kafka:
            self._parts.insert(0, Part("consumer", self._consume, clock=clock))
        if settings.ingest.folder:
            self._parts.insert(0, Part("folder", self._watch_folder, clock=clock))
        watching = [self.duties.sampling, *([self.duties.watching] if kafka else [])]
        self._parts.append(Part("ingest watch", self._recurring(*watching), clock=clock))
        self._parts.append(Part("pages", self._serve_pages, clock=clock))

    def start(self) -> None:
        if self._sharing is not None:
            self._sharing.start()
        if not self._store.many_processes:  # of several services the one that leads does it when it begins to
            self.duties.take_up()
        for part in self._parts:
            part.start()
        _log.info("serving", url=self._web.url, store=self._store.path)

    def stop(self, patience: float = 8.0) -> list[str]:
        """End every part; the names of those that did not end in time."""
        for part in self._parts:
            part.ask_to_stop()
        closing = threading.Thread(target=self._worker.stop, daemon=True)
        closing.start()
        self._web.close()
        end = self._clock() + timedelta(seconds=patience)
        late = []
        for part in self._parts:
            if not part.join(max(0.1, (end - self._clock()).total_seconds())):
                late.append(part.name)
        closing.join(2)
        if not late:  # what still runs is ours
            self._leadership.give_back()
        if self._sharing is not None:
            self._sharing.close(timeout=0.5)
        return late

    def health(self) -> Health:
        return Health(self._started, tuple(part.health for part in self._parts))

    def metrics(self) -> bytes:
        """What a scrape of `/metrics` is answered with."""
        return self._metrics.render()

    def request(self, kind: str, parameters: Mapping[str, Any]) -> str:
        """Ask for a job of a page; its id."""
        return self.duties.request(kind, parameters)

    def file(self, job_id: str) -> Path | None:
        """What a finished job made, for download."""
        return self.duties.file(job_id)

    def _recurring(self, *makes: Callable[[], Recurring]) -> Body:
        def body(stop: threading.Event, say: Say) -> None:
            retry = timedelta(seconds=self._settings.schedule.retry_seconds)
            table: Timetable | None = None
            say("running", "")
            while not stop.is_set():
                if not self._leadership.held():
                    table = None  # its state is the other one's by now
                    say("running", _ELSEWHERE)
                    stop.wait(_TICK)
                    continue
                if table is None:
                    table = Timetable(self._store, [make() for make in makes], clock=self._clock, retry=retry)
                    say("running", "")
                for _, said in table.run_due():
                    failure = table.failure()
                    if failure is not None:
                        say("failing", failure)
                    else:
                        say("running", said)
                stop.wait(_TICK)

        return body

    def _jobs(self, stop: threading.Event, say: Say) -> None:
        led: bool | None = None
        while not stop.is_set():
            leads = self._leadership.held()
            if leads != led:
                led = leads
                say("running", "" if leads else _ELSEWHERE)
            if leads and (done := self.duties.run_queued()):
                say("running", f"last: {done}")
            stop.wait(_TICK)

    def _consume(self, stop: threading.Event, say: Say) -> None:
        from consumers.kafka import KafkaSource
        from consumers.letter_topic import KafkaLetters
        from consumers.stream import Stream

        source = partial(KafkaSource, self._settings.kafka)
        Stream(
            self._store,
            self._settings,
            source,
            clock=self._clock,
            stop=stop,
            on_state=say,
            on_stored=self._metrics.observe,
            open_letters=partial(KafkaLetters, self._settings.kafka, redact=self._settings.ingest.redact),
        ).run()

    def _watch_folder(self, stop: threading.Event, say: Say) -> None:
        from consumers.folder import Folder

        Folder(
            self._store,
            self._settings,
            clock=self._clock,
            stop=stop,
            say=say,
            on_stored=self._metrics.observe_folder,
            on_lines=self._metrics.observe_lines,
        ).run()

    def _serve_pages(self, stop: threading.Event, say: Say) -> None:
        from dashboards.app import make_app

        app = make_app(self._store, self._settings, service=self, clock=self._clock, prefix=self._web.prefix)
        say("running", self._web.url)
        self._web.run(app.server, beside=dict.fromkeys(PATHS, self._intake))
