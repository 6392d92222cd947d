"""The running service, as a process: start, work, bad surroundings, end."""

from __future__ import annotations

import gzip
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from service_support import serving, until, webhook

from monitor.machine import memory_bytes
from monitor.records import Coordinates, DeadLetter
from monitor.store import Store
from sample_data.broker import broker
from sample_data.produce import produce
from tests.cli.cli_traffic import write_eval_set, write_log

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def prepared(serve: Any) -> None:
    serve.offmap("ingest", write_log(serve.folder / "log.jsonl", conversations=480))
    serve.offmap("evalset", "import", write_eval_set(serve.folder / "evals.jsonl"), "--name", "shop")


def test_commands_work_while_it_serves_and_sigterm_ends_it(tmp_path: Path) -> None:
    with serving(tmp_path) as serve:
        serve.start()
        assert {part["name"] for part in serve.get("/healthz")["parts"]} == {
            "assign",
            "refit",
            "alerts",
            "jobs",
            "ingest watch",
            "erasure",
            "pages",
        }
        prepared(serve)
        # The schedule fits the first atlas by itself.
        until(lambda: serve.offmap("gaps", "--json", check=False).returncode == 0, 60, "a first analysis")
        assert "is served already" in serve.offmap("serve", "--port", "0", check=False).stderr
        shared = Store.connect(str(serve.store))
        assert shared is not None and shared.turns.count() == 960
        memory = str(shared._database.value("SELECT current_setting('memory_limit')"))
        assert float(memory.removesuffix(" GiB")) == pytest.approx(memory_bytes() / 2 / 2**30, abs=0.2)
        shared.close()
        code, seconds = serve.stop()
        assert code == 0 and seconds < 10
        assert not list(tmp_path.glob("*.serve"))
        assert "Traceback" not in (tmp_path / "serve.log").read_text()
        served = serve.offmap("gaps", "--json").stdout
        assert '"gaps": [' in served


def test_the_story_from_the_overview_to_a_downloaded_export(tmp_path: Path, chromium: Any) -> None:
    with serving(tmp_path) as serve:
        prepared(serve)
        serve.offmap("analyse", "--eval-set", "shop")
        serve.start()
        page = chromium.new_page()
        page.set_default_timeout(30_000)
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto(serve.url + "/")
        page.click(".small-table a.link >> nth=0")
        page.wait_for_selector("#export-button")
        assert "gap=" in page.url
        page.click("#export-button")
        page.wait_for_selector("#export-download")
        with page.expect_download() as download:
            page.click("#export-download")
        lines = Path(download.value.path()).read_text().splitlines()
        assert lines and all('"messages"' in line for line in lines)
        page.close()
        assert errors == []


def test_dead_letters_are_replayed_and_discarded_from_the_page(tmp_path: Path, chromium: Any) -> None:
    with serving(tmp_path) as serve:
        with Store.open(str(serve.store)) as store:
            payloads = (b'{"user_text": "one"}', b'{"user_text": "two"}', b"{")
            store.dead_letters.append(
                [
                    DeadLetter(
                        Coordinates("kafka:turns", "0", number), f"too old {number}", payload, datetime(2026, 3, 1)
                    )
                    for number, payload in enumerate(payloads)
                ]
            )
        serve.start()
        page = chromium.new_page()
        page.set_default_timeout(40_000)
        page.goto(serve.url + "/data")
        page.locator("#letters-live").get_by_role("button", name="Replay").first.click()
        page.wait_for_selector("text=2 records could be read now: 2 new turns. 1 stays")
        page.wait_for_selector("text=not JSON: unexpected end of data")
        page.locator("#letters-live").get_by_role("button", name="Discard").first.click()
        page.click("#letters-yes")
        page.wait_for_selector("text=Discarded: 1 dead letter.")
        page.wait_for_selector("text=there are no dead letters")
        page.close()
        assert (
            serve.offmap("deadletters", "list", "--json").stdout.split() == '{ "total": 0, "dead_letters": [] }'.split()
        )


