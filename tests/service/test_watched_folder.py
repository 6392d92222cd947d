"""The watched folder of a running service: health, metrics, and `kill -9` at random moments."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from pathlib import Path

import pytest
from service_support import Serve, serving, until

from monitor.store import Store

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KILLS = 8


def texts(serve: Serve) -> list[str]:
    shared = Store.connect(str(serve.store))
    assert shared is not None
    with shared:
        return sorted(shared.turns.read(columns=["user_text"]).column(0).to_pylist())


def test_kills_lose_and_double_nothing(tmp_path: Path) -> None:
    """Records have no ids: whatever is read twice is there twice."""
    chance = random.Random(3)
    folder = tmp_path / "in"
    folder.mkdir()
    expected: list[str] = []
    variables = {
        "OFFMAP_INGEST_FOLDER": str(folder),
        "OFFMAP_INGEST_SETTLE_SECONDS": "0.5",
        "OFFMAP_INGEST_BATCH_ROWS": "50",
    }
    with serving(tmp_path, **variables) as serve:
        for round_ in range(KILLS):
            logged = [f"log {round_} {number}" for number in range(400)]
            put = [f"csv {round_} {number}" for number in range(400)]
            serve.start()
            with (folder / "app.jsonl").open("a") as log:
                log.writelines(json.dumps({"user_text": one}) + "\n" for one in logged)
            part = folder / ".part"
            part.write_text("user_text\n" + "\n".join(put) + "\n")
            part.rename(folder / f"r{round_}.csv")
            expected += logged + put
            time.sleep(chance.uniform(0, 3))  # the moment of the kill is the test
            serve.kill()
        serve.start()
        # All else may have been read before the last kill, and then this process would have read nothing.
        with (folder / "app.jsonl").open("a") as log:
            log.write(json.dumps({"user_text": "the last"}) + "\n")
        expected.append("the last")
        until(lambda: len(texts(serve)) >= len(expected) and not list(folder.glob("*.csv")), 60, "all of the folder")
        assert texts(serve) == sorted(expected)
        assert len(list((folder / "done").iterdir())) == KILLS
        part = next(one for one in serve.get("/healthz")["parts"] if one["name"] == "folder")
        assert part["state"] == "running" and "last read" in part["detail"]
        with urllib.request.urlopen(serve.url + "/metrics", timeout=10) as answer:
            assert 'offmap_part_up{part="folder",state="running"} 1.0' in answer.read().decode()
        assert serve.stop()[0] == 0
