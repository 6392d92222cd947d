"""Events, vectors, offsets, dead letters, eval sets, jobs and exports, on both kinds of store."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from monitor.errors import StoreError, UsageError
from monitor.records import Coordinates, DeadLetter, EvalItem, EvalSet, Event
from monitor.store import Store
from monitor.store.eval_sets import EvalSetSummary
from monitor.store.exports import ExportRow
from tests.store.conftest import NOON, make_turn


def feedback(turn_id: str, score: float, minutes: int = 0, **more: object) -> Event:
    fields = {"feedback_score": score, **more}
    return Event(kind="feedback", turn_id=turn_id, created_at=NOON + timedelta(minutes=minutes), fields=fields)


def test_events_are_kept_once_and_the_last_feedback_counts(store: Store) -> None:
    events = [
        feedback("t1", 1),
        feedback("t1", -1, 5, feedback_comment="no\0pe"),
        feedback("t1", 1, 3),
        feedback("t2", 1),
    ]
    assert store.events.append([*events, events[0]]) == 4
    assert store.events.append(events) == 0
    outcome = Event(kind="outcome", turn_id="t1", created_at=NOON, fields={"rolled_back": True})
    assert store.events.append([outcome]) == 1
    assert store.events.read().num_rows == 5
    assert store.events.read("outcome").column("fields").to_pylist() == ['{"rolled_back":true}']
    latest = {row["turn_key"]: row for row in store.events.latest_feedback().to_pylist()}
    assert latest[make_turn("t1").key]["feedback_score"] == -1
    assert latest[make_turn("t1").key]["feedback_comment"] == "no\0pe"
    assert latest[make_turn("t2").key]["feedback_score"] == 1
    with pytest.raises(ValueError, match="forget"):
        store.events.append([Event(kind="deletion", turn_id="t1", created_at=NOON)])


def unit_vectors(count: int, width: int = 12) -> np.ndarray:
    vectors = np.random.default_rng(7).normal(size=(count, width)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_vectors_come_back_in_the_order_asked(store: Store) -> None:
    hashes = [bytes([number]) * 16 for number in range(1, 6)]
    vectors = unit_vectors(5)
    assert store.vectors.missing("mini", "text", [hashes[2], hashes[0], hashes[2]]) == [hashes[0], hashes[2]]
    assert store.vectors.append("mini", "text", hashes, vectors) == 5
    assert store.vectors.append("mini", "text", hashes[:2], vectors[::-1][:2]) == 0  # those that are there stay
    assert store.vectors.missing("mini", "text", [*hashes, b"x" * 16]) == [b"x" * 16]
    asked = [hashes[4], hashes[0], hashes[4]]
    found = store.vectors.read("mini", "text", asked)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, vectors[[4, 0, 4]], atol=1e-3)
    assert store.vectors.read("mini", "text", []).shape == (0, 0)


def test_vectors_of_encoders_and_recipes_never_meet(store: Store) -> None:
    store.vectors.append("mini", "text", [b"a" * 16, b"a" * 16], unit_vectors(2).astype(np.float16))
    assert store.vectors.missing("mini", "eval", [b"a" * 16]) == [b"a" * 16]
    with pytest.raises(StoreError, match="1 of 1 texts have no vector of encoder 'large'"):
        store.vectors.read("large", "text", [b"a" * 16])
    with pytest.raises(ValueError, match=r"vectors \(2\) must match number of hashes \(1\)"):
        store.vectors.append("mini", "text", [b"a" * 16], unit_vectors(2))


def test_texts_of_turns(store: Store) -> None:
    turns = [make_turn(f"t{number}", created_at=NOON + timedelta(days=number)) for number in range(3)]
    store.turns.append(turns)
    keys, hashes = [turn.key for turn in turns], [b"a" * 16, b"b" * 16, b"b" * 16]
    store.vectors.append("mini", "text", hashes[:2], unit_vectors(2))
    for _ in range(2):
        store.vectors.note_texts("text", np.array(keys, dtype=np.uint64), hashes)
    found = store.vectors.texts("text")
    expected = sorted(zip(keys, hashes, strict=True))
    assert list(zip(*(found.column(name).to_pylist() for name in ("turn_key", "text_hash")), strict=True)) == expected
    assert store.vectors.texts("other").num_rows == 0
    # The first turn is encoded as another text now: nobody uses the old one, so its vector goes.
    store.vectors.note_texts("text", keys[:1], [b"b" * 16])
    assert store.vectors.missing("mini", "text", hashes) == [b"a" * 16]
    store.vectors.note_texts("text", [99], [b"c" * 16])  # no such turn (any more)
    assert store.vectors.texts("text").num_rows == 3


def test_offsets_are_compared_and_only_grow(store: Store) -> None:
    assert store.offsets.next("topic", "0") == 0
    store.offsets.advance("topic", "0", expected=0, to=5)
    store.offsets.advance("topic", "1", expected=0, to=7)
    store.offsets.advance("topic", "0", expected=5, to=6)
    assert (store.offsets.next("topic", "0"), store.offsets.next("topic", "1")) == (6, 7)
    with pytest.raises(StoreError, match="is 6 and was expected to be 5"):
        store.offsets.advance("topic", "0", expected=5, to=9)
    with pytest.raises(StoreError, match="cannot go back from 6 to 2"):
        store.offsets.advance("topic", "0", expected=6, to=2)
    assert store.offsets.next("topic", "0") == 6


def test_dead_letters_are_kept_once(store: Store) -> None:
    letters = [
        DeadLetter(Coordinates("file:a", "0", number), f"reason {number}", b"\xff\0{", NOON + timedelta(seconds=number))
        for number in range(4)
    ]
    assert store.dead_letters.append([]) == 0
    assert store.dead_letters.append([*letters[:3], letters[0]]) == 3
    assert store.dead_letters.append(letters) == 1
    assert store.dead_letters.count() == 4
    assert store.dead_letters.read(2) == [letters[3], letters[2]]


def test_eval_sets_are_versioned(store: Store) -> None:
    item = EvalItem(item_id="e1", prompt="where?", label="track", tags=("a", "b"), messages=({"role": "user"},))
    first = EvalSet("support", "v1", NOON, (item, EvalItem(item_id="e2", prompt="why?")))
    second = EvalSet("support", "v2", NOON, (item,))
    assert store.eval_sets.save(first)
    assert store.eval_sets.save(second)
    assert not store.eval_sets.save(first)
    assert store.eval_sets.load("support") == second
    assert store.eval_sets.load("support", "v1") == first
    assert store.eval_sets.summaries() == [
        EvalSetSummary("support", "v1", NOON, 2, 1),
        EvalSetSummary("support", "v2", NOON, 1, 1),
    ]
    with pytest.raises(UsageError, match="no eval set 'suport'; did you mean 'support'"):
        store.eval_sets.load("suport")
    with pytest.raises(UsageError, match="no version 'v3'; it has v1, v2"):
        store.eval_sets.load("support", "v3")


def test_no_eval_set_says_how_to_start_one(store: Store) -> None:
    with pytest.raises(UsageError, match="offmap evalset import"):
        store.eval_sets.load("support")


def test_jobs_resume_after_their_last_step(store: Store) -> None:
    store.jobs.begin("j1", "analyse", {"atlas": "a1"})
    store.jobs.finish_step("j1", "encode", 1.5)
    store.jobs.finish_step("j1", "encode", 2.5)
    store.jobs.begin("j1", "analyse", {"atlas": "a1"})  # killed, and run again
    assert store.jobs.done_steps("j1") == {"encode"}
    store.jobs.fail("j1", "no model")
    assert [(job.state, job.error) for job in store.jobs.read()] == [("failed", "no model")]
    store.jobs.begin("j1", "analyse", {"atlas": "a1"})
    assert store.jobs.done_steps("j1") == {"encode"}
    store.jobs.finish("j1")
    (job,) = store.jobs.read()
    assert (job.state, job.error, job.parameters) == ("finished", None, {"atlas": "a1"})
    store.jobs.begin("j1", "analyse", {"atlas": "a1"})  # once more, from the start
    assert store.jobs.done_steps("j1") == set()
    with pytest.raises(UsageError, match="no job 'j2'"):
        store.jobs.finish("j2")


def test_exports_know_their_turns(store: Store) -> None:
    rows = [
        ExportRow("x1", NOON, "out/one", "openai-chat", "{}", (3, 2**64 - 1)),
        ExportRow("x2", NOON + timedelta(days=1), "out/two", "openai-chat", "{}", ()),
    ]
    for row in (*rows, rows[0]):
        store.exports.record(row)
    assert store.exports.read() == [rows[1], rows[0]]
    assert store.exports.containing([2**64 - 1]) == [rows[0]]
    assert store.exports.containing([4]) == []
