"""The service samples how ingest stands, requests among it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

from consumers.batches import Counts
from monitor.health import Health
from monitor.service.duties import Duties
from monitor.service.metrics import Metrics
from monitor.service.worker import Worker
from monitor.settings import Settings
from monitor.store import Store


def test_once_a_minute_with_what_came_over_http(tmp_path: Path) -> None:
    start = datetime(2026, 3, 2, 6)
    with Store.open(str(tmp_path / "s.duckdb"), clock=lambda: start) as store:
        metrics = Metrics(store, lambda: Health(start))
        duties = Duties(store, Settings(), Worker({}), clock=lambda: start, local_url="", counted=metrics.counted)
        for records in (7, 5):
            metrics.observe_request(Counts(records=records, turns=1))
            metrics.observe_lines(records)
        job = duties.sampling()
        assert job.every == timedelta(minutes=1)
        assert job.run() == ""
        assert [(one.source, one.position) for one in store.samples.read()] == [
            ("dead letters", 0),
            ("folder", 12),
            ("http", 12),
        ]
