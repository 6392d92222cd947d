"""A subject that nobody spoke of before: its turns have no topic, a refit comes early, and then they have one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from monitor.encoding.hashing import HashingEncoder
from monitor.pipeline import analyse
from monitor.records import Turn
from monitor.service.duties import Duties
from monitor.service.worker import Worker
from monitor.settings import Settings
from monitor.store import Store
from tests.hand_clock import HandClock

NOON = datetime(2026, 3, 1, 12)
SUBJECTS = {
    "parcel": "where is my parcel the courier has not brought it",
    "invoice": "the invoice shows a wrong amount please correct the total",
    "password": "I forgot the password and the login page refuses me",
    "refund": "when does the refund for the returned shoes arrive",
}
SWIMMING = "does swimming pool open lanes sunday morning goggles"
ADDED = (
    "today",
    "again",
    "really",
    "thanks",
    "hello",
    "since monday",
    "for my friend",
    "in the app",
    "quickly",
    "maybe",
)


class Analysing(Worker):
    """Analyses in this process."""

    def __init__(self, store: Store, settings: Settings, clock: HandClock) -> None:
        super().__init__({})
        self.store, self.settings, self.clock, self.refits = store, settings, clock, 0

    def run(self, command: Sequence[str], *, log: Path | None = None) -> Mapping[str, Any]:
        self.refits += 1
        analyse(self.store, HashingEncoder(), self.settings, clock=self.clock)
        return {"verdict": "fine"}


def say(store: Store, text: str, name: str, number: int, *, first: int = 0) -> None:
    """The text with two of some words added, which make another each time."""
    turns = []
    for one in range(first, first + number):
        words = f"{text} {ADDED[one % len(ADDED)]} {ADDED[(one // len(ADDED) + one + 1) % len(ADDED)]}"
        turns.append(
            Turn(
                turn_id=f"{name}{one}",
                user_text=words,
                created_at=NOON + timedelta(seconds=one),
                conversation_id=f"{name}{one}",
                user_id=f"{name}{one}",
            )
        )
    store.turns.append(turns)


@pytest.fixture
def settings() -> Settings:
    return Settings().with_value("encoder.kind", "hashing", source="test")


@pytest.fixture
def store(tmp_path: Path, settings: Settings) -> Iterator[Store]:
    with Store.open(str(tmp_path / "s.duckdb"), threads=2) as opened:
        for name, text in SUBJECTS.items():
            say(opened, text, name, 40)
        analyse(opened, HashingEncoder(), settings, clock=HandClock(NOON + timedelta(hours=1)))
        yield opened


def topics(store: Store, word: str) -> list[str | None]:
    run = store.runs.current()
    assert run is not None
    table = store.atlases.assignments(run.atlas_id)
    texts = {turn.key: turn.user_text for turn in store.turns.fetch(table["turn_key"].to_pylist())}
    pairs = zip(table["turn_key"].to_pylist(), table["fine"].to_pylist(), strict=True)
    return [topic for key, topic in pairs if word in texts[key]]


def test_a_new_subject_is_new_until_an_early_refit_finds_it(store: Store, settings: Settings) -> None:
    clock = HandClock(NOON + timedelta(hours=1))
    worker = Analysing(store, settings, clock)
    duties = Duties(store, settings, worker, clock=clock, local_url="")
    assigning, refitting = duties.assigning(), duties.refitting()
    say(store, SUBJECTS["parcel"], "parcel", 20, first=40)
    assigning.run()
    assert None not in topics(store, "parcel")
    clock.now += timedelta(minutes=settings.schedule.refit_minutes / 2)
    assert not refitting.wanted()

    say(store, SWIMMING, "swim", 30)
    assigning.run()
    assert set(topics(store, "swimming")) == {None}
    assert refitting.wanted()
    assert refitting.run() == "new turns had come close together: fine"
    found = topics(store, "swimming")
    assert None not in found
    assert not set(found) & {one for word in SUBJECTS for one in topics(store, word)}
    # and it is over: nothing is new any more, and a refit has its rest
    assigning.run()
    assert not refitting.wanted()
    assert worker.refits == 1


def test_no_refit_right_after_the_last(store: Store, settings: Settings) -> None:
    clock = HandClock(NOON + timedelta(hours=1))
    duties = Duties(store, settings, Analysing(store, settings, clock), clock=clock, local_url="")
    say(store, SWIMMING, "swim", 30)
    duties.assigning().run()
    assert not duties.refitting().wanted()
    clock.now += timedelta(minutes=settings.schedule.refit_minutes / 4)
    assert duties.refitting().wanted()
