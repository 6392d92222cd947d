"""A consumer on a real broker: topics, messages, and `offmap consume` as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from consumers.ingest import utc_now
from consumers.kafka import KafkaSource
from consumers.stream import Stream
from monitor.settings import Settings
from monitor.store import Store

RUN = "import sys; from monitor.cli import main; sys.exit(main())"
SMALL = Path(__file__).parents[2] / "sample_data" / "small" / "turns.jsonl.gz"


def new_topic(bootstrap: str, partitions: int = 3, name: str = "") -> str:
    """A topic of its own for a test: the broker is shared."""
    from kafka.admin import KafkaAdminClient, NewTopic

    name = name or f"turns-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.create_topics([NewTopic(name, num_partitions=partitions, replication_factor=1)])
    finally:
        admin.close()
    return name


def send(bootstrap: str, topic: str, values: Iterable[bytes | None], *, partition: int = 0, **options: Any) -> None:
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap, acks="all")
    try:
        for value in values:
            producer.send(topic, value=value, key=b"key", partition=partition, **options).get(10)
    finally:
        producer.close()


def committed(bootstrap: str, topic: str, partition: int = 0) -> int | None:
    """How far the group of a test's topic says it is: it follows the store."""
    from kafka import KafkaConsumer, TopicPartition

    consumer = KafkaConsumer(bootstrap_servers=bootstrap, group_id=f"group-{topic}", enable_auto_commit=False)
    try:
        found = consumer.committed(TopicPartition(topic, partition))
        return None if found is None else int(found)
    finally:
        consumer.close()


def question(number: int, **fields: object) -> bytes:
    turn = {"turn_id": f"t{number}", "user_text": f"question {number}", "created_at": "2026-03-01T09:00:00Z"}
    return json.dumps({**turn, **fields}).encode()


def settings_for(bootstrap: str, topic: str, **values: object) -> Settings:
    made = Settings()
    # A group of its own: one that a test left behind is no member of another's.
    named = {"bootstrap": bootstrap, "topic": topic, "group": f"group-{topic}", **values}
    for name, value in named.items():
        made = made.with_value(name if "." in name else f"kafka.{name}", value, source="test")
    return made


def read_to_end(store: Store, settings: Settings, *, seconds: float = 60) -> Stream:
    """Consume in this process until everything is stored."""
    stop = threading.Event()
    stream = Stream(store, settings, partial(KafkaSource, settings.kafka), clock=utc_now, stop=stop, until_end=True)
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    try:
        stream.run()
    finally:
        timer.cancel()
        timer.join()
    assert not stop.is_set(), f"the end was not reached in {seconds} s: {stream.counts}"
    return stream


def until(condition: Callable[[], bool], seconds: float, what: str | Callable[[], str]) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what if isinstance(what, str) else what()}: not within {seconds} s"
        time.sleep(0.05)


@dataclass(slots=True)
class Consumer:
    """`offmap consume` on a store in a folder, as a process that ends with the test."""

    folder: Path
    bootstrap: str
    topic: str
    options: Sequence[str] = ()
    variables: dict[str, str] = field(default_factory=dict)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def store(self) -> Path:
        return self.folder / "store.duckdb"

    @property
    def errors(self) -> str:
        return (self.folder / "stderr").read_text()

    @property
    def out(self) -> str:
        return (self.folder / "stdout").read_text()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self, *more: str) -> None:
        command = [sys.executable, "-c", RUN, "consume", "--bootstrap", self.bootstrap, "--topic", self.topic]
        command += ["--group", f"group-{self.topic}", *self.options, *more]
        environment = {**os.environ, "OFFMAP_STORE": str(self.store), **self.variables}
        with (self.folder / "stdout").open("wb") as out, (self.folder / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(command, cwd=self.folder, env=environment, stdout=out, stderr=errors)

    def ends(self, seconds: float = 60) -> int:
        return self.process.wait(seconds)

    def stop(self) -> tuple[int, float]:
        """SIGTERM; its code, and how long it took."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60), time.monotonic() - started

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(60)

    def written(self) -> int:
        """Bytes of the store and its log of changes: they grow with each transaction, and nobody else may look inside."""
        size = 0
        for path in (self.store, self.store.with_name(f"{self.store.name}.wal")):
            with suppress(FileNotFoundError):
                size += path.stat().st_size
        return size

    def __enter__(self) -> Consumer:
        self.folder.mkdir(exist_ok=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
