"""The turns that prove what became of a topic: which may be taken, and which of those are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.atlas.lineage import match_topics
from monitor.atlas.pins import PinnedTopic, match_around_pins
from monitor.atlas.proof import MOST, Before, Said, prove
from monitor.store.atlases import LineageRow

Topics = dict[str, set[int]]


def _turns(start: int, end: int) -> set[int]:
    return set(range(start, end))


def said(keys: Sequence[int], texts: Sequence[int] | None = None, conversations: Sequence[int] | None = None) -> Said:
    """Turns of texts that lie in all directions; each says its own text in its own conversation unless said otherwise."""
    numbers = np.arange(len(keys)) if texts is None else np.array(texts)
    count = int(numbers.max(initial=-1)) + 1
    vectors = np.random.default_rng(1).normal(size=(count, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    talks = np.arange(len(keys)) if conversations is None else np.array(conversations)
    return Said(np.array(keys, np.uint64), numbers, talks, [b"text %d" % one for one in range(count)], vectors)


def before(topics: Topics, without: set[int] = frozenset(), texts: dict[int, bytes] | None = None) -> Before:  # type: ignore[assignment]
    known = sorted({key for keys in topics.values() for key in keys} | without)
    hashes = [(texts or {}).get(key, b"old %d" % key) for key in known]
    return Before({0: topics}, np.array(known, np.uint64), np.array(hashes, object))


def proven(old: Before, current: Sequence[set[int]], atlas: Said) -> list[LineageRow]:
    keys: dict[int, list[NDArray[np.uint64]]] = {0: [np.array(sorted(one), np.uint64) for one in current]}
    found = match_topics(old.topics, keys, minted=lambda level, number: f"n{number}")
    return list(prove(found.events, found.ids, old, keys, atlas))


def of(events: Sequence[LineageRow], topic: str, event: str) -> set[int]:
    (row,) = [row for row in events if (row.topic_id, row.event) == (topic, event)]
    assert len(set(row.turns)) == len(row.turns) <= MOST
    return set(row.turns)


def test_a_merger_is_proven_by_turns_of_each_of_its_topics() -> None:
    old = {"a": _turns(0, 30), "b": _turns(30, 50), "c": _turns(50, 90)}
    merged = _turns(0, 50) | _turns(90, 100)
    events = proven(before(old), [merged, old["c"]], said(range(100)))
    assert len(of(events, "a", "grew")) == len(of(events, "a", "merged")) == MOST
    assert of(events, "a", "grew") <= old["a"] & merged
    (row,) = [row for row in events if row.event == "merged"]
    assert row.other == "b" and set(row.turns) <= old["b"] & merged


def test_a_split_is_proven_by_turns_that_went_to_the_child() -> None:
    old = {"a": _turns(0, 100)}
    events = proven(before(old), [_turns(0, 60), _turns(60, 100) | _turns(200, 220)], said(range(220)))
    assert len(of(events, "n0", "split")) == MOST and of(events, "n0", "split") <= _turns(60, 100)
    assert of(events, "a", "kept") <= _turns(0, 60)


def test_a_birth_is_proven_by_new_turns_then_by_such_as_had_no_topic() -> None:
    old = before({"a": _turns(0, 100)}, without=_turns(100, 120))
    child = _turns(0, 5) | _turns(100, 120) | {500, 501}
    events = proven(old, [_turns(5, 100), child], said([*range(120), 500, 501]))
    (row,) = [row for row in events if row.event == "born"]
    assert set(row.turns[:2]) == {500, 501}
    assert len(row.turns) == MOST and set(row.turns[2:]) <= _turns(100, 120)


def test_a_birth_out_of_many_topics_is_proven_by_one_of_each() -> None:
    old = {f"old{number}": _turns(100 * number, 100 * number + 100) for number in range(6)}
    child = {key for number in range(6) for key in _turns(100 * number, 100 * number + 10)}
    rest = [old[f"old{number}"] - child for number in range(6)]
    events = proven(before(old), [*rest, child], said(range(600)))
    (row,) = [row for row in events if row.event == "born"]
    assert len({key // 100 for key in row.turns}) == len(row.turns) == MOST


def test_a_death_is_proven_by_turns_that_are_elsewhere_first_and_else_by_such_as_are_gone() -> None:
    kept = {name: _turns(start, start + 20) for start, name in ((0, "a"), (20, "d"), (40, "e"))}
    old = before({**kept, "b": _turns(60, 66), "c": _turns(66, 80)})
    # Of b's turns three are scattered, one is here without a topic, two have left; c's have left as a whole.
    current = [topic | {60 + place} for place, topic in enumerate(kept.values())]
    events = proven(old, current, said(range(64)))
    (row,) = [row for row in events if (row.topic_id, row.event) == ("b", "died")]
    assert set(row.turns[:3]) == {60, 61, 62} and row.turns[3:] == (63, 64)
    assert [row.turns for row in events if row.topic_id == "c"] == [(66, 67, 68, 69, 70)]


def test_what_is_gone_is_one_turn_a_text() -> None:
    old = before({"a": _turns(0, 8)}, texts=dict.fromkeys(range(6), b"same"))
    (row,) = proven(old, [_turns(10, 20)], said(range(10, 20)))[1:]
    assert (row.event, row.turns) == ("died", (0, 6, 7))


def test_a_text_once_and_other_conversations_first() -> None:
    # 30 turns: ten say one text, ten are one conversation, the rest each its own.
    texts = [0] * 10 + list(range(1, 21))
    talks = list(range(10)) + [50] * 10 + list(range(60, 70))
    events = proven(before({"a": _turns(0, 30)}), [_turns(0, 30)], said(range(30), texts, talks))
    chosen = sorted(of(events, "a", "kept"))
    assert len({texts[key] for key in chosen}) == len({talks[key] for key in chosen}) == MOST
    only = said(range(30), texts, [1] * 30)  # one conversation is better than nothing
    assert len(of(proven(before({"a": _turns(0, 30)}), [_turns(0, 30)], only), "a", "kept")) == MOST


def test_the_most_central_text_is_first() -> None:
    atlas = said(range(3), [0, 1, 2])
    angles = np.radians([0, 10, 60])
    atlas = Said(
        atlas.keys,
        atlas.text_of,
        atlas.conversation,
        atlas.hashes,
        np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32),
    )
    (row,) = proven(before({"a": {0, 1, 2}}), [{0, 1, 2}], atlas)
    assert row.turns == (1, 0, 2)


def test_a_topic_known_again_by_where_it_lies_has_no_turn_to_show() -> None:
    keys = {0: [np.array([10, 11], np.uint64)]}
    old = before({"a": {1, 2}})
    found = match_topics(old.topics, keys, minted=lambda *_: "n", alike=lambda *_: np.array([[0.95]]))
    events = prove(found.events, found.ids, old, keys, said([10, 11]))
    assert [(row.topic_id, row.event, row.turns) for row in events] == [("a", "kept", ())]


def test_decisions_are_proven_too() -> None:
    old = before({"a": _turns(0, 10), "b": _turns(10, 20)})
    keys = {0: [np.arange(20).astype(np.uint64)]}
    pins = {0: [PinnedTopic(0, "new", ("a", "b"))]}
    found = match_around_pins(old.topics, keys, pins, minted=lambda *_: "n")
    events = {
        (row.event, row.other): set(row.turns) for row in prove(found.events, found.ids, old, keys, said(range(20)))
    }
    assert events[("merged", "a")] <= _turns(0, 10) and events[("merged", "b")] <= _turns(10, 20)
    assert events[("born", None)] == set()  # all that it has came from the two, as the other events say


def test_nothing_before_and_nothing_now() -> None:
    (born,) = proven(before({}), [_turns(0, 9)], said(range(9)))
    assert born.event == "born" and len(born.turns) == MOST
    (died,) = proven(before({"a": _turns(0, 3)}), [], said([]))
    assert died.event == "died" and died.turns == (0, 1, 2)
    (empty,) = proven(before({}), [set()], said([]))
    assert (empty.event, empty.turns) == ("born", ())


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_nothing(seed: int) -> None:
    old = before({"a": _turns(0, 60), "b": _turns(60, 100)})
    current = [_turns(0, 40) | _turns(100, 130), _turns(40, 80), _turns(80, 100)]
    atlas = said(range(130), [key % 37 for key in range(130)], [key % 11 for key in range(130)])
    order = np.random.default_rng(seed).permutation(130)
    shuffled = Said(atlas.keys[order], atlas.text_of[order], atlas.conversation[order], atlas.hashes, atlas.vectors)
    assert proven(old, current, shuffled) == proven(old, current, atlas)


@given(
    st.lists(st.integers(-1, 4), min_size=1, max_size=60),
    st.lists(st.integers(-1, 4), min_size=1, max_size=60),
    st.integers(0, 30),
)
def test_every_turn_that_is_named_proves_its_event(was: list[int], now: list[int], offset: int) -> None:
    old: Topics = {f"o{one}": {key for key, topic in enumerate(was) if topic == one} for one in set(was) - {-1}}
    new = [{key + offset for key, topic in enumerate(now) if topic == one} for one in sorted(set(now) - {-1})]
    atlas = said(range(offset, offset + len(now)))
    keys = {0: [np.array(sorted(one), np.uint64) for one in new]}
    found = match_topics({0: old}, keys, minted=lambda level, number: f"n{number}")
    known = before(old, without={key for key, topic in enumerate(was) if topic < 0})
    events = prove(found.events, found.ids, known, keys, atlas)
    members = dict(zip(found.ids[0], new, strict=True))
    for row in events:
        turns = set(row.turns)
        assert len(turns) == len(row.turns) <= MOST
        if row.event == "died":
            assert len(turns) == min(MOST, len(old[row.topic_id])) and turns <= old[row.topic_id]
            continue
        assert turns <= members[row.topic_id]
        if row.event == "born":
            fresh = members[row.topic_id] - {key for one in old.values() for key in one}
            assert turns <= fresh or not fresh
            assert len(turns) == min(MOST, len(fresh or members[row.topic_id]))
        else:
            both = members[row.topic_id] & old[row.other or row.topic_id]
            assert turns <= both and len(turns) == min(MOST, len(both))
