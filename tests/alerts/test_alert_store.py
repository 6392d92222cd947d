"""Alerts, deliveries and subjects in both kinds of store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from alert_rows import START, alert, turn

from monitor.store import Store
from monitor.store.alerts import DeliveryRow, SubjectRow
from tests.store.templates import Templates, file_name


@pytest.fixture(params=["duckdb", pytest.param("ducklake", marks=pytest.mark.slow)])
def store(request: pytest.FixtureRequest, tmp_path: Path, templates: Templates) -> Iterator[Store]:
    name = file_name(request.param, tmp_path)
    templates.copy_to(name)
    with Store.open(name, threads=2) as opened:
        yield opened


#: Members, with keys on both sides of 2**63.
TURNS = [turn(number, "where is my parcel") for number in range(1_000)]
KEYS = [one.key for one in TURNS]


def subject(name: str, kind: str = "gap", **fields: object) -> SubjectRow:
    row = SubjectRow(kind, name, "seen", START, START, None, None, 0.02, tuple(KEYS[:3]))
    return replace(row, **fields)  # type: ignore[arg-type]


def test_an_alert_is_kept_once_with_a_delivery_on_every_channel(store: Store) -> None:
    assert store.alerts.raise_alerts([alert(1)], channels=["slack", "pigeon"]) == 1
    assert store.alerts.raise_alerts([alert(1, title="other"), alert(2)], channels=["slack"]) == 1
    assert store.alerts.read() == [alert(2), alert(1)]
    assert store.alerts.read(1) == [alert(2)]
    assert store.alerts.find("al1") == alert(1)
    assert store.alerts.find("al9") is None
    assert store.alerts.deliveries() == [
        DeliveryRow("al1", "pigeon", "due", 0, START + timedelta(seconds=1)),
        DeliveryRow("al1", "slack", "due", 0, START + timedelta(seconds=1)),
        DeliveryRow("al2", "slack", "due", 0, START + timedelta(seconds=2)),
    ]


def test_what_is_settled_replaces_its_delivery(store: Store) -> None:
    store.alerts.raise_alerts([alert(1), alert(2)], channels=["slack"])
    sent = DeliveryRow("al1", "slack", "sent", 3, START, START, None)
    failed = DeliveryRow("al2", "slack", "failed", 9, START + timedelta(days=1), None, "Slack's word: 'no'")
    store.alerts.settle(sent)
    store.alerts.settle(failed)
    assert store.alerts.deliveries() == [sent, failed]
    assert store.alerts.deliveries("failed") == [failed]
    assert store.alerts.deliveries("due") == []


def test_subjects_are_replaced_and_forgotten_by_kind_and_name(store: Store) -> None:
    store.turns.append(TURNS)
    first, other, drift = subject("g1"), subject("g2", members=()), subject("g1", "drift")
    store.alerts.raise_alerts([], [first, other, drift])
    assert store.alerts.subjects("gap") == [first, other]
    told = subject("g1", state="open", told_at=START, told_size=0.02, members=tuple(KEYS))
    assert store.alerts.raise_alerts([], [told], forgotten=[other]) == 0
    assert store.alerts.subjects("gap") == [told]
    assert store.alerts.subjects("drift") == [drift]
    assert store.alerts.subjects("stalled") == []


def test_alert_delivery_and_subject_are_kept_together_or_not_at_all(store: Store) -> None:
    bad = subject("g2", size="much")
    with pytest.raises(ValueError, match="much"):
        store.alerts.raise_alerts([alert(1)], [subject("g1"), bad], channels=["slack"])
    assert store.alerts.read() == []
    assert store.alerts.deliveries() == []
    assert store.alerts.subjects("gap") == []


HOSTILE = ["'; DROP TABLE alerts; --", '"\\{}', "\u202e\u2028 ü 𓀀", "<!channel>", "a\0b", "x" * 100_000]


def test_hostile_words_come_back_as_they_went_in(store: Store) -> None:
    rows = [alert(number, title=text, text=text) for number, text in enumerate(HOSTILE)]
    rows = [replace(row, body={**row.body, "facts": [[row.title, row.title]]}) for row in rows]
    store.alerts.raise_alerts(rows, channels=["slack"])
    assert store.alerts.read() == rows[::-1]
    assert store.alerts.read()[0].content.facts == ((HOSTILE[-1], HOSTILE[-1]),)


def test_an_empty_body_says_nothing() -> None:
    content = replace(alert(1), body={}).content
    assert (content.text, content.facts, content.examples) == ("", (), ())


def test_turns_that_were_forgotten_meanwhile_are_in_no_alert_and_in_no_subject(store: Store) -> None:
    store.turns.append(TURNS[:4])
    store.deletion.forget(turn="t1", at=START)
    store.alerts.raise_alerts([alert(1, examples=tuple(KEYS[:3]))], [subject("g1")])
    assert store.alerts.read()[0] == alert(1, examples=(KEYS[0], KEYS[2]))
    assert store.alerts.subjects("gap")[0].members == (KEYS[0], KEYS[2])
