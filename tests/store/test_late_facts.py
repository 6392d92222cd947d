"""Outcomes that come before their turn, after it, twice, and a week later."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from consumers.batches import Batch
from monitor.records import Event, Turn
from monitor.store import Store

NOON = datetime(2026, 3, 1, 12)


def turn(**fields: object) -> Turn:
    values = {"turn_id": "t1", "user_text": "why is my bill so high?", "created_at": NOON, "conversation_id": "c1"}
    return Turn(**{**values, **fields})  # type: ignore[arg-type]


def outcome(hours: float = 1, **fields: object) -> Event:
    return Event(kind="outcome", turn_id="t1", created_at=NOON + timedelta(hours=hours), fields=fields)


def store_one(store: Store, record: Turn | Event) -> None:
    batch = Batch(0)
    if isinstance(record, Turn):
        batch.stretches[0].turns.append(record)
    else:
        batch.stretches[0].events.append(record)
    with store.transaction():
        batch.store(store)


def told(store: Store) -> Turn:
    found = store.turns.find("t1")
    assert found is not None
    return found


ARRIVALS: Sequence[Turn | Event] = (
    turn(model="m1"),
    outcome(1, assistant_text="It was a cold month.", output_tokens=6, model="other"),
    outcome(170, rolled_back=True, output_tokens=9),
)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_whatever_comes_first_the_turn_is_the_same(store: Store, order: tuple[int, ...]) -> None:
    for number in order:
        store_one(store, ARRIVALS[number])
        store_one(store, ARRIVALS[number])
    found = told(store)
    assert (found.assistant_text, found.model, found.rolled_back) == ("It was a cold month.", "m1", True)
    assert store.events.read("outcome").num_rows == 2
    assert (store.turns.count(), store.turns.conflicts()) == (1, 0)


def test_a_value_of_the_turn_itself_stays(store: Store) -> None:
    store_one(store, turn(assistant_text="first"))
    store_one(store, outcome(assistant_text="second", runtime_error="timeout"))
    assert (told(store).assistant_text, told(store).runtime_error) == ("first", "timeout")
    assert store.turns.conflicts() == 0


def test_what_a_turn_is_and_unknown_names_are_not_changed(store: Store) -> None:
    store_one(store, turn())
    store_one(
        store, outcome(user_text="something else", user_id="u9", colour="red", metadata={"a": 1}, feedback_score=1)
    )
    assert told(store) == turn()


def test_a_forgotten_turn_is_not_completed(store: Store) -> None:
    store_one(store, turn())
    store.deletion.forget(turn="t1", at=NOON + timedelta(days=30))
    store_one(store, outcome(assistant_text="secret"))
    assert store.turns.find("t1") is None
    assert store.events.read().num_rows == 0
