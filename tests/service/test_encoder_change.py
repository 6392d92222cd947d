"""`offmap serve` is started with another encoder: it serves the old atlas and goes on with it until the new one is whole."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from service_support import Serve, serving, until

from tests.cli.cli_traffic import write_eval_set, write_log
from tests.encoding.embeddings_server import MODEL, Said, embeddings_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def topics_of(serve: Serve) -> dict[str, list[str | None]]:
    lines = serve.offmap("turns", "--json").stdout.splitlines()
    return {record["turn_id"]: record["topics"] for record in map(json.loads, lines)}


def run_of(serve: Serve) -> str:
    return str(json.loads(serve.offmap("topics", "--json").stdout)["run"]["id"])


def alerts_of(serve: Serve) -> list[str]:
    return [alert["id"] for alert in json.loads(serve.offmap("alerts", "list", "--json").stdout)["alerts"]]


def test_another_encoder_while_it_serves(tmp_path: Path) -> None:
    with embeddings_server() as endpoint, serving(tmp_path) as old:
        old.offmap("ingest", write_log(tmp_path / "log.jsonl", conversations=240))
        old.offmap("evalset", "import", write_eval_set(tmp_path / "evals.jsonl"), "--name", "shop")
        old.offmap("analyse", "--eval-set", "shop")
        before, topics, told = run_of(old), topics_of(old), alerts_of(old)

        may_go = threading.Event()

        def answer(request: Mapping[str, Any]) -> Said | None:
            probe = len(request["input"]) == 1
            return None if probe or may_go.is_set() else Said(503, headers={"Retry-After": "0.2"})

        endpoint.answer = answer
        chosen = {
            "OFFMAP_ENCODER_KIND": "openai",
            "OFFMAP_ENCODER_URL": endpoint.url,
            "OFFMAP_ENCODER_MODEL": MODEL,
            "OFFMAP_ENCODER_ALLOW_PRIVATE": "true",
        }
        with serving(tmp_path, **chosen) as serve:
            serve.start()
            # The service begins to encode anew by itself, and the endpoint holds it back.
            until(lambda: any(len(request["input"]) > 1 for request in endpoint.requests), 120, "the re-encoding")
            late = tmp_path / "late.jsonl"
            lines = (tmp_path / "log.jsonl").read_text().splitlines()
            turns = [{**json.loads(line), "turn_id": f"late{number}"} for number, line in enumerate(lines[-30:])]
            late.write_text(
                "".join(json.dumps({**turn, "user_text": turn["user_text"] + " today"}) + "\n" for turn in turns)
            )
            serve.offmap("ingest", late)

            def assigned() -> bool:
                found = {turn: names for turn, names in topics_of(serve).items() if turn.startswith("late")}
                return len(found) == 30 and sum(names[1] is not None for names in found.values()) >= 25

            until(assigned, 120, "topics of the old atlas for new turns")
            assert run_of(serve) == before
            may_go.set()
            until(lambda: run_of(serve) != before, 180, "the switch")
            after = topics_of(serve)
            same = [turn for turn in topics if topics[turn][1] and topics[turn][1] == after[turn][1]]
            assert len(same) >= 0.8 * sum(names[1] is not None for names in topics.values())
            assert alerts_of(serve) == told
        assert "Traceback" not in (tmp_path / "serve.log").read_text()
