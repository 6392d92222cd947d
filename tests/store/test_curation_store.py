"""Decisions as they are stored: the log, what is in force, the names over topics and gaps, and what deletion takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from monitor.store import Store
from monitor.store.atlases import named
from monitor.store.curation import DecisionRow, Evidence, in_force, shaping
from tests.store.conftest import NOON, make_turn
from tests.store.test_runs import assignments, atlas_row, gap_row, topic_row

TURNS = [
    make_turn("t0", user_id="ann", user_text="where is my quixotrope"),
    make_turn("t1", user_id="bob", user_text="where is my parcel"),
]
KEYS = [turn.key for turn in TURNS]
HASHES = [b"0" * 16, b"1" * 16]


def decision(kind: str = "name", **fields: object) -> DecisionRow:
    row = DecisionRow("", 0, NOON, "ann", kind, "t1", 2, "parcel, late", "Parcels", None, ("t1",), "a1")
    return replace(row, **fields)  # type: ignore[arg-type]


def test_a_decision_comes_back_with_its_evidence(store: Store) -> None:
    store.turns.append(TURNS)
    first = store.curation.add(decision(), Evidence(KEYS, HASHES, [0, 1]))
    second = store.curation.add(decision("lock", name=None))
    assert store.curation.read() == [first, second]
    assert (first.place, second.place) == (1, 2)
    assert first.decision_id != second.decision_id
    found = store.curation.evidence(first.decision_id)
    assert (found.of(0), found.of(1)) == ([HASHES[0]], [HASHES[1]])
    assert store.curation.evidence(second.decision_id).of(0) == []


def test_a_turn_that_was_forgotten_meanwhile_is_no_evidence(store: Store) -> None:
    store.turns.append(TURNS)
    store.deletion.forget(user="ann", at=NOON)
    made = store.curation.add(decision(), Evidence(KEYS, HASHES, [0, 1]))
    assert store.curation.evidence(made.decision_id).turn_keys == [KEYS[1]]


def test_the_last_name_is_in_force_until_it_is_taken_back(store: Store) -> None:
    store.curation.add(decision())
    second = store.curation.add(decision(name="Late parcels"))
    assert store.curation.names() == {"t1": "Late parcels"}
    store.curation.add(decision("undo", other=second.decision_id, name=None))
    assert store.curation.names() == {"t1": "Parcels"}
    assert shaping(store.curation.in_force()) == ()


def test_only_what_changes_topics_makes_another_atlas(store: Store) -> None:
    store.curation.add(decision())
    lock = store.curation.add(decision("lock", name=None))
    promoted = store.curation.add(decision("promote", name="parcels"))
    again = store.curation.add(decision("promote", name="late parcels"))
    assert shaping(in_force(store.curation.read())) == (lock.decision_id, again.decision_id)
    assert promoted not in store.curation.in_force()


def test_names_are_put_over_topics_and_gaps(store: Store) -> None:
    other = replace(topic_row(), topic_id="t2", label="PARCELS")
    own = replace(topic_row(), topic_id="t1")
    store.atlases.write(atlas_row("a1"), [own, other], [], assignments(KEYS))
    store.reports.write_gaps("r1", [replace(gap_row(), topic_id="t1")])
    store.curation.add(decision(level=own.level))
    topics = {one.topic_id: one for one in store.atlases.topics("a1")}
    assert (topics["t1"].label, topics["t1"].found_label) == ("Parcels", own.label)
    assert (topics["t2"].label, topics["t2"].found_label) == ("PARCELS (2)", None)
    assert store.reports.gaps("r1")[0].label == "Parcels"


def test_numbers_tell_found_labels_from_names() -> None:
    rows = [replace(topic_row(), topic_id=f"t{number}", label="a") for number in range(2)]
    assert [one.label for one in named(rows, {"t0": "A"})] == ["A", "a (2)"]
    assert named(rows, {}) == rows


def test_examples_of_an_intent_are_texts_that_are_still_there(store: Store) -> None:
    store.turns.append(TURNS)
    store.curation.add(decision("promote", name="where"), Evidence(KEYS, HASHES, [0, 0]))
    assert store.curation.intents(store.curation.in_force()) == {"where": tuple(sorted(one.user_text for one in TURNS))}
    store.deletion.forget(user="ann", at=NOON + timedelta(days=1))
    assert store.curation.intents(store.curation.in_force()) == {"where": ("where is my parcel",)}


def test_forgetting_takes_turns_and_words_of_a_decision(store: Store) -> None:
    store.turns.append(TURNS)
    made = store.curation.add(
        decision(label="quixotrope, parcel", name="Quixotrope parcel"), Evidence(KEYS, HASHES, [0, 0])
    )
    store.deletion.forget(user="ann", at=NOON + timedelta(days=1))
    found = store.curation.evidence(made.decision_id)
    assert (list(found.turn_keys), list(found.text_hashes)) == ([KEYS[1]], [HASHES[1]])
    [left] = store.curation.read()
    assert (left.label, left.name) == ("…, parcel", "… parcel")
