"""Kafka and HTTP to committed rows, against a loop that only polls and parses JSON with the same client.

    python benchmarks/streaming.py [--messages 60000] [--rounds 3] [--out benchmarks/results/streaming.json]

A broker of our own on one core, the consumer on another one alone. All loops read the same topic from its start, in turn;
the clock runs from the first message that was polled to the last that was parsed, or committed. Over HTTP the same records
come as NDJSON, a batch a request, from a client on the first core, and the server has the other; the clock runs until the
last answer.

kafka-python computes its checksums in Python, and offmap lets it compute them in C (`consumers/checksum.py`): the loop that
only polls is run both ways. With confluent-kafka too, where it is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import orjson

# A script finds what lies beside it, and not the folder above.
sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.ingest import make_turn

TOPIC = "turns"
BATCH = 2_000


def record(number: int) -> bytes:
    turn = make_turn(number)
    names = ("turn_id", "conversation_id", "turn_index", "user_text", "assistant_text", "model", "prompt_version")
    fields = {name: getattr(turn, name) for name in (*names, "latency_ms", "user_id", "environment", "metadata")}
    return orjson.dumps({**fields, "created_at": turn.created_at})


def produce(bootstrap: str, count: int) -> None:
    from kafka import KafkaProducer
    from kafka.admin import KafkaAdminClient, NewTopic

    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=50, batch_size=1 << 18)
    for number in range(count):
        producer.send(TOPIC, record(number))
    producer.flush()
    producer.close()


def polled(bootstrap: str, count: int) -> float:
    """Seconds to poll and parse everything with the client as it is installed."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=None, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(TOPIC, 0)])
    started, read = 0.0, 0
    while read < count:
        for messages in consumer.poll(1_000, max_records=BATCH).values():
            started = started or time.perf_counter()
            for message in messages:
                orjson.loads(message.value)
            read += len(messages)
    spent = time.perf_counter() - started
    consumer.close()
    return spent


def polled_in_c(bootstrap: str, count: int) -> float:
    """The same with the checksum that offmap gives it."""
    from consumers.checksum import quicken

    assert quicken(), "google-crc32c has no wheel for this machine"
    return polled(bootstrap, count)


def polled_by_confluent(bootstrap: str, count: int) -> float:
    from confluent_kafka import Consumer, TopicPartition

    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench", "check.crcs": True})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    started, read = 0.0, 0
    while read < count:
        messages = consumer.consume(BATCH, 1.0)
        started = started or time.perf_counter()
        for message in messages:
            orjson.loads(message.value())
        read += len(messages)
    spent = time.perf_counter() - started
    consumer.close()
    return spent


def stored(bootstrap: str, count: int) -> float:
    """Seconds from the first message that was polled until the last row was committed."""
    from consumers.kafka import KafkaSource
    from consumers.stream import Stream
    from monitor.clock import utc_now
    from monitor.settings import Settings
    from monitor.store import Store

    first: list[float] = []

    class Timed(KafkaSource):
        def poll(self, seconds: float, most: int) -> Sequence[Any]:
            found = super().poll(seconds, most)
            if found and not first:
                first.append(time.perf_counter())
            return found

    settings = Settings()
    for name, value in (
        ("bootstrap", bootstrap),
        ("topic", TOPIC),
        ("group", f"bench-{os.getpid()}"),
        ("format", "auto"),
    ):
        settings = settings.with_value(f"kafka.{name}", value, source="benchmark")
    stop, last = threading.Event(), [0.0]
    with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/store.duckdb", threads=1) as store:

        def committed(done: Any) -> None:
            last[0] = time.perf_counter()
            if stream.counts.records >= count:
                stop.set()

        opener = partial(Timed, settings.kafka)
        stream = Stream(store, settings, opener, clock=utc_now, stop=stop, on_stored=committed)
        stream.run()
        assert store.turns.count() == count, f"{store.turns.count()} of {count} turns are stored"
    return last[0] - first[0]


