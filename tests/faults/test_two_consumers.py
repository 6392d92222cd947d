"""Two `offmap consume` in one group, on one store in PostgreSQL: they come and go, die and freeze; the store is the log."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from faults_support import Story, compare, log_ends, offsets
from log_support import Ledger, Producer, Traffic, read_log

from monitor.store import Store
from sample_data.broker import broker
from tests.consumers.kafka_support import Consumer, new_topic, until
from tests.store.postgres_support import Postgres

PARTITIONS = 4
#: Longer than a session, and than PostgreSQL leaves the lock to a process that is frozen while it holds it.
PATIENCE = 150
#: Bytes of some batches: Parquet files, and their statistics for the catalog.
_BATCHES = 100_000

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_two_consumers_on_one_store(tmp_path: Path, postgres: Postgres) -> None:
    name = postgres.new_store(tmp_path)
    variables = {"OFFMAP_STORE": name, "OFFMAP_INGEST_BATCH_ROWS": "200", "OFFMAP_KAFKA_BATCH_SECONDS": "1"}
    story, ledger = Story(), Ledger()
    with story.told(), broker() as address, Store.open(name, threads=1) as store:
        topic = new_topic(address, PARTITIONS)
        one, two = (Consumer(tmp_path / number, address, topic, variables=variables) for number in ("one", "two"))
        story.at_last = lambda: [story.tell(f"stderr: {consumer.errors}") for consumer in (one, two)]

        def all_move(when: str) -> None:
            """Every partition is read by somebody."""
            before = offsets(store, topic, PARTITIONS)
            until(
                lambda: all(now > before[part] for part, now in offsets(store, topic, PARTITIONS).items()),
                PATIENCE,
                lambda: f"{when}: {before}, then {offsets(store, topic, PARTITIONS)}",
            )
            story.tell(f"{when}: {offsets(store, topic, PARTITIONS)}")

        def both_store(when: str) -> None:
            """A member without a partition says little: only to the broker."""
            before = {consumer.folder.name: written(consumer) for consumer in (one, two)}
            until(
                lambda: all(written(consumer) > before[consumer.folder.name] + _BATCHES for consumer in (one, two)),
                PATIENCE,
                lambda: f"{when}: {before}, {one.errors}, {two.errors}",
            )
            story.tell(when)

        with one, two:
            with Producer(address, topic, Traffic(5, PARTITIONS, ledger), ledger, pause=3) as producer:
                one.start()
                all_move("one reads alone")
                two.start()
                both_store("both store")
                one.kill()
                all_move("one was killed")
                one.start()
                both_store("both store again")
                two.process.send_signal(signal.SIGSTOP)
                all_move("two is frozen, and one has its partitions")
                two.process.send_signal(signal.SIGCONT)
                both_store("two has woken up, and has partitions again")
                code, seconds = one.stop()
                assert code == 0 and seconds < 30, f"code {code} after {seconds:.1f} s: {one.errors}"
                story.tell(f"one ended within {seconds:.1f} s of its SIGTERM")
                all_move("one has left")
                producer.finish(PARTITIONS)
            log = read_log(address, topic, ledger.ends(), quiet_for=1)
            ledger.settle(log)
            assert two.stop()[0] == 0, two.errors
            one.start("--until-end")
            assert one.ends(240) == 0, one.errors
            assert compare(store, topic, log, ledger, partitions=PARTITIONS) == len(log)
            assert offsets(store, topic, PARTITIONS) == log_ends(log)
            assert store._database.value("SELECT count(*) FROM ingest_offsets") == PARTITIONS
            story.tell(f"all {len(log)} messages are stored")
    print("\n".join(story.lines))


def written(consumer: Consumer) -> int:
    """Bytes that the process has written, to files and sockets."""
    lines = Path(f"/proc/{consumer.process.pid}/io").read_text().splitlines()
    return next(int(line.partition(":")[2]) for line in lines if line.startswith("wchar"))
