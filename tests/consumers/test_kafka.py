"""The consumer on a real broker: what was sent is what is stored, through kills, outages and rebalances."""

from __future__ import annotations

import gc
import gzip
import itertools
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from kafka_support import RUN, SMALL, Consumer, committed, new_topic, question, read_to_end, send, settings_for, until

from consumers.batches import Counts
from consumers.ingest import ingest_file, utc_now
from consumers.kafka import KafkaSource
from consumers.source import SourceAway
from consumers.stream import Stream
from monitor.errors import SettingError, StoreError
from monitor.records import Turn
from monitor.store import Store
from sample_data.broker import broker
from sample_data.produce import main as produce_main
from sample_data.produce import produce
from tests.cli.cli_terminal import on_a_terminal

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="session")
def bootstrap() -> Iterator[str]:
    """One broker for all tests; without one they fail, since what they are about would not be tested."""
    with broker() as address:
        yield address


@pytest.fixture(scope="session")
def sample() -> list[bytes]:
    with gzip.open(SMALL) as lines:
        return [line for line in lines if line.strip()]


@pytest.fixture(scope="session")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Turn]:
    """The sample by way of the file."""
    with Store.open(str(tmp_path_factory.mktemp("file") / "store.duckdb")) as store:
        ingest_file(store, SMALL)
        return turns(store)


def turns(store: Store) -> dict[int, Turn]:
    keys = store.turns.read(columns=["turn_key"]).column("turn_key").to_pylist()
    return dict(zip(keys, store.turns.fetch(keys), strict=True))


def ids(store: Store) -> list[str]:
    return sorted(store.turns.read(columns=["turn_id"]).column("turn_id").to_pylist())


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.slow
def test_the_sample_through_kafka_is_the_sample_from_the_file(
    bootstrap: str, store: Store, sample: list[bytes], expected: dict[int, Turn], tmp_path: Path
) -> None:
    topic = new_topic(bootstrap)
    assert produce(iter(sample), bootstrap, topic) == len(sample) == len(expected)
    settings = settings_for(bootstrap, topic)
    first = read_to_end(store, settings)
    assert first.counts == Counts(records=len(sample), turns=len(sample))
    assert turns(store) == expected
    assert sum(store.offsets.next(f"kafka:{topic}", str(partition)) for partition in range(3)) == len(sample)
    assert [row.lag for row in store.partitions.read()] == [0, 0, 0]
    # Read again: nothing, and the group's own offsets decide nothing, whether there are none or those of another store.
    assert read_to_end(store, settings).counts == Counts()
    assert read_to_end(store, settings_for(bootstrap, topic, group="another")).counts == Counts()
    with Store.open(str(tmp_path / "restored.duckdb")) as restored:
        assert read_to_end(restored, settings).counts.turns == len(sample)
        assert turns(restored) == expected


@pytest.mark.slow
def test_what_a_broker_may_hold(bootstrap: str, store: Store) -> None:
    """Tombstones, bad messages, times that no calendar holds, and the marks of transactions, which are no messages."""
    from kafka import KafkaProducer

    topic = new_topic(bootstrap, 2)
    send(bootstrap, topic, [question(0), None, b"{broken", b"", question(4)], partition=1)
    send(bootstrap, topic, [b'{"user_text": "far"}'], partition=1, timestamp_ms=10**17)
    send(bootstrap, topic, [b'{"user_text": "dated"}'], partition=1, timestamp_ms=1_772_355_600_000)
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=topic)
    producer.init_transactions()
    producer.begin_transaction()
    producer.send(topic, value=question(10), partition=0)
    producer.commit_transaction()
    producer.close()
    before = utc_now()
    settings = settings_for(bootstrap, topic)
    assert read_to_end(store, settings).counts == Counts(records=8, turns=5, dead_letters=2, empty=1)
    letters = {letter.coordinates.position: letter for letter in store.dead_letters.read()}
    assert sorted(letters) == [2, 3]
    assert (letters[2].coordinates.source, letters[2].coordinates.partition) == (f"kafka:{topic}", "1")
    assert letters[2].payload == b"{broken"
    times = {turn.user_text: turn.created_at for turn in turns(store).values()}
    assert times["dated"] == datetime(2026, 3, 1, 9)
    assert before <= times["far"] <= utc_now()
    assert [(row.partition, row.position, row.lag) for row in store.partitions.read()] == [("0", 1, 0), ("1", 7, 0)]
    assert read_to_end(store, settings).counts == Counts()
    send(bootstrap, topic, [question(11)])
    assert read_to_end(store, settings).counts == Counts(records=1, turns=1)


