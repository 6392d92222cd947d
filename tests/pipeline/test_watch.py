"""One look after another: what is told, when there is an eval set and when there is none yet."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
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


def shrunk(path: Path, subjects: tuple[str, ...], days: float) -> Path:
    """The log of which those subjects are in no turn of the last days: all others have a little more."""
    lines = [json.loads(line) for line in write_log(path, conversations=780).read_text().splitlines()]
    end = max(line["created_at"] for line in lines)
    border = f"{datetime.fromisoformat(end) - timedelta(days=days):%Y-%m-%dT%H:%M:%SZ}"
    kept = [
        line
        for line in lines
        if line["created_at"] < border or not any(f"About the {one}:" in line["assistant_text"] for one in subjects)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in kept))
    return path


@pytest.mark.slow
def test_what_no_surge_shows_is_told_by_a_comparison_when_the_budget_allows(tmp_path: Path) -> None:
    settings = Settings().with_value("encoder.kind", "hashing", source="test")
    settings = settings.with_value("drift.pinned", "2026-03-02/2026-04-02", source="test")
    settings = settings.with_value("drift.current_days", 14, source="test")
    encoder = make_encoder(settings.encoder)
    log = shrunk(tmp_path / "log.jsonl", ("parcel", "refund", "password", "invoice", "piano"), 14)
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        ingest_file(store, log, clock=lambda: NOW)
        import_eval_set(store, write_eval_set(tmp_path / "evals.jsonl"), "shop", lambda: NOW)
        span = store.turns.span()
        assert span is not None

        def look(at: datetime) -> Watched:
            return watch(store, encoder, settings, eval_sets=["shop"], clock=lambda: at)

        first = look(span.end)
        assert [one.kind for one in first.alerts] == ["history"], "what was there is summed up, and it spends"
        assert [row.reference for row in first.drift] == ["window", "pinned", "shop"]
        assert all(row.alarm for row in first.drift[:2]), [row.verdict for row in first.drift]
        assert {row.subject for row in store.alerts.subjects("budget")} >= {"surges", "comparisons", "watch_lists"}
        assert look(span.end + timedelta(minutes=30)).alerts == (), "no level has gathered"
        told = look(span.end + timedelta(days=3)).alerts
        assert {one.title for one in told} == {
            "The traffic changed",
            "The traffic is not what it was in the pinned window",
        }
        pinned = next(one for one in told if "pinned" in one.title)
        assert dict(pinned.content.facts)["Compared"].endswith("with 2 Mar – 1 Apr")
        assert pinned.path == f"/drift?report={store.drift.latest('pinned').report_id}"  # type: ignore[union-attr]
        assert look(span.end + timedelta(days=6)).alerts == (), "told once"
