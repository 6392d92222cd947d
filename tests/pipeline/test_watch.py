"""One look after another: what is told, when there is an eval set and when there is none yet."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from consumers.ingest import ingest_file
from monitor.encoding.encoder import make_encoder
from monitor.evalsets.importer import import_eval_set
from monitor.settings import Settings
from monitor.store import Store
from monitor.watch import Watched, watch
from tests.cli.cli_traffic import write_eval_set, write_log

NOW = datetime(2026, 6, 1)


@pytest.mark.slow
def test_a_history_is_summed_up_once_when_coverage_says_something(tmp_path: Path) -> None:
    settings = Settings().with_value("encoder.kind", "hashing", source="test")
    encoder = make_encoder(settings.encoder)

    def look(store: Store, *names: str) -> Watched:
        return watch(store, encoder, settings, eval_sets=names, channels=("slack",), clock=lambda: NOW)

    with Store.open(str(tmp_path / "s.duckdb")) as store:
        ingest_file(store, write_log(tmp_path / "log.jsonl", conversations=480), clock=lambda: NOW)
        assert look(store).alerts == ()  # no eval set, so nothing is a gap
        assert store.alerts.subjects("history") == []
        import_eval_set(store, write_eval_set(tmp_path / "evals.jsonl"), "shop", lambda: NOW)
        (alert,) = look(store, "shop").alerts
        assert alert.kind == "history" and alert.path == "/gaps" and "in the traffic so far" in alert.title
        assert [one.state for one in store.alerts.deliveries()] == ["due"]
        again = look(store, "shop")
        assert again.alerts == () and len(store.alerts.read()) == 1
        assert again.drift and store.drift.latest() is not None and store.drift.latest("shop") is not None
        assert again.analysis.run.run_id in {point.run_id for point in store.history.read()}


@pytest.mark.slow
def test_a_short_history_tells_nothing(tmp_path: Path) -> None:
    settings = Settings().with_value("encoder.kind", "hashing", source="test")
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        ingest_file(store, write_log(tmp_path / "log.jsonl", conversations=60), clock=lambda: NOW)
        import_eval_set(store, write_eval_set(tmp_path / "evals.jsonl"), "shop", lambda: NOW)
        seen = watch(store, make_encoder(settings.encoder), settings, eval_sets=["shop"], clock=lambda: NOW)
        assert seen.alerts == () and store.alerts.subjects("history") == []