@pytest.mark.slow
def test_two_members_share_the_partitions_and_double_nothing(
    bootstrap: str, store: Store, sample: list[bytes], expected: dict[int, Turn]
) -> None:
    topic = new_topic(bootstrap)
    settings = settings_for(bootstrap, topic, batch_seconds=0.3)
    stop = threading.Event()
    said: list[tuple[int, str]] = []
    streams = [
        Stream(
            store,
            settings,
            partial(KafkaSource, settings.kafka),
            clock=utc_now,
            stop=stop,
            on_state=lambda state, detail, member=member: said.append((member, f"{state}: {detail}")),
        )
        for member in range(2)
    ]
    failures: list[BaseException] = []

    def work(stream: Stream) -> None:
        try:
            stream.run()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=[stream]) for stream in streams]
    sender = threading.Thread(target=produce, args=[iter(sample), bootstrap, topic], kwargs={"rate": 30})
    try:
        sender.start()
        threads[0].start()
        until(lambda: streams[0].counts.turns > 0, 30, "the first member reads")
        threads[1].start()
        # Longer than a source is given before it is taken for stuck and opened anew.
        until(lambda: bool(failures) or store.turns.count() == len(sample), 150, lambda: f"all is stored: {said[-20:]}")
        assert not failures
        assert streams[1].counts.records > 0, "the second member was given nothing"
    finally:
        stop.set()
        for thread in [sender, *threads]:
            thread.join(30)
    assert not failures
    assert turns(store) == expected
    total = streams[0].counts + streams[1].counts
    assert (total.turns, total.dead_letters, total.conflicts) == (len(sample), 0, 0)


@pytest.mark.slow
def test_killed_three_times_it_ends_as_if_it_was_not(
    bootstrap: str, sample: list[bytes], expected: dict[int, Turn], tmp_path: Path
) -> None:
    topic = new_topic(bootstrap)
    # A message that is no turn counts what is stored twice, too: it has no id but its place.
    lines = [line if number % 10 else b'{"conversation_id": "x"}' for number, line in enumerate(sample)]
    bad = sum(1 for number in range(len(sample)) if number % 10 == 0)
    produce(iter(lines), bootstrap, topic)
    rng, stored = random.Random(3), [0]
    with Consumer(tmp_path / "killed", bootstrap, topic, variables={"OFFMAP_INGEST_BATCH_ROWS": "2"}) as consumer:
        for _ in range(8):
            consumer.start()
            until(consumer.store.exists, 20, "the store is opened")
            time.sleep(1.5)  # its own tables are written by now, and the group has not formed
            before = consumer.written()
            until(lambda before=before: consumer.written() != before, 40, "a batch is stored")
            time.sleep(rng.uniform(0, 0.5))
            consumer.kill()
            with Store.open(str(consumer.store)) as store:
                stored.append(store.turns.count() + store.dead_letters.count())
                positions = sum(store.offsets.next(f"kafka:{topic}", str(one)) for one in range(3))
                assert positions == stored[-1], "rows and offsets are one transaction"
            if sum(earlier < later < len(sample) for earlier, later in itertools.pairwise(stored)) == 3:
                break
        else:
            pytest.fail(f"not killed three times in the middle of the stream: {stored}")
        consumer.start("--until-end", "--json")
        assert consumer.ends() == 0
        said = json.loads(consumer.out)
        assert said["records"] == len(sample) - stored[-1]
        assert (said["repeated"], said["conflicts"]) == (0, 0)
        with Store.open(str(consumer.store)) as store:
            found = turns(store)
            assert said["total"] == len(found) == len(sample) - bad
            assert store.dead_letters.count() == bad
            assert found.items() <= expected.items()