def test_a_turn_gets_a_topic_without_a_refit(tmp_path: Path) -> None:
    with serving(tmp_path) as serve:
        prepared(serve)
        serve.offmap("analyse", "--eval-set", "shop")
        serve.start()
        line = tmp_path / "late.jsonl"
        line.write_text(
            '{"turn_id": "late", "user_text": "piano keyboard tuning strings", "created_at": "2026-04-30T08:00:00Z"}\n'
        )
        serve.offmap("ingest", line)

        def topic() -> Any:
            shown = serve.offmap("turns", "--json").stdout.splitlines()
            return next(
                (one for one in shown if '"late"' in one and '"topics":[null' not in one.replace(" ", "")), None
            )

        assert until(topic, 30, "a topic of the new turn")


@pytest.mark.parametrize(
    ("options", "variables", "said"),
    [
        (("--host", "0.0.0.0"), {}, "serve.behind_proxy"),
        (("--host", "no.such.host.invalid"), {}, "setting serve.host"),
        (("--kafka",), {}, "OFFMAP_KAFKA_BOOTSTRAP"),
        ((), {"OFFMAP_PUBLIC_URL": "offmap.example.org"}, "serve.public_url"),
        (("--port", "70000"), {}, "serve.port"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    tmp_path: Path, options: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    with serving(tmp_path, **variables) as serve:
        ran = serve.offmap("serve", "--port", "0", *options, check=False)
        assert ran.returncode == 2 and said in ran.stderr
        assert len(ran.stderr.splitlines()) == 1


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, serving(tmp_path) as serve:
        port = taken.getsockname()[1]
        ran = serve.offmap("serve", "--port", port, check=False)
        assert ran.returncode == 2 and f"serve.port = {port}" in ran.stderr and len(ran.stderr.splitlines()) == 1


def test_a_broker_that_is_away_stops_nothing_else(tmp_path: Path) -> None:
    with serving(tmp_path, "--kafka", OFFMAP_KAFKA_BOOTSTRAP="127.0.0.1:1") as serve:
        serve.start()

        def consumer() -> Any:
            part = next(one for one in serve.get("/readyz")["parts"] if one["name"] == "consumer")
            return part["state"] == "waiting" and "no broker answers at 127.0.0.1:1" in part["detail"]

        until(consumer, 30, "the consumer waits")
        assert serve.offmap("doctor", check=False).returncode == 0
        code, seconds = serve.stop()
        assert code == 0 and seconds < 10


def test_alerts_reach_slack_and_a_webhook_that_refuses_is_shown(tmp_path: Path, chromium: Any) -> None:
    with (
        webhook() as slack,
        serving(
            tmp_path,
            OFFMAP_SLACK_WEBHOOK=slack.url,
            OFFMAP_ALLOW_PRIVATE_WEBHOOKS="true",
            OFFMAP_PUBLIC_URL="https://ops.example.org/offmap",
        ) as serve,
    ):
        prepared(serve)
        slack.status = 404
        serve.start()
        until(lambda: "failed" in serve.offmap("alerts", "list", "--json").stdout, 60, "a delivery that was refused")
        page = chromium.new_page()
        page.goto(serve.url + "/")
        page.wait_for_selector(".delivery")
        assert "no_service" in page.inner_text(".delivery") and "secret" not in page.content()
        page.close()
        slack.status = 200
        serve.offmap("alerts", "retry")
        until(lambda: slack.messages, 30, "the alert arrives")
        assert "https://ops.example.org/offmap/gaps" in str(slack.messages[0])
        assert "secret" not in (tmp_path / "serve.log").read_text()


def test_a_prefix_and_a_proxy(tmp_path: Path) -> None:
    with serving(tmp_path, OFFMAP_PUBLIC_URL="https://ops.example.org/tools/offmap") as serve:
        serve.start()
        assert serve.url.endswith("/tools/offmap") and serve.get("/healthz")["ok"]
        assert "at https://ops.example.org/tools/offmap" in (tmp_path / "serve.log").read_text()


def test_pages_answer_broken_requests_without_a_traceback(tmp_path: Path) -> None:
    with serving(tmp_path) as serve:
        serve.start()
        for path, body in (
            ("/_dash-update-component", b"{"),
            ("/_dash-update-component", b"[]"),
            ("/downloads/%00", None),
        ):
            request = urllib.request.Request(serve.url + path, data=body, headers={"Content-Type": "application/json"})
            with pytest.raises(urllib.error.HTTPError) as answer:
                urllib.request.urlopen(request, timeout=5)
            assert answer.value.code in (400, 404, 500) and b"Traceback" not in answer.value.read()
        assert serve.get("/readyz")["ok"]


def test_a_scrape_says_how_ingest_goes(tmp_path: Path) -> None:
    with broker() as address, serving(tmp_path, "--kafka", OFFMAP_KAFKA_BOOTSTRAP=address) as serve:
        lines = [b'{"user_text": "where is my parcel?"}'] * 40 + [b'{"conversation_id": "c"}'] * 3
        produce(iter(lines), address, "turns")
        serve.start()

        def scraped() -> Any:
            with urllib.request.urlopen(f"{serve.url}/metrics") as answer:
                assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
                return answer.read().decode()

        text = until(lambda: "offmap_ingest_records_total 43.0" in (found := scraped()) and found, 60, "all is counted")
        for line in (
            'offmap_ingest_outcomes_total{outcome="turns"} 40.0',
            'offmap_ingest_outcomes_total{outcome="dead_letters"} 3.0',
            'offmap_dead_letters{reason="in no known format"} 3.0',
            "offmap_store_turns 40.0",
            'offmap_part_up{part="consumer",state="running"} 1.0',
        ):
            assert f"{line}\n" in text
        until(lambda: scraped().count("offmap_partition_lag{") and "parcel" not in scraped(), 20, "lag is there")
        code, seconds = serve.stop()
        assert code == 0 and seconds < 10


def test_a_damaged_log_is_told_once(tmp_path: Path) -> None:
    with (
        webhook() as slack,
        serving(tmp_path, OFFMAP_SLACK_WEBHOOK=slack.url, OFFMAP_ALLOW_PRIVATE_WEBHOOKS="true") as serve,
    ):
        serve.offmap("ingest", write_log(tmp_path / "log.jsonl", conversations=30))
        script = (
            "import os, sys; from monitor.store import Store; store = Store.open(sys.argv[1]);"
            "store.offsets.begin('kafka:turns', '0'); os._exit(9)"
        )
        subprocess.run([sys.executable, "-c", script, str(serve.store)], check=False)
        log = serve.store.with_name(f"{serve.store.name}.wal")
        content = bytearray(log.read_bytes())
        content[120] ^= 4
        log.write_bytes(content)
        for _ in range(2):
            serve.start()
            until(lambda: slack.messages, 40, "the alert arrives")
            assert len(slack.messages) == 1 and "log was damaged" in str(slack.messages[0])
            assert serve.stop()[0] == 0
        assert "write-ahead log was damaged" in (tmp_path / "serve.log").read_text()
        with Store.open(str(serve.store)) as store:
            assert store.turns.count() == 60 and store.damage is None


def test_what_was_answered_over_http_survives_a_kill(tmp_path: Path) -> None:
    with serving(tmp_path, OFFMAP_PUBLIC_URL="https://ops.example.org/tools/offmap") as serve:

        def post(path: str, body: bytes, **headers: str) -> Any:
            request = urllib.request.Request(
                f"{serve.url}{path}", body, {"Content-Type": "application/x-ndjson", **headers}, method="POST"
            )
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read())

        for number in range(3):
            serve.start()
            lines = [json.dumps({"turn_id": f"t{number}-{one}", "user_text": "hello"}).encode() for one in range(200)]
            packed = gzip.compress(b"\n".join(lines))
            assert post("/api/v1/turns", packed, **{"Content-Encoding": "gzip"})["turns"] == 200
            serve.kill()
            if number == 1:  # the worst that a disk can do to it
                serve.store.with_name(f"{serve.store.name}.wal").unlink()
        with Store.open(str(serve.store)) as store:
            assert store.turns.count() == 600
        serve.start()
        with pytest.raises(urllib.error.HTTPError) as refused:
            post("/api/v1/turns", b'{"user_text": 7}')
        with refused.value as answer:
            assert answer.code == 422 and "user_text" in answer.read().decode()
        with urllib.request.urlopen(f"{serve.url}/metrics") as answer:
            assert "offmap_http_records_total 0.0" in answer.read().decode()
        with pytest.raises(urllib.error.HTTPError) as refused:
            post("/_dash-update-component", b"x" * (2 << 20), **{"Content-Type": "application/json"})
        with refused.value as answer:
            assert answer.code == 413, "a page sends little"
        assert "Traceback" not in (tmp_path / "serve.log").read_text()
        assert serve.stop()[0] == 0
