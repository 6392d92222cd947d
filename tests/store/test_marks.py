"""Marks of turns as they are stored: the log, what is in force, and what deletion takes."""

from __future__ import annotations

from datetime import timedelta

from monitor.encoding.recipe import USER_TEXT, text_hash
from monitor.store import Store
from monitor.store.marks import COVERED, NOISE
from tests.store.conftest import NOON, make_turn

TURNS = [
    make_turn("t0", user_id="ann", user_text="where is my quixotrope"),
    make_turn("t1", user_id="bob", user_text="where is my quixotrope"),
    make_turn("t2", user_id="bob", user_text="hello"),
]
KEYS = [turn.key for turn in TURNS]
HASHES = [text_hash(USER_TEXT.prepare(turn.user_text)) for turn in TURNS]
LATER = NOON + timedelta(days=1)


def filled(store: Store) -> None:
    store.turns.append(TURNS)
    store.vectors.note_texts(USER_TEXT.name, KEYS, HASHES)


def test_the_last_mark_of_a_text_is_in_force_until_it_is_taken_back(store: Store) -> None:
    filled(store)
    first = store.marks.add(NOISE, KEYS[0], HASHES[0], who="ann")
    second = store.marks.add(COVERED, KEYS[1], HASHES[1], item_id="i1", why="it is the same")
    other = store.marks.add(NOISE, KEYS[2], HASHES[2])
    assert [one.mark for one in store.marks.in_force()] == [second, other]
    assert store.marks.noise() == {HASHES[2]}
    undone = store.marks.undo(second, who="bob")
    assert [one.mark for one in store.marks.in_force()] == [first, other]
    assert store.marks.noise() == {HASHES[0], HASHES[2]}
    assert store.marks.read() == [first, second, other, undone]
    assert (undone.kind, undone.other, undone.place) == ("undo", second.mark_id, 4)
    assert len({one.mark_id for one in store.marks.read()}) == 4


def test_a_mark_stands_while_a_turn_says_its_text(store: Store) -> None:
    filled(store)
    made = store.marks.add(NOISE, KEYS[0], HASHES[0])
    assert sorted(store.marks.in_force()[0].turn_keys) == sorted(KEYS[:2])
    store.deletion.forget(user="ann", at=LATER)
    [left] = store.marks.in_force()
    assert (left.mark, list(left.turn_keys), left.text_hash) == (made, [KEYS[1]], HASHES[0])
    store.deletion.forget(user="bob", at=LATER)
    assert store.marks.in_force() == []
    assert store._database.query("SELECT * FROM mark_turns").num_rows == 0
    assert store.marks.read() == [made]


def test_words_of_a_reason_that_nobody_says_any_more_go(store: Store) -> None:
    filled(store)
    store.marks.add(COVERED, KEYS[0], HASHES[0], why="quixotrope for parcels")
    store.deletion.forget(user="ann", at=LATER)
    assert store.marks.read()[0].why == "quixotrope for parcels"
    store.deletion.forget(user="bob", at=LATER)
    assert store.marks.read()[0].why == "… for parcels"


def test_a_turn_that_is_gone_is_not_marked(store: Store) -> None:
    filled(store)
    store.deletion.forget(turn="t2", at=LATER)
    store.marks.add(NOISE, KEYS[2], HASHES[2])
    assert store.marks.in_force() == []


def test_what_made_a_turn_near_is_forgotten_with_it(store: Store) -> None:
    filled(store)
    for number, key in enumerate(KEYS):
        store.jobs.enqueue(f"job{number}", "why", {"turn": str(key)})
    store.deletion.forget(user="ann", at=LATER)
    assert {one.job_id for one in store.jobs.read()} == {"job1", "job2"}


def test_a_turn_is_found_by_its_id_alone(store: Store) -> None:
    twice = [make_turn("t", tenant="eu"), make_turn("t", tenant="us"), make_turn("u", tenant="us")]
    store.turns.append(twice)
    assert [one.tenant for one in store.turns.called("t")] == ["eu", "us"]
    assert [one.key for one in store.turns.called("u")] == [twice[2].key]
    assert store.turns.called("v") == []
