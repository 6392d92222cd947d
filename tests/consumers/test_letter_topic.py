"""Dead letters on a real broker's topic, through kills and a topic that is not there."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka_support import Consumer, new_topic, question, send, settings_for, until

from consumers.letter_topic import KafkaLetters, headers_of
from consumers.source import SourceAway
from monitor.store import Store
from sample_data.broker import broker

pytestmark = [pytest.mark.timeout(300), pytest.mark.slow]

#: `offmap consume`, killed as soon as it comes to what is named.
KILLED = """
import os, signal, sys
{imported}
def die(*args, **options): os.kill(os.getpid(), signal.SIGKILL)
{patched} = die
from monitor.cli import main
sys.exit(main())
"""
KILLS = {
    "between the commit and sending": ("from consumers.letter_topic import KafkaLetters", "KafkaLetters.send"),
    "between sending and the mark": ("from monitor.store.dead_letters import DeadLetters", "DeadLetters.mark_sent"),
}


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    with broker() as address:
        yield address


def held(bootstrap: str, topic: str) -> list[Any]:
    """Every message of a topic."""
    from kafka import KafkaConsumer, TopicPartition

    where = TopicPartition(topic, 0)
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    try:
        consumer.assign([where])
        consumer.seek(where, 0)
        found: list[Any] = []
        while True:
            got = consumer.poll(1_000).get(where, [])
            found += got
            end = consumer.highwater(where)
            if end is not None and consumer.position(where) >= end:
                return found
    finally:
        consumer.close()


@pytest.mark.parametrize("moment", list(KILLS))
def test_killed_on_the_way_no_letter_is_lost(bootstrap: str, tmp_path: Path, moment: str) -> None:
    topic, letters = new_topic(bootstrap, 1), new_topic(bootstrap, 1)
    send(bootstrap, topic, [question(0), b"{broken", question(2)], headers=[("trace", b"abc")])
    send(bootstrap, topic, [b'{"conversation_id": "ann@example.org"}'])
    variables = {"OFFMAP_KAFKA_DEAD_LETTER_TOPIC": letters, "OFFMAP_INGEST_REDACT": "true"}
    with Consumer(tmp_path / "killed", bootstrap, topic, variables=variables) as consumer:
        imported, patched = KILLS[moment]
        command = [sys.executable, "-c", KILLED.format(imported=imported, patched=patched), "consume"]
        command += ["--bootstrap", bootstrap, "--topic", topic, "--group", f"group-{topic}"]
        environment = {**os.environ, "OFFMAP_STORE": str(consumer.store), **variables}
        killed = subprocess.run(command, env=environment, cwd=consumer.folder, capture_output=True, timeout=90)
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        with Store.open(str(consumer.store)) as store:
            assert store.dead_letters.count() == 2, "they were stored before"
            assert store.dead_letters.unsent(f"kafka:{topic}", 10).num_rows == 2
        assert len(held(bootstrap, letters)) == (0 if moment.endswith("sending") else 2)
        consumer.start("--until-end")
        assert consumer.ends(90) == 0, consumer.errors
        with Store.open(str(consumer.store)) as store:
            kept = {one.letter_id: one for one in store.dead_letters.read()}
            assert store.dead_letters.unsent(f"kafka:{topic}", 10).num_rows == 0
        found = held(bootstrap, letters)
    by_letter = {dict(one.headers)["offmap-letter"].decode(): one for one in found}
    assert set(by_letter) == set(kept)
    assert len(found) == (2 if moment.endswith("sending") else 4), "at least once"
    for name, one in by_letter.items():
        assert (one.key, one.value) == (b"key", kept[name].payload)
        assert list(one.headers) == headers_of(kept[name], redact=True)
    assert any(("trace", b"abc") in one.headers for one in found)
    assert b"ann@" not in b"".join(one.value for one in found)


def test_a_topic_that_is_made_later_gets_everything(bootstrap: str, tmp_path: Path) -> None:
    topic, letters = new_topic(bootstrap, 1), "letters-made-later"
    send(bootstrap, topic, [b"{broken", question(1)])
    variables = {"OFFMAP_KAFKA_DEAD_LETTER_TOPIC": letters}
    with Consumer(tmp_path / "later", bootstrap, topic, variables=variables) as consumer:
        consumer.start()
        until(lambda: f"dead letters wait for the topic {letters}" in consumer.errors, 60, "it is told")
        send(bootstrap, topic, [b"{broken too"])
        new_topic(bootstrap, 1, letters)
        until(lambda: len(held(bootstrap, letters)) == 2, 90, "both are sent")
        code, seconds = consumer.stop()
        assert code == 0 and seconds < 10
        assert "Traceback" not in consumer.errors
        with Store.open(str(consumer.store)) as store:
            assert (store.turns.count(), store.dead_letters.count()) == (1, 2)


# kafka-python leaves the socket of a refused connection to the collector, which warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_broker_that_is_away_is_said_as_such() -> None:
    settings = settings_for("127.0.0.1:1", "turns", dead_letter_topic="letters")
    said = ""
    try:
        KafkaLetters(settings.kafka)
    except SourceAway as error:  # not `pytest.raises`: it would keep the frames, and the sockets in them
        said = str(error)
    assert said == "no broker answers at 127.0.0.1:1 (setting kafka.bootstrap)"
    gc.collect()
