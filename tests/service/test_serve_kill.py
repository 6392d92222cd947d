"""`kill -9` of the service at random moments of ingest, analysis and export: it comes back by itself, with nothing lost.

Ten kills of each. The seed is fixed; what the kill meets is not.
"""

from __future__ import annotations

import json
import random
import time
from pathlib import Path
from typing import Any

import pytest
from service_support import Serve, serving, until, webhook

from monitor.store import Store
from sample_data.broker import broker
from sample_data.produce import produce
from tests.cli.cli_traffic import question, write_eval_set, write_log

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

KILLS = 10


def connected(serve: Serve) -> Store:
    shared = Store.connect(str(serve.store))
    assert shared is not None
    return shared


def test_ingest_loses_and_doubles_nothing(tmp_path: Path) -> None:
    rng = random.Random(1)
    topics = ("parcel", "refund", "piano", "garden")
    ledger: list[str] = []

    def lines(count: int) -> Any:
        for _ in range(count):
            ledger.append(f"k{len(ledger)}")
            text = question(rng.choice(topics), rng)
            yield json.dumps({"turn_id": ledger[-1], "conversation_id": ledger[-1], "user_text": text}).encode()

    with broker() as address, serving(tmp_path, "--kafka", OFFMAP_KAFKA_BOOTSTRAP=address) as serve:
        produce(lines(2_000), address, "turns")
        for _ in range(KILLS):
            serve.start()
            produce(lines(200), address, "turns")
            time.sleep(rng.uniform(0.0, 9.0))
            serve.kill()
        serve.start()
        store = connected(serve)
        until(lambda: store.turns.count() >= len(ledger), 120, "everything is stored")
        ids: list[Any] = store.turns.read(columns=("turn_id",)).column(0).to_pylist()
        assert sorted(ids) == sorted(ledger)
        assert store.dead_letters.count() == 0 and store.turns.conflicts() == 0
        assert sum(row.position for row in store.partitions.read()) == len(ledger)
        store.close()


def test_analysis_comes_back_and_no_alert_is_lost(tmp_path: Path) -> None:
    rng = random.Random(2)
    with (
        webhook() as slack,
        serving(tmp_path, OFFMAP_SLACK_WEBHOOK=slack.url, OFFMAP_ALLOW_PRIVATE_WEBHOOKS="true") as serve,
    ):
        serve.offmap("ingest", write_log(tmp_path / "log.jsonl", conversations=480))
        for number in range(KILLS):
            # Another version of the eval set makes a refit due at once.
            evals = write_eval_set(tmp_path / f"evals-{number}.jsonl")
            with evals.open("a") as more:
                more.write(
                    json.dumps({"item_id": f"v{number}", "prompt": f"version {number}", "label": "version"}) + "\n"
                )
            serve.offmap("evalset", "import", evals, "--name", "shop")
            serve.start()
            time.sleep(rng.uniform(0.0, 5.0))
            serve.kill()
        serve.start()
        store = connected(serve)
        latest = store.eval_sets.load("shop").eval_set_id

        def published() -> Any:
            run = store.runs.current()
            report = store.reports.coverage(run.report_id) if run else None
            return report is not None and report.eval_set_ids == (latest,)

        until(published, 90, "the latest eval set is compared")
        run = store.runs.current()
        assert run is not None and store.atlases.assignments(run.atlas_id).num_rows == 960
        assert store.turns.count() == 960
        # A run is published before what it says is weighed.
        until(lambda: store.alerts.read(), 90, "something is told")
        alerts = {alert.alert_id: alert.title for alert in store.alerts.read()}
        until(lambda: all(one.state == "sent" for one in store.alerts.deliveries()), 60, "every alert is sent")
        assert {one.alert_id for one in store.alerts.deliveries()} == set(alerts)
        got = [message["text"] for message in slack.messages]
        assert all(title in got for title in alerts.values())
        store.close()


def test_an_export_is_finished_by_the_next_process(tmp_path: Path) -> None:
    rng = random.Random(3)
    with serving(tmp_path) as serve:
        serve.offmap("ingest", write_log(tmp_path / "log.jsonl", conversations=480))
        serve.offmap("evalset", "import", write_eval_set(tmp_path / "evals.jsonl"), "--name", "shop")
        serve.offmap("analyse", "--eval-set", "shop")
        gaps = json.loads(serve.offmap("gaps", "--json").stdout)["gaps"]
        for number in range(KILLS):
            serve.start()
            store = connected(serve)
            gap = gaps[number % len(gaps)]["id"]
            store.jobs.enqueue(f"job{number}", "export", {"gap": gap, "format": "openai-chat"})
            store.close()
            time.sleep(rng.uniform(0.0, 2.5))
            serve.kill()
        serve.start()
        store = connected(serve)
        jobs = [f"job{number}" for number in range(KILLS)]
        until(lambda: not {_state(store, job) for job in jobs} & {"queued", "running"}, 120, "no export waits")
        assert {job: _state(store, job) for job in jobs} == dict.fromkeys(jobs, "finished")
        for job in jobs:
            found = store.jobs.find(job)
            assert found is not None and found.result is not None
            path = Path(found.result["path"])
            lines = path.read_text().splitlines()
            assert len(lines) == found.result["examples"] > 0
            assert all(json.loads(line)["messages"] for line in lines)
        # Nothing half written stays beside what was made.
        assert not [file for file in (tmp_path / "exports").rglob("*") if ".tmp" in file.name]
        store.close()


def _state(store: Store, job: str) -> str:
    found = store.jobs.find(job)
    return found.state if found else "unknown"