@pytest.mark.slow
def test_a_broker_that_comes_later_and_goes_for_a_while(tmp_path: Path) -> None:
    port = free_port()
    with Consumer(tmp_path / "early", f"127.0.0.1:{port}", "turns") as consumer:
        consumer.start()
        until(lambda: "no broker answers" in consumer.errors, 30, "it says what it waits for")
        assert f"127.0.0.1:{port} (setting kafka.bootstrap)" in consumer.errors
        with broker(port) as address:
            send(address, new_topic(address, 1, "turns"), [question(number) for number in range(3)])
            until(lambda: committed(address, "turns") == 3, 60, "what is there is read")
        # The broker keeps its log in memory: what it had is sent again.
        with broker(port) as address:
            send(address, new_topic(address, 1, "turns"), [question(number) for number in [0, 1, 2, *range(10, 15)]])
            until(lambda: committed(address, "turns") == 8, 90, "it goes on after the outage")
            code, seconds = consumer.stop()
        assert code == 0 and seconds < 10
        assert consumer.errors.count("no broker answers") == 1, "an outage is said once"
        assert "Traceback" not in consumer.errors
        with Store.open(str(consumer.store)) as store:
            assert ids(store) == sorted(f"t{number}" for number in [0, 1, 2, 10, 11, 12, 13, 14])


@pytest.mark.slow
def test_a_topic_that_is_not_there_is_named_with_the_nearest(bootstrap: str, tmp_path: Path) -> None:
    name = new_topic(bootstrap, 1, "questions-of-users")
    with Consumer(tmp_path / "typo", bootstrap, "question-of-users") as consumer:
        consumer.start()
        until(lambda: "no topic" in consumer.errors, 30, "it says what is wrong")
        assert "'question-of-users' (setting kafka.topic)" in consumer.errors
        assert f"is it {name}?" in consumer.errors
        code, seconds = consumer.stop()
        assert code == 0 and seconds < 10
        assert "Traceback" not in consumer.errors
        # It is made after all.
        consumer.start("--until-end")
        until(lambda: "no topic" in consumer.errors, 30, "it waits")
        send(bootstrap, new_topic(bootstrap, 1, "question-of-users"), [question(1), question(2)])
        assert consumer.ends(90) == 0
        assert "2 new turns of 2 records" in consumer.out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_everything_stored(bootstrap: str, tmp_path: Path, number: signal.Signals) -> None:
    topic = new_topic(bootstrap)
    with Consumer(tmp_path / "ended", bootstrap, topic, ["--json"]) as consumer:
        send(bootstrap, topic, [question(one) for one in range(20)])
        consumer.start()
        until(lambda: committed(bootstrap, topic) == 20, 60, "a batch is stored")
        send(bootstrap, topic, [question(one) for one in range(20, 30)], partition=1)
        until(lambda: committed(bootstrap, topic, 1) == 10, 60, "the other partition is read")
        started = time.monotonic()
        consumer.process.send_signal(number)
        assert consumer.ends() == 0
        assert time.monotonic() - started < 10
        assert json.loads(consumer.out)["turns"] == 30
        assert "Traceback" not in consumer.errors


@pytest.mark.slow
def test_a_signal_ends_it_while_it_looks_for_the_broker(tmp_path: Path) -> None:
    # Somebody takes the connection and never answers: it is in the middle of connecting when the signal comes.
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        Consumer(tmp_path / "alone", f"127.0.0.1:{silent.getsockname()[1]}", "turns") as consumer,
    ):
        silent.settimeout(60)
        consumer.start()
        taken, _ = silent.accept()
        with taken:
            code, seconds = consumer.stop()
        assert code == 0 and seconds < 10
        assert "Traceback" not in consumer.errors


