"""Two `offmap serve` on one store in PostgreSQL: both take turns and show pages, one keeps the analysis."""

from __future__ import annotations

import json
import threading
import urllib.request
from pathlib import Path

import pytest
from service_support import Serve, serving, until

from monitor.store import Store
from tests.store.postgres_support import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ELSEWHERE = "another process on this store does it"


def leads(serve: Serve) -> bool:
    """Are the parts that only one may have here? They agree, or the lease is just changing hands."""
    parts = {part["name"]: part["detail"] for part in serve.get("/healthz")["parts"]}
    return all(parts[name] != ELSEWHERE for name in ("assign", "refit", "alerts", "jobs"))


def post(serve: Serve, turns: list[dict[str, str]]) -> int:
    request = urllib.request.Request(
        serve.url + "/api/v1/turns", json.dumps(turns).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(json.loads(answer.read())["turns"])


def test_two_services_on_one_store(tmp_path: Path, postgres: Postgres) -> None:
    name = postgres.new_store(tmp_path)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    with (
        serving(tmp_path / "one", OFFMAP_STORE=name) as one,
        serving(tmp_path / "two", OFFMAP_STORE=name) as two,
    ):
        one.start()
        until(lambda: leads(one), 60, "the first leads")
        two.start()
        until(lambda: not leads(two), 60, "the second does not")
        assert leads(one)
        # The same turns to both at once: each is stored once, and counted once.
        turns = [
            {"turn_id": f"t{number}", "user_text": f"where is parcel {number}?", "created_at": "2026-03-01T09:00:00Z"}
            for number in range(40)
        ]
        stored: list[int] = []
        threads = [
            threading.Thread(
                target=lambda serve=serve: stored.extend(post(serve, turns[at : at + 10]) for at in (0, 10, 20, 30))
            )
            for serve in (one, two)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240)
        assert len(stored) == 8 and sum(stored) == 40
        with Store.open(name, threads=1) as store:  # a third process, while both serve
            assert store.turns.count() == 40
        code, _ = one.stop()
        assert code == 0
        until(lambda: leads(two), 60, "the second takes over")
        assert post(two, turns) == 0
        two.kill()
        assert "Traceback" not in (tmp_path / "two" / "serve.log").read_text()