def served() -> None:
    """Answer requests for turns on one core until the standard input ends."""
    from flask import Flask

    from consumers.http import PATHS, HttpIntake
    from monitor.clock import utc_now
    from monitor.service.web import WebServer
    from monitor.settings import Settings
    from monitor.store import Store

    settings = Settings().with_value("serve.port", 0, source="benchmark")
    with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/store.duckdb", threads=1) as store:
        web = WebServer(settings)
        beside = dict.fromkeys(PATHS, HttpIntake(store, settings, clock=utc_now))
        threading.Thread(target=web.run, args=(Flask("benchmark"),), kwargs={"beside": beside}, daemon=True).start()
        print(web.url, flush=True)
        sys.stdin.read()
        web.close()
        print(store.turns.count(), flush=True)


def posted(cores: Sequence[int], count: int) -> float:
    """Seconds until everything is answered; a second request is under way while one is stored."""
    from concurrent.futures import ThreadPoolExecutor
    from urllib.request import Request, urlopen

    bodies = [b"\n".join(map(record, range(start, min(start + BATCH, count)))) for start in range(0, count, BATCH)]
    command = [sys.executable, __file__, "--run", "served"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin and server.stdout
        url = server.stdout.readline().strip()

        def post(body: bytes) -> int:
            headers = {"Content-Type": "application/x-ndjson"}
            with urlopen(Request(f"{url}/api/v1/turns", body, headers, method="POST")) as answer:
                return int(orjson.loads(answer.read())["turns"])

        os.sched_setaffinity(0, {cores[0]})
        try:
            with ThreadPoolExecutor(2) as clients:
                started = time.perf_counter()
                stored = sum(clients.map(post, bodies))
                spent = time.perf_counter() - started
        finally:
            os.sched_setaffinity(0, set(cores))
        server.stdin.close()
        kept = int(server.stdout.readline())
    assert stored == kept == count, f"{stored} and {kept} of {count} turns are stored"
    return spent


def alone(what: str, bootstrap: str, count: int) -> dict[str, float]:
    """Run one loop in a process of its own on one core."""
    command = [sys.executable, __file__, "--run", what, "--bootstrap", bootstrap, "--messages", str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


LOOPS: Mapping[str, Callable[[str, int], float]] = {
    "polled": polled,
    "polled_in_c": polled_in_c,
    "polled_by_confluent": polled_by_confluent,
    "stored": stored,
}


def measured(what: str, bootstrap: str, count: int) -> None:
    seconds = LOOPS[what](bootstrap, count)
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime, "max_rss_mb": used.ru_maxrss / 1024}
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "streaming.json")
    parser.add_argument("--run", choices=(*LOOPS, "served"))
    parser.add_argument("--bootstrap", default="")
    chosen = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    if chosen.run:
        os.sched_setaffinity(0, {cores[-1]})
        if chosen.run == "served":
            served()
        else:
            measured(chosen.run, chosen.bootstrap, chosen.messages)
        return
    from sample_data.broker import broker

    loops = [one for one in LOOPS if one != "polled_by_confluent" or find_spec("confluent_kafka")]
    with broker() as bootstrap:
        produce(bootstrap, chosen.messages)
        rounds = [
            {
                **{what: alone(what, bootstrap, chosen.messages) for what in loops},
                "posted": {"seconds": posted(cores, chosen.messages)},
            }
            for _ in range(chosen.rounds)
        ]
    text = json.dumps(summary(rounds, chosen.messages, len(cores)), indent=1)
    print(text)
    chosen.out.write_text(f"{text}\n")


def summary(rounds: Sequence[Mapping[str, Mapping[str, float]]], messages: int, cores: int) -> dict[str, Any]:
    def ratio(to: str, of: str) -> float:
        """How fast one is as a share of the other, in the same round; the median of the rounds."""
        return statistics.median(one[of]["seconds"] / one[to]["seconds"] for one in rounds)

    return {
        "messages": messages,
        "machine": {"cores": cores, "python": platform.python_version(), "load": os.getloadavg()},
        "rounds": rounds,
        "per_second": {
            what: messages / statistics.median(one[what]["seconds"] for one in rounds) for what in rounds[0]
        },
        "stored_rate_of": {what: ratio("stored", what) for what in rounds[0] if what.startswith("polled")},
        "posted_rate_of": {what: ratio("posted", what) for what in rounds[0] if what.startswith("polled")},
    }


if __name__ == "__main__":
    main()