@pytest.mark.slow
def test_who_waits_for_the_end_is_told_that_the_broker_is_away(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    patience = {"OFFMAP_KAFKA_PATIENCE_SECONDS": "3"}
    with Consumer(tmp_path / "away", address, "turns", variables=patience) as consumer:
        consumer.start("--until-end")
        assert consumer.ends(60) == 1
        said = consumer.errors.splitlines()[-1]
        assert f"no broker answers at {address} (setting kafka.bootstrap)" in said
        assert "it was waited for 3 s (setting kafka.patience_seconds)" in said
        assert "Traceback" not in consumer.errors


# kafka-python leaves the socket of a refused connection to the collector, which warns.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_a_broker_that_is_not_there_is_away_and_no_failure() -> None:
    address = f"127.0.0.1:{free_port()}"
    gc.collect()
    threads, files = set(threading.enumerate()), sum(1 for _ in Path("/proc/self/fd").iterdir())
    said = ""
    try:
        KafkaSource(settings_for(address, "turns").kafka, lambda partition: 0)
    except SourceAway as error:  # not `pytest.raises`: it would keep the frames, and the sockets in them
        said = str(error)
    assert said == f"no broker answers at {address} (setting kafka.bootstrap)"
    # It is tried again for as long as it takes: an attempt may leave nothing behind.
    until(lambda: set(threading.enumerate()) <= threads, 2, "its thread ends")
    gc.collect()
    assert sum(1 for _ in Path("/proc/self/fd").iterdir()) <= files


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bootstrap": "broker"}, "kafka.bootstrap = 'broker'"),
        ({"bootstrap": "broker:port"}, "kafka.bootstrap"),
        ({"bootstrap": "one:9092,, two:9092"}, "kafka.bootstrap"),
        ({"security": "SSL", "ca_file": "/nowhere/ca.pem"}, "kafka.ca_file = '/nowhere/ca.pem'"),
    ],
)
def test_settings_that_cannot_be_right_are_said_at_once(values: dict[str, str], message: str) -> None:
    made = settings_for(**{"bootstrap": "127.0.0.1:1", "topic": "turns", **values})
    with pytest.raises(SettingError) as raised:
        KafkaSource(made.kafka, lambda partition: 0)
    assert message in str(raised.value)


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["--bootstrap", "nonsense"]])
def test_wrong_use_is_code_2_in_one_line(tmp_path: Path, options: list[str]) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OFFMAP_")}
    environment["OFFMAP_STORE"] = str(tmp_path / "store.duckdb")
    command = [sys.executable, "-c", RUN, "consume", *options]
    ran = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 2
    assert "bootstrap" in ran.stderr and "Traceback" not in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_port_in_use_is_an_error(bootstrap: str) -> None:
    with pytest.raises(RuntimeError, match="in use"), broker(int(bootstrap.rpartition(":")[2])):
        pass


