"""The lookout over a store: what it pins, that it takes each conversation once, also when it is killed, and what it tells."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from monitor.alerts.standing import standing
from monitor.assignment import Assigner
from monitor.encoding.hashing import HashingEncoder
from monitor.lookout import Lookout
from monitor.pipeline import analyse
from monitor.records import Turn
from monitor.service.duties import Duties
from monitor.service.worker import Worker
from monitor.settings import Settings
from monitor.store import Store
from tests.hand_clock import HandClock

NOON = datetime(2026, 3, 1, 12)
SUBJECTS = (
    "where is my parcel the courier has not brought it",
    "the invoice shows a wrong amount please correct the total",
    "I forgot the password and the login page refuses me",
    "when does the refund for the returned shoes arrive",
)
SWIMMING = "does swimming pool open lanes sunday morning goggles"
#: Two of them make each text another.
ADDED = "today again really thanks hello monday friend app quickly maybe perhaps soon finally please truly".split()
REFERENCE = 400


class Shop:
    """A store that gets conversations, one a minute, by a clock that goes along."""

    def __init__(self, store: Store, clock: HandClock, settings: Settings) -> None:
        self.store, self.clock, self.settings = store, clock, settings
        self.number, self.rng = 0, np.random.default_rng(1)
        self.waiting: list[Turn] = []
        self.assigner = Assigner(store, HashingEncoder(), settings)

    def talk(self, text: str, *replies: str, minutes: float = 1, score: float | None = None, **fields: str) -> None:
        self.number += 1
        self.clock.wait(minutes * 60)
        words = " ".join(self.rng.choice(ADDED, 2, replace=False))
        said = [f"{text} {words}", *replies]
        self.waiting += [
            Turn(
                turn_id=f"c{self.number}-{place}",
                user_text=one,
                created_at=self.clock() + timedelta(seconds=place),
                conversation_id=f"c{self.number}",
                turn_index=place,
                user_id=f"u{self.number % 50}",
                feedback_score=score,
                **fields,  # type: ignore[arg-type]
            )
            for place, one in enumerate(said)
        ]

    def arrive(self) -> None:
        self.store.turns.append(self.waiting)
        self.waiting = []

    def usual(self, number: int, *, minutes: float = 1) -> None:
        for _ in range(number):
            self.talk(str(self.rng.choice(SUBJECTS)), minutes=minutes)
        self.arrive()

    def lookout(self) -> Lookout:
        return Lookout(self.store, self.settings, clock=self.clock, channels=["slack"])

    def look(self, lookout: Lookout | None = None) -> str:
        self.arrive()
        self.assigner.assign()
        self.clock.wait(self.settings.drift.conversation_minutes * 60)
        return (lookout or self.lookout()).look()


@pytest.fixture
def settings() -> Settings:
    found = Settings().with_value("encoder.kind", "hashing", source="test")
    return found.with_value("alerts.settle_days", 1, source="test")


@pytest.fixture
def shop(tmp_path: Path, settings: Settings) -> Iterator[Shop]:
    clock = HandClock(NOON)
    with Store.open(str(tmp_path / "s.duckdb"), threads=2, clock=clock) as store:
        found = Shop(store, clock, settings)
        found.usual(REFERENCE, minutes=10)
        analyse(store, HashingEncoder(), settings, clock=clock)
        yield found


def test_it_pins_a_reference_and_takes_each_conversation_once(shop: Shop) -> None:
    assert shop.look() == f"watching from {REFERENCE} conversations on"
    row = shop.store.lookouts.read()
    assert row is not None and (row.reference, row.conversations) == (REFERENCE, 0)
    assert shop.look() == ""
    shop.usual(20)
    assert shop.look() == "20 conversations"
    # A later turn of a conversation that was taken, and a refit, bring nothing new.
    shop.store.turns.append(
        [Turn(turn_id="late", user_text="and swimming", created_at=shop.clock(), conversation_id=f"c{shop.number}")]
    )
    analyse(shop.store, HashingEncoder(), shop.settings, clock=shop.clock)
    assert shop.look() == ""
    row = shop.store.lookouts.read()
    assert row is not None and row.conversations == 20
    assert np.sum(row.state["counts"]) == REFERENCE + 20


def test_like_hours_are_compared_where_nights_are_about_something_else(tmp_path: Path, settings: Settings) -> None:
    """Ten days of which parcels and invoices are asked by day, passwords and refunds by night, an hour earlier in Berlin."""
    settings = settings.with_value("analysis.time_zone", "Europe/Berlin", source="test")
    clock = HandClock(NOON)
    with Store.open(str(tmp_path / "s.duckdb"), threads=2, clock=clock) as store:
        shop = Shop(store, clock, settings)

        def days(number: int) -> None:
            for _ in range(number * 48):
                night = not 7 <= (clock() + timedelta(minutes=30)).hour < 19
                shop.talk(SUBJECTS[2 * night + int(shop.rng.integers(2))], minutes=30)
            shop.arrive()

        days(10)
        analyse(store, HashingEncoder(), settings, clock=clock)
        assert shop.look() == "watching from 480 conversations on"
        row = store.lookouts.read()
        assert row is not None and (row.state["zone"], row.state["hours"]) == ("Europe/Berlin", 239.5)
        seasons = np.array(row.state["season_of_hour"]).reshape(7, 24)
        assert (seasons == seasons[0]).all() and len(set(seasons[0])) == 2
        by_day = seasons[0] == seasons[0][12]
        assert by_day.tolist() == [8 <= hour < 20 for hour in range(24)]
        # The counts of each season hold what was asked in it alone.
        topics = np.sum(row.state["counts"], axis=(0, 3))
        assert topics.shape[0] == 2 and (topics.min(axis=0) <= 0.1 * topics.max(axis=0)).all()
        days(3)
        shop.look()
        after = store.lookouts.read()
        assert after is not None and after.alarms == 0 and sum(after.evidence.values()) < 0.2
        assert after.state["season_of_hour"] == row.state["season_of_hour"]
        assert "so like hours are compared." in standing(after, settings).words
        for _ in range(60):  # what is asked by day is nothing usual in an afternoon of invoices alone
            shop.talk(SUBJECTS[1], minutes=5)
        shop.look()
        told = store.lookouts.read()
        assert told is not None and (told.alarms or sum(told.evidence.values()) > sum(after.evidence.values()))


def test_a_reference_of_less_than_a_week_says_so(shop: Shop) -> None:
    shop.look()
    row = shop.store.lookouts.read()
    assert row is not None and set(row.state["season_of_hour"]) == {0}
    assert "Those before came within 3 days:" in standing(row, shop.settings).words
    shop.usual(100, minutes=99)  # most of a week
    assert shop.look() == "100 conversations"
    shop.usual(5)
    assert shop.look() == "5 conversations"
    shop.usual(1, minutes=4 * 60)
    assert shop.look() == f"watching from {REFERENCE + 106} conversations on"
    row = shop.store.lookouts.read()
    assert row is not None and row.state["hours"] > 168 and "came within" not in standing(row, shop.settings).words


def test_killed_before_the_end_it_takes_them_again_and_goes_on_the_same(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.look()
    shop.usual(30)
    lookout = shop.lookout()
    with monkeypatch.context() as broken:
        broken.setattr(shop.store.alerts, "raise_alerts", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            shop.look(lookout)
    row = shop.store.lookouts.read()
    assert row is not None and row.conversations == 0  # neither the state nor the alert
    assert shop.look(lookout) == "30 conversations"
    shop.usual(10)
    # Another process reads the same landmarks and the same state.
    first, second = shop.lookout(), lookout
    assert shop.look(first) == "10 conversations"
    once = shop.store.lookouts.read()
    assert once is not None
    shop.store.lookouts.write(row)
    assert second.look() == "40 conversations"
    assert shop.store.lookouts.read() == once


def test_a_new_subject_is_told_once_with_when_it_began(shop: Shop) -> None:
    shop.look()
    shop.usual(100)
    assert shop.look() == "100 conversations"
    began = shop.clock()
    for _ in range(60):
        shop.talk(SWIMMING if shop.rng.random() < 0.5 else str(shop.rng.choice(SUBJECTS)))
    assert "1 alerts" in shop.look()
    (alert,) = [one for one in shop.store.alerts.read() if one.kind == "lookout"]
    assert alert.subject == "novelty" and alert.title == "New subjects"
    assert "are far from anything in the reference" in alert.content.text
    told = dict(alert.content.facts)["Seems to have begun"]
    assert abs(datetime.strptime(f"2026 {told}", "%Y %H:%M on %d %b (UTC)") - began) < timedelta(minutes=20)
    assert all("swimming" in turn.user_text for turn in shop.store.turns.fetch(alert.content.examples))
    assert [(one.alert_id, one.channel) for one in shop.store.alerts.deliveries()] == [(alert.alert_id, "slack")]
    # It goes on, and is known: what is usual is learned anew.
    for _ in range(40):
        shop.talk(SWIMMING if shop.rng.random() < 0.5 else str(shop.rng.choice(SUBJECTS)))
    assert shop.look() == "40 conversations"
    assert shop.store.lookouts.read().alarms == 1  # type: ignore[union-attr]


def test_replies_that_go_wrong_are_told(shop: Shop) -> None:
    shop.look()
    for _ in range(80):
        shop.talk(str(shop.rng.choice(SUBJECTS)), score=-1 if shop.rng.random() < 0.4 else None)
    assert "1 alerts" in shop.look()
    alert = next(one for one in shop.store.alerts.read() if one.kind == "lookout")
    assert (
        alert.subject == "negative"
        and alert.content.text.endswith("0% are usual.")
        and "sign that a reply failed" in alert.content.text
    )


def test_an_accepted_change_is_the_new_reference(shop: Shop) -> None:
    shop.look()
    for _ in range(40):
        shop.talk(SWIMMING)
    shop.look()
    assert shop.store.lookouts.accept(shop.clock())
    assert "accepted" in standing(shop.store.lookouts.read(), shop.settings).words
    assert shop.look() == f"watching from {REFERENCE + 40} conversations on"
    for _ in range(400):
        shop.talk(SWIMMING if shop.rng.random() < 0.5 else str(shop.rng.choice(SUBJECTS)))
        if shop.number == REFERENCE + 240:
            assert shop.look() == "200 conversations"
            assert standing(shop.store.lookouts.read(), shop.settings).words.startswith(
                "Learning what is usual: 200 of"
            )
    assert shop.look() == "200 conversations"  # half of them swim, as is usual now
    found = standing(shop.store.lookouts.read(), shop.settings)
    assert 0 < found.share < 1 and set(found.parts) == {
        "new subjects",
        "topics asked more often",
        "replies that go wrong",
    }
    assert found.words.startswith("Watched 400 conversations since ")


def test_it_waits_for_topics_and_for_traffic_enough(tmp_path: Path, settings: Settings) -> None:
    clock = HandClock(NOON)
    with Store.open(str(tmp_path / "s.duckdb"), threads=2, clock=clock) as store:
        shop = Shop(store, clock, settings)
        assert shop.lookout().look() == ""
        shop.usual(120, minutes=15)
        analyse(store, HashingEncoder(), settings, clock=clock)
        assert shop.look() == "" and store.lookouts.read() is None  # fewer than 300
        shop.usual(200, minutes=15)
        clock.wait(3_600)
        assert shop.lookout().look() == ""  # they have no topic yet
        assert shop.look() == "watching from 320 conversations on"


def test_forgetting_takes_turns_out_of_the_reference(shop: Shop) -> None:
    shop.look()
    before = shop.store.lookouts.reference("user_text").num_rows
    shop.store.deletion.forget(user="u7", at=shop.clock())
    row = shop.store.lookouts.read()
    assert row is not None
    after = shop.store.lookouts.reference(row.recipe).num_rows
    assert 0 < after < max(before, REFERENCE)
    shop.usual(5)
    assert shop.look() == "5 conversations"
    for user in range(50):
        shop.store.deletion.forget(user=f"u{user}", at=shop.clock(), erase=False)
    shop.usual(REFERENCE, minutes=10)
    shop.assigner.assign()
    shop.clock.wait(3_600)
    assert shop.lookout().look() == f"watching from {REFERENCE} conversations on"


def test_the_service_looks_after_it_has_given_topics(shop: Shop) -> None:
    duties = Duties(shop.store, shop.settings, Worker({}), clock=shop.clock, local_url="")
    shop.clock.wait(3_600)
    assert duties.looking_out().run() == f"watching from {REFERENCE} conversations on"
    shop.usual(3)
    shop.clock.wait(3_600)
    assert duties.looking_out().run() == ""  # they have none yet
    assert duties.assigning().run() == "3 turns"
    assert duties.looking_out().run() == "3 conversations"
