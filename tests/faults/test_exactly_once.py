"""Exactly once in effect: whatever befalls the consumer and its broker, the store is the log in the end, row for row.

OFFMAP_FAULTS says how much: `nightly` for at least a hundred kills, `seed:N,N` for some seeds. A seed decides what happens
and for how long, and not what that meets. The tests need nothing but the broker.
"""

from __future__ import annotations

import gc
import os
import random
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from faults_support import Faults, Story, compare, log_ends, offsets
from log_support import LastingBroker, Ledger, Producer, Traffic, object_store, read_log

from monitor.store import Store
from tests.consumers.kafka_support import Consumer, new_topic

#: Taken out: an unknown variable of that prefix is an error for the consumer.
ASKED = os.environ.pop("OFFMAP_FAULTS", "")
#: In 10 a full disk comes first, and once the broker left a hole in its log.
FEW = (1, 2, 10)
PARTITIONS = 3
#: Kills of a seed, beside those that go with another fault.
KILLS = 5
AT_ONCE = 3
#: Of all seeds that come before one, and itself.
LIMIT = 3_600
VARIABLES = {"OFFMAP_INGEST_BATCH_ROWS": "12", "OFFMAP_KAFKA_BATCH_SECONDS": "0.2"}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(LIMIT)]


def seeds() -> list[int]:
    if ASKED.startswith("seed:"):
        return [int(one) for one in ASKED.removeprefix("seed:").split(",")]
    assert ASKED in ("", "nightly"), f"OFFMAP_FAULTS={ASKED}: leave it out, or say nightly, or seed:N,N"
    return list(range(1, 100 // KILLS + 1)) if ASKED else list(FEW)


def schedule(faults: Faults, seed: int) -> list[Callable[[], None]]:
    once = [faults.freeze, faults.stutter, faults.freeze_broker, faults.restart_broker, faults.fill_disk, faults.end]
    chosen = [*once, faults.kill_frozen_broker, faults.end_frozen_broker, *([faults.kill] * KILLS)]
    random.Random(seed).shuffle(chosen)
    return chosen


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, Future[str]]]:
    """Some at a time: what takes long is to wait, for sessions to end and groups to form."""
    folder = tmp_path_factory.mktemp("faults")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {seed: pool.submit(run, folder / str(seed), seed) for seed in seeds()}
        pool.shutdown(cancel_futures=True)
    # kafka-python leaves the socket of a refused connection to the collector, which warns: here, and not in a test after.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("seed", seeds())
def test_the_store_is_the_log(runs: dict[int, Future[str]], seed: int) -> None:
    print(runs[seed].result(LIMIT))


def run(folder: Path, seed: int) -> str:
    """What happened."""
    story, ledger = Story(), Ledger()
    with story.told(), object_store() as objects, LastingBroker(objects, "the-log") as broker:
        topic = new_topic(broker.address, PARTITIONS)
        producer = Producer(broker.address, topic, Traffic(seed, PARTITIONS, ledger), ledger)
        consumer = Consumer(folder, broker.address, topic, variables=VARIABLES)
        faults = Faults(consumer, broker, story, seed)

        def check(when: str) -> None:
            with Store.open(str(consumer.store)) as store:
                log = read_log(broker.address, topic, offsets(store, topic, PARTITIONS))
                count = compare(store, topic, log, ledger, partitions=PARTITIONS)
            story.tell(f"{when}: {count} of {len(log)} messages are stored, and nothing else")

        faults.checked_with(check)
        story.at_last = faults.tell_state
        with consumer:
            with producer:
                faults.start()
                for fault in schedule(faults, seed):
                    story.tell(f"-- {fault.__name__}")
                    fault()
                faults.wait_until_it_stores()
                producer.finish(PARTITIONS)
            log = read_log(broker.address, topic, ledger.ends(), quiet_for=1)
            ledger.settle(log)
            story.tell(f"{len(log)} messages are in the log")
            code, _ = consumer.stop()
            assert code == 0, consumer.errors
            faults.tell_errors()
            consumer.start("--until-end")
            code = consumer.ends(120)
            faults.tell_errors()
            assert code == 0
            with Store.open(str(consumer.store)) as store:
                assert compare(store, topic, log, ledger, partitions=PARTITIONS) == len(log)
                assert offsets(store, topic, PARTITIONS) == log_ends(log)
        assert faults.kills >= KILLS
        story.tell("done")
    return "\n".join(story.lines)
