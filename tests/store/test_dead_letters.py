"""Dead letters on every kind of store: chosen, counted by reason, restated, removed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from monitor.records import Coordinates, DeadLetter
from monitor.store import Store
from monitor.store.dead_letters import Chosen, Reason, Span, kind_of, places_of
from tests.store.conftest import NOON


def letter(
    position: int, reason: str = "user_text: blank", source: str = "kafka:turns", partition: str = "0"
) -> DeadLetter:
    at = Coordinates(source, partition, position)
    return DeadLetter(
        at, reason, b"\xff" * (position % 50), NOON + timedelta(seconds=position % 50), (("n", str(position)),)
    )


LETTERS = [
    letter(1),
    letter(2, "latency_ms: expected a number, got 'x'"),
    letter(3, "latency_ms: expected a number, got 'yy'"),
    letter(4, partition="1"),
    letter(5, source="file:abc", partition="offmap"),
]


def test_a_letter_has_the_same_name_in_python_and_in_the_store(store: Store) -> None:
    strange = [letter(number, source=f"kafka:Straße {number}", partition="ü") for number in (0, 10**15)]
    store.dead_letters.append([*LETTERS, *strange])
    for one in (*LETTERS, *strange):
        assert store.dead_letters.find(one.letter_id) == one
    assert store.dead_letters.find("dl000000000000") is None
    names = {one.letter_id for one in (*LETTERS, *strange)}
    assert len(names) == 7 and all(name.startswith("dl") and len(name) == 14 for name in names)
    assert store.dead_letters.count(Chosen(ids=(*names, "dl0"))) == 7


def test_the_limit_takes_the_latest_and_places_are_in_the_order_of_the_log(store: Store) -> None:
    store.dead_letters.append(LETTERS[::-1])
    found = store.dead_letters.places(Chosen(source="turns", limit=3)).to_pylist()
    assert [(row["partition"], row["position"], row["bytes"]) for row in found] == [
        ("0", 2, 2),
        ("0", 3, 3),
        ("1", 4, 4),
    ]
    assert store.dead_letters.at(places_of([LETTERS[2].coordinates, LETTERS[0].coordinates])) == [
        LETTERS[0],
        LETTERS[2],
    ]
    assert store.dead_letters.read(None, Chosen(since=NOON + timedelta(seconds=4))) == [LETTERS[4], LETTERS[3]]


def test_reasons_are_counted_by_kind(store: Store) -> None:
    store.dead_letters.append(LETTERS)
    assert store.dead_letters.reasons() == [
        Reason("user_text: blank", 3, LETTERS[4].received_at),
        Reason("latency_ms: expected a number, got …", 2, LETTERS[2].received_at),
    ]
    for one in store.dead_letters.reasons():
        assert store.dead_letters.count(Chosen(reason=one.reason)) == one.letters, "a kind finds its letters"
    assert store.dead_letters.reasons(Chosen(source="file:abc")) == [
        Reason("user_text: blank", 1, LETTERS[4].received_at)
    ]
    spans = [Span("kafka:turns", "0", 2, 3), Span("kafka:turns", "1", 4, 5), Span("kafka:other", "0", 0, 99)]
    found = store.dead_letters.reasons_within(spans)
    assert [(one.reason, one.letters) for one in found] == [
        ("latency_ms: expected a number, got …", 1),
        ("user_text: blank", 1),
    ]
    assert store.dead_letters.reasons_within([]) == []


def test_letters_are_restated_and_removed(store: Store) -> None:
    store.dead_letters.append(LETTERS)
    store.dead_letters.restate([])
    store.dead_letters.restate([replace(LETTERS[0], reason="other"), letter(99, "not there")])
    assert store.dead_letters.find(LETTERS[0].letter_id) == replace(LETTERS[0], reason="other")
    assert store.dead_letters.count() == 5
    assert store.dead_letters.remove(places_of([])) == 0
    assert store.dead_letters.remove(places_of([LETTERS[0].coordinates, letter(99).coordinates])) == 1
    assert store.dead_letters.discard(Chosen(reason="latency", limit=1)) == 1
    assert [one.coordinates.position for one in store.dead_letters.read()] == [5, 4, 2]
    assert store.dead_letters.discard(Chosen()) == 3
    assert store.dead_letters.discard(Chosen()) == 0


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ('cost: expected a number, got "it\'s"', "cost: expected a number, got …"),
        ("cost: expected a number, got 'aaaaaaaaaaaa...", "cost: expected a number, got …"),
        ("cost: expected 0 or more, got -3.5", "cost: expected 0 or more, got …"),
        ("cost: expected a number, got a list", "cost: expected a number, got a list"),
        ("n: expected a whole number from 0 to 7, got 9", "n: expected a whole number from 0 to 7, got …"),
        ("not UTF-8: byte 0xe9 at byte 14 of the record", "not UTF-8: byte … at byte … of the record"),
        ("messages[12].role: expected one of user, got null", "messages[…].role: expected one of user, got null"),
        ("the row has 3 cells and the header 12", "the row has … cells and the header …"),
        ("not CSV: unexpected end of data (line 7)", "not CSV: unexpected end of data (line …)"),
        ("longer than 16 MiB; only its first 64 KiB are kept", "longer than 16 MiB; only its first 64 KiB are kept"),
        ("", ""),
    ],
)
def test_kinds_of_reasons(reason: str, kind: str) -> None:
    assert kind_of(reason) == kind == kind_of(kind)