def test_the_broker_command_ends_with_its_signal() -> None:
    port = free_port()
    command = [sys.executable, "-m", "sample_data.broker", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"broker at 127.0.0.1:{port}\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    with socket.socket() as one:
        assert one.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
def test_produce_sends_as_it_is_told(
    bootstrap: str, store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    topic = new_topic(bootstrap)
    log = tmp_path / "log.jsonl"
    log.write_bytes(b"\n".join([question(1), b"", question(1), question(3)]) + b"\n")
    started = utc_now()
    options = ["--bootstrap", bootstrap, "--topic", topic, "--limit", "2", "--new-ids", "--now", "--rate", "4"]
    assert produce_main([str(log), *options]) == 0
    assert "2 messages sent" in capsys.readouterr().err
    assert (utc_now() - started).total_seconds() >= 0.5
    assert read_to_end(store, settings_for(bootstrap, topic)).counts == Counts(records=2, turns=2)
    found = list(turns(store).values())
    assert len({turn.conversation_id for turn in found}) == 2
    assert all(started <= turn.created_at <= utc_now() for turn in found)


@pytest.mark.slow
def test_a_topic_that_is_made_again_is_read_from_its_beginning(bootstrap: str, store: Store) -> None:
    from kafka.admin import KafkaAdminClient

    topic = new_topic(bootstrap, 1)
    send(bootstrap, topic, [question(one) for one in range(20)])
    said: list[str] = []
    stop = threading.Event()
    settings = settings_for(bootstrap, topic)
    stream = Stream(
        store,
        settings,
        partial(KafkaSource, settings.kafka),
        clock=utc_now,
        stop=stop,
        on_state=lambda state, detail: said.append(detail),
    )
    reader = threading.Thread(target=stream.run)
    reader.start()
    try:
        until(lambda: stream.counts.turns == 20, 40, "the first topic is read")
        admin = KafkaAdminClient(bootstrap_servers=bootstrap)
        admin.delete_topics([topic])
        admin.close()
        new_topic(bootstrap, 1, topic)
        send(bootstrap, topic, [question(one) for one in range(100, 105)])
        until(lambda: stream.counts.turns == 25, 60, "the second topic is read")
    finally:
        stop.set()
        reader.join(30)
    assert store.offsets.next(f"kafka:{topic}#2", "0") == 5
    assert any(f"it is read from its beginning, as kafka:{topic}#2" in detail for detail in said)
    # And when nobody was there to see it.
    send(bootstrap, topic, [question(105)])
    assert read_to_end(store, settings).counts.turns == 1


@pytest.mark.slow
def test_what_the_log_dropped_is_counted(bootstrap: str, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = new_topic(bootstrap, 1)
    settings = settings_for(bootstrap, topic)
    send(bootstrap, topic, [question(one) for one in range(10)])
    read_to_end(store, settings)
    send(bootstrap, topic, [question(one) for one in range(10, 30)])
    # This broker keeps everything; what a log says that has dropped its beginning is put into the client's mouth.
    from kafka import KafkaConsumer

    monkeypatch.setattr(KafkaConsumer, "beginning_offsets", lambda self, asked, timeout_ms: dict.fromkeys(asked, 25))
    assert read_to_end(store, settings).counts.turns == 5
    (row,) = store.partitions.read()
    assert (row.lost, row.position) == (15, 30)
    assert read_to_end(store, settings).counts.turns == 0
    assert store.partitions.read()[0].lost == 15


@pytest.mark.slow
def test_a_store_that_does_not_say_where_to_go_on_is_asked_again(
    bootstrap: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = new_topic(bootstrap, 1)
    settings = settings_for(bootstrap, topic)
    send(bootstrap, topic, [question(one) for one in range(10)])
    read_to_end(store, settings)
    until(lambda: committed(bootstrap, topic) == 10, 10, "the group is at 10")
    with Store.open(str(tmp_path / "restored.duckdb")) as restored:
        ask, failing = restored.offsets.next, 1

        def asked(source: str, partition: str) -> int:
            nonlocal failing
            if failing:
                failing -= 1
                raise StoreError("the store has no answer")
            return ask(source, partition)

        monkeypatch.setattr(restored.offsets, "next", asked)
        # On where the group is would leave a hole of ten.
        assert read_to_end(restored, settings).counts == Counts(records=10, turns=10)
        assert ids(restored) == ids(store)


@pytest.mark.slow
def test_consume_draws_how_far_behind_it_is_on_a_terminal(bootstrap: str, sample: list[bytes], tmp_path: Path) -> None:
    topic = new_topic(bootstrap)
    produce(iter(sample * 3), bootstrap, topic)
    command = ["consume", "--bootstrap", bootstrap, "--topic", topic, "--group", topic, "--until-end"]
    for options, drawn in (((), True), (("--json",), False)):
        store = str(tmp_path / f"{drawn}.duckdb")
        environment = {**os.environ, "OFFMAP_STORE": store, "OFFMAP_INGEST_BATCH_ROWS": "20"}
        screen = on_a_terminal([*command, *options], environment, tmp_path)
        told = re.findall(r"([\d,]+) of ([\d,]+) records +[\d,]+ records/s +([\d,]+) behind", screen)
        assert bool(told) is drawn
        for done, total, behind in ([int(one.replace(",", "")) for one in line] for line in told):
            assert done + behind == total <= 3 * len(sample)
