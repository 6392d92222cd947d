"""A DuckDB file takes one process: a second consumer on it is refused, says why, and harms nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.store import Store
from sample_data.broker import broker
from tests.consumers.kafka_support import RUN, Consumer, committed, new_topic, question, send, until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def second(consumer: Consumer, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, "consume", "--bootstrap", consumer.bootstrap, "--topic", consumer.topic]
    return subprocess.run(
        [*command, *options],
        cwd=consumer.folder,
        env={**os.environ, "OFFMAP_STORE": str(consumer.store)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_second_consumer_on_the_same_file_is_refused(tmp_path: Path) -> None:
    with broker() as address, Consumer(tmp_path / "first", address, new_topic(address), ["--json"]) as consumer:
        send(address, consumer.topic, [question(number) for number in range(10)])
        consumer.start()
        until(lambda: committed(address, consumer.topic) == 10, 60, f"the first stores: {consumer.errors}")
        # In its group it would take partitions away from the first, if it came so far.
        for options in (["--group", f"group-{consumer.topic}"], ["--group", "another"], ["--until-end"]):
            ran = second(consumer, *options)
            assert ran.returncode == 1 and ran.stdout == "", ran
            assert len(ran.stderr.splitlines()) == 1 and "Traceback" not in ran.stderr, ran.stderr
            assert f"is held by process {consumer.process.pid}, and takes one process at a time" in ran.stderr
            assert str(consumer.store) in ran.stderr and "name another store with --store" in ran.stderr
        send(address, consumer.topic, [question(number) for number in range(10, 20)])
        until(lambda: committed(address, consumer.topic) == 20, 60, f"the first goes on: {consumer.errors}")
        code, _ = consumer.stop()
        assert (code, json.loads(consumer.out)["turns"], consumer.errors) == (0, 20, "")
        ran = second(consumer, "--group", "another", "--until-end")
        assert ran.returncode == 0, ran.stderr
        with Store.open(str(consumer.store)) as store:
            assert store.turns.count() == store.offsets.next(f"kafka:{consumer.topic}", "0") == 20


def test_a_consumer_comes_in_when_the_first_was_killed(tmp_path: Path) -> None:
    with broker() as address, Consumer(tmp_path / "first", address, new_topic(address)) as consumer:
        send(address, consumer.topic, [question(number) for number in range(10)])
        consumer.start()
        until(lambda: committed(address, consumer.topic) == 10, 60, f"the first stores: {consumer.errors}")
        consumer.kill()
        send(address, consumer.topic, [question(number) for number in range(10, 20)])
        ran = second(consumer, "--group", "another", "--until-end", "--json")
        assert ran.returncode == 0, ran.stderr
        said = json.loads(ran.stdout)
        assert (said["records"], said["turns"], said["total"]) == (10, 10, 20)
