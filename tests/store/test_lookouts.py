"""What the lookout keeps, on every kind of store: one row, the reference, and which conversations come once."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from monitor.store import Store
from monitor.store.lookouts import LookoutRow
from tests.store.conftest import NOON, make_turn
from tests.store.test_runs import assignments, atlas_row, topic_row
from tests.store.test_tables import feedback

ROW = LookoutRow(
    pinned_at=NOON,
    encoder="hash",
    recipe="user_text@1",
    after=NOON,
    last_at=NOON,
    since=NOON,
    reference=2,
    conversations=3,
    alarms=1,
    edges=(0.1, 0.2, 0.3, 1 / 3),
    topics=("", "t1"),
    evidence={"novelty": 0.1},
    state={"counts": [[[1.5]]]},
)


def reference(*keys: int) -> pa.Table:
    return pa.table({"turn_key": pa.array(keys, pa.uint64()), "topic": pa.array([1] * len(keys), pa.int64())})


def test_one_row_comes_back_as_it_was_written(store: Store) -> None:
    assert store.lookouts.read() is None
    assert not store.lookouts.accept(NOON)
    store.lookouts.write(ROW)
    later = replace(ROW, conversations=4, after=NOON + timedelta(minutes=1))
    store.lookouts.write(later)
    assert store.lookouts.read() == later
    assert store.lookouts.accept(NOON + timedelta(hours=1))
    assert store.lookouts.read() == replace(later, encoder="", since=NOON + timedelta(hours=1))


def test_the_reference_goes_with_its_turns(store: Store) -> None:
    turns = [make_turn(name, user_id=name) for name in ("ann", "bob")]
    keys = [turn.key for turn in turns]
    store.turns.append(turns)
    store.vectors.note_texts(ROW.recipe, keys, [b"a", b"b"])
    store.lookouts.pin(ROW, reference(*keys))
    store.lookouts.pin(ROW, reference(*keys, 7))  # one that was forgotten meanwhile
    found = store.lookouts.reference(ROW.recipe).to_pylist()
    assert {(row["turn_key"], row["text_hash"], row["topic"]) for row in found} == {
        (keys[0], b"a", 1),
        (keys[1], b"b", 1),
    }
    store.deletion.forget(user="ann", at=NOON + timedelta(days=1))
    assert [row["turn_key"] for row in store.lookouts.reference(ROW.recipe).to_pylist()] == [keys[1]]


def test_a_conversation_comes_once_with_what_was_said_first(store: Store) -> None:
    said = [
        make_turn("a0", conversation_id="a", created_at=NOON, environment="production"),
        make_turn("a1", conversation_id="a", created_at=NOON + timedelta(minutes=5)),
        make_turn("a2", conversation_id="a", created_at=NOON + timedelta(minutes=30)),
        make_turn("b0", conversation_id="b", created_at=NOON - timedelta(days=40)),
        make_turn("s0", conversation_id="s", environment="staging"),
    ]
    store.turns.append(said)
    keys = {turn.turn_id: turn.key for turn in said}
    rows = assignments([keys["a0"], keys["b0"]])
    atlas = atlas_row("a1")
    store.atlases.write(atlas, [topic_row()], [], rows)
    store.vectors.note_texts(atlas.recipe, [keys["a0"], keys["a1"]], [b"a", b"b"])
    arrived = store.turns.last_arrival()
    assert arrived is not None

    def come(after: datetime | None, since: datetime | None = None) -> dict[int, bool]:
        until = arrived + timedelta(seconds=1)
        table = store.lookouts.conversations(
            atlas, after=after, until=until, since=since, minutes=15, environments=["production"]
        )
        return {row["turn_key"]: row["subject"] for row in table.to_pylist()}

    # In order; what was said later is left out, and what has no topic or no text has no subject.
    assert list(come(None).items()) == [(keys["b0"], False), (keys["a0"], True), (keys["a1"], False)]
    assert set(come(None, since=NOON - timedelta(days=1))) == {keys["a0"], keys["a1"]}
    assert come(arrived) == {}


def test_scores_that_came_later_the_last_one_last(store: Store) -> None:
    turn = make_turn("a0")
    store.turns.append([turn])
    later = ((9, -1.0), (3, 1.0))
    store.events.append([feedback("a0", score, minutes) for minutes, score in later])
    assert [row["feedback_score"] for row in store.lookouts.feedback([turn.key]).to_pylist()] == [1.0, -1.0]
    assert store.lookouts.feedback([1]).num_rows == 0


def test_when_a_value_was_first_seen(store: Store) -> None:
    turns = [
        make_turn("a", prompt_version="v1"),
        make_turn("b", prompt_version="v2", created_at=NOON + timedelta(days=2)),
        make_turn("c", prompt_version="v2", created_at=NOON + timedelta(days=1)),
        make_turn("d", prompt_version="v2", environment="staging"),
    ]
    store.turns.append(turns)
    assert store.lookouts.first_seen("prompt_version", "v2", ["production"]) == NOON + timedelta(days=1)
    assert store.lookouts.first_seen("prompt_version", "v3'; DROP TABLE turns", ["production"]) is None
    found = store.turns.some(np.array([turns[1].key, turns[0].key, 7], np.uint64), ("turn_key", "prompt_version"))
    by_key = {row["turn_key"]: row["prompt_version"] for row in found.to_pylist()}
    assert by_key == {turns[0].key: "v1", turns[1].key: "v2"} and list(by_key) == sorted(by_key)
