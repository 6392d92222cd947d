"""What streams brought in the last hour, and the alert about what of it could not be read."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from monitor.errors import UsageError
from monitor.records import Coordinates, DeadLetter
from monitor.service.duties import Duties
from monitor.service.watermarks import Watermarks
from monitor.service.worker import Worker
from monitor.settings import Settings
from monitor.store import Store
from monitor.store.dead_letters import Span
from monitor.store.partitions import PartitionRow
from tests.hand_clock import HandClock

START = datetime(2026, 3, 2, 6)
MINUTE = timedelta(minutes=1)


def row(position: int, partition: str = "0", lost: int | None = None) -> PartitionRow:
    return PartitionRow("kafka:turns", partition, position, position, START, lost=lost)


def test_what_was_read_since_the_service_started_at_most_an_hour_ago() -> None:
    marks = Watermarks()
    marks.note(START, [row(1_000)])
    assert marks.spans([row(1_000)]) == [] and not marks.whole
    for minute in range(1, 121):
        marks.note(START + minute * MINUTE, [row(1_000 + 10 * minute)])
        assert marks.whole == (minute >= 60)
    assert marks.since == START + 60 * MINUTE
    assert marks.spans([row(2_200)]) == [Span("kafka:turns", "0", 1_600, 2_200)]


def test_a_partition_that_is_new_is_read_from_its_beginning() -> None:
    marks = Watermarks()
    marks.note(START, [])
    found = marks.spans([row(30), row(5_030, "1", lost=5_000)])
    assert [(span.start, span.records) for span in found] == [(0, 30), (5_000, 30)]


def test_a_service_that_slept_knows_one_long_span() -> None:
    marks = Watermarks()
    for hours in (0, 0.1, 5):
        marks.note(START + timedelta(hours=hours), [row(int(100 * hours))])
    assert marks.since == START + timedelta(hours=0.1) and marks.whole


@pytest.mark.slow
def test_the_service_tells_of_dead_letters_in_what_streams_brought(tmp_path: Path) -> None:
    clock = HandClock(START)
    with Store.open(str(tmp_path / "store.duckdb"), clock=clock) as store:
        duties = Duties(store, Settings(), Worker({}), clock=clock, local_url="")
        # Old ones, and those of a file, are none of it.
        letters = [DeadLetter(Coordinates("kafka:turns", "0", n), "bad", b"{", START) for n in range(100)]
        letters += [DeadLetter(Coordinates("file:abc", "0", n), "bad", b"{", START) for n in range(900, 1_000)]
        store.dead_letters.append(letters)
        store.partitions.note([row(900)])
        job = duties.watching()
        assert job.run() == "" and store.alerts.read() == []

        def read(count: int, bad: int) -> str:
            clock.now += MINUTE
            end = store.partitions.read()[0].position
            secret = "got 'secret of ann'"
            places = [Coordinates("kafka:turns", "0", end + number) for number in range(bad)]
            store.dead_letters.append([DeadLetter(at, f"model: expected x, {secret}", b"{", START) for at in places])
            store.partitions.note([row(end + count)])
            return job.run()

        assert read(100, 3) == ""
        assert read(100, 30) == "1 alerts"
        assert read(100, 30) == ""
        (alert,) = store.alerts.read()
        assert alert.kind == "dead_letters" and "33 of the 200 records" in alert.content.text
        assert alert.content.facts == (("33", "model: expected x, got …"),) and "secret" not in str(alert)
        for _ in range(70):
            read(100, 0)
        assert [one.state for one in store.alerts.subjects("dead_letters")] == ["resolved"]
        assert len(store.alerts.read()) == 1


@pytest.mark.parametrize(
    ("kind", "parameters", "command"),
    [
        ("replay_letters", {"all": True}, ["deadletters", "replay", "--all"]),
        ("replay_letters", {"reason": "--all …"}, ["deadletters", "replay", "--reason=--all …"]),
        ("discard_letters", {"ids": ["dl0123456789ab"]}, ["deadletters", "discard", "dl0123456789ab", "--yes"]),
    ],
)
def test_what_a_page_asks_for_as_a_command(
    tmp_path: Path, kind: str, parameters: dict[str, object], command: list[str]
) -> None:
    with Store.open(str(tmp_path / "store.duckdb")) as store:
        duties = Duties(store, Settings(), Worker({}), clock=HandClock(START), local_url="")
        assert duties._command("job1", kind, parameters) == command
        nothing = ({}, {"ids": []}, {"reason": " "}, {"all": False})
        for bad in (*nothing, {"ids": ["--all"]}, {"ids": ["dl0123456789ab\n"]}, {"reason": "a\0b"}):
            with pytest.raises(UsageError):
                duties.request(kind, bad)
        assert store.jobs.read() == []
