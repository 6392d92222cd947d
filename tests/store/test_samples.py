"""How ingest stood, minute by minute: what is sampled, and that it is bounded."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from monitor.records import Coordinates, DeadLetter
from monitor.store import Store
from monitor.store.partitions import PartitionRow
from monitor.store.samples import FILES, HTTP, KEPT, LETTERS, Sample
from tests.hand_clock import HandClock
from tests.store.conftest import NOON

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clock() -> HandClock:
    return HandClock(NOON)


@pytest.fixture
def opened(tmp_path: Path, clock: HandClock) -> Iterator[Store]:
    with Store.open(str(tmp_path / "s.duckdb"), clock=clock) as store:
        yield store


def test_every_counter_is_sampled_as_it_is(opened: Store, clock: HandClock) -> None:
    opened.partitions.note([PartitionRow("kafka:turns", "0", 7, 9, NOON)])
    for file in ("file:a", "file:b"):
        opened.offsets.advance(file, "offmap", expected=0, to=40)
    opened.offsets.advance("file:c", "lines", expected=0, to=4_096)  # bytes of a log that grows
    opened.offsets.advance("file:a", "offmap/end", expected=0, to=40)  # the mark of a file that was read to its end
    opened.offsets.advance("kafka:turns", "0", expected=0, to=7)
    opened.dead_letters.append([DeadLetter(Coordinates("f", "0", 1), "bad", b"{", NOON)])
    opened.samples.take({HTTP: 5})
    expected = [
        Sample(NOON, LETTERS, "", 1, 1),
        Sample(NOON, FILES, "", 80, 80),
        Sample(NOON, HTTP, "", 5, 5),
        Sample(NOON, "kafka:turns", "0", 7, 9),
    ]
    assert opened.samples.read() == expected
    clock.now += MINUTE
    now = [Sample(clock.now, one.source, one.partition, one.position, one.end_position) for one in expected]
    assert sorted(opened.samples.now(), key=lambda one: one.source) == [one for one in now if one.source != HTTP]


def test_three_hours_are_kept_whatever_the_clock_does(opened: Store, clock: HandClock) -> None:
    for minute in range(200):
        clock.now = NOON + minute * MINUTE
        opened.samples.take({})
    kept = opened.samples.read()
    assert len(kept) == 180
    assert {one.source for one in kept} == {LETTERS}
    assert kept[0].taken_at == clock.now - KEPT + MINUTE
    clock.now = NOON  # set back: what lies ahead would stay for ever
    opened.samples.take({})
    assert [one.taken_at for one in opened.samples.read()] == [NOON]
