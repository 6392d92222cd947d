"""Lineage: ids that survive a refit, and the events that say what became of each topic."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.atlas.lineage import Lineage, match_topics
from monitor.store.atlases import LineageRow

Topics = list[set[int]]


def _keys(topics: Sequence[set[int]]) -> list[NDArray[np.uint64]]:
    return [np.array(sorted(topic), np.uint64) for topic in topics]


def _match(previous: dict[str, set[int]], current: Sequence[set[int]]) -> Lineage:
    return match_topics({0: previous}, {0: _keys(current)}, minted=lambda level, number: f"n{level}-{number}")


def _event(lineage: Lineage, topic: str) -> tuple[str, str | None]:
    (row,) = [row for row in lineage.events if row.topic_id == topic and row.event != "merged"]
    return row.event, row.other


def _turns(start: int, end: int) -> set[int]:
    return set(range(start, end))


def test_a_topic_keeps_its_id_when_turns_leave_and_come() -> None:
    lineage = _match({"a": _turns(0, 100), "b": _turns(100, 200)}, [_turns(120, 220), _turns(20, 120)])
    assert lineage.ids == {0: ["b", "a"]}
    assert _event(lineage, "a") == ("kept", None)
    # turns 0-19 have left and 200-219 are new, so they do not count; 100-119 went from b to a
    assert next(row.shared for row in lineage.events if row.topic_id == "a") == 0.8


def test_a_topic_with_a_greater_share_of_all_turns_grew() -> None:
    lineage = _match({"a": _turns(0, 10), "b": _turns(10, 100)}, [_turns(0, 10) | _turns(100, 120), _turns(10, 100)])
    assert _event(lineage, "a") == ("grew", None)
    assert _event(lineage, "b") == ("kept", None)


def test_twice_the_traffic_is_no_growth_of_each_topic() -> None:
    lineage = _match(
        {"a": _turns(0, 10), "b": _turns(10, 20)}, [_turns(0, 10) | _turns(20, 30), _turns(10, 20) | _turns(30, 40)]
    )
    assert {row.event for row in lineage.events} == {"kept"}


def test_the_largest_piece_of_a_split_keeps_the_id() -> None:
    lineage = _match({"a": _turns(0, 100)}, [_turns(0, 40), _turns(40, 100)])
    assert lineage.ids == {0: ["n0-0", "a"]}
    assert _event(lineage, "n0-0") == ("split", "a")
    assert Counter(row.event for row in lineage.events) == {"kept": 1, "split": 1}


def test_a_split_into_four_still_leaves_the_id_with_the_largest() -> None:
    pieces = [_turns(0, 24), _turns(24, 50), _turns(50, 74), _turns(74, 100)]
    lineage = _match({"a": _turns(0, 100)}, pieces)
    assert lineage.ids[0][1] == "a"
    assert Counter(row.event for row in lineage.events) == {"kept": 1, "split": 3}


def test_a_merged_topic_has_the_id_that_brought_most() -> None:
    previous = {"a": _turns(0, 30), "b": _turns(30, 70), "c": _turns(70, 100), "d": _turns(100, 130)}
    lineage = _match(previous, [_turns(0, 130)])
    assert lineage.ids == {0: ["b"]}
    merged = {(row.topic_id, row.other) for row in lineage.events if row.event == "merged"}
    assert merged == {("b", "a"), ("b", "c"), ("b", "d")}
    assert "died" not in {row.event for row in lineage.events}


def test_a_topic_of_new_turns_is_born_and_one_whose_turns_are_gone_died() -> None:
    lineage = _match({"a": _turns(0, 50), "b": _turns(50, 100)}, [_turns(0, 50), _turns(200, 250)])
    assert _event(lineage, "n0-0") == ("born", None)
    assert _event(lineage, "b") == ("died", None)


def test_a_topic_with_a_few_old_turns_is_born() -> None:
    lineage = _match({"a": _turns(0, 100)}, [_turns(10, 100), _turns(0, 10) | _turns(200, 300)])
    assert _event(lineage, "n0-0") == ("born", None)


def test_a_new_id_is_never_one_that_was_there() -> None:
    previous = {0: {"n0-0": {1, 2}}, 1: {"n0-1": {1, 2}}}
    lineage = match_topics(previous, {0: _keys([{8, 9}])}, minted=lambda level, number: f"n{level}-{number}")
    assert lineage.ids[0] == ["n0-2"]
    assert Counter(row.event for row in lineage.events) == {"born": 1, "died": 2}


def test_nothing_before_all_born() -> None:
    lineage = match_topics({}, {0: _keys([{1}, {2}]), 1: _keys([{1}])}, minted="t{}{}".format)
    assert lineage.ids == {0: ["t00", "t01"], 1: ["t10"]}
    assert {row.event for row in lineage.events} == {"born"}


def test_nothing_now_all_died() -> None:
    assert _match({"a": {1, 2}}, []).events == (LineageRow("a", "died", None, 0.0),)
    assert match_topics({}, {}, minted="t{}{}".format).events == ()


def test_a_topic_without_turns_is_born() -> None:
    assert _match({"a": {1, 2}, "empty": set()}, [set(), {1, 2}]).ids == {0: ["n0-0", "a"]}


def test_a_set_and_an_array_are_the_same() -> None:
    by_set = _match({"a": {3, 2**64 - 1}}, [{3, 2**64 - 1}])
    by_array = match_topics(
        {0: {"a": np.array([2**64 - 1, 3], np.uint64)}}, {0: _keys([{3, 2**64 - 1}])}, minted="t".format
    )
    assert by_set == by_array


partitions = st.lists(st.integers(0, 5), min_size=0, max_size=60)


def _topics(labels: list[int], offset: int = 0) -> Topics:
    found: dict[int, set[int]] = {}
    for key, label in enumerate(labels):
        found.setdefault(label, set()).add(key + offset)
    return [found[label] for label in sorted(found)]


@given(partitions)
def test_the_same_atlas_again_keeps_everything(labels: list[int]) -> None:
    topics = _topics(labels)
    names = [f"t{number}" for number in range(len(topics))]
    lineage = _match(dict(zip(names, topics, strict=True)), topics)
    assert lineage.ids == {0: names}
    assert [(row.event, row.shared) for row in lineage.events] == [("kept", 1.0)] * len(topics)


@given(partitions, partitions, st.integers(0, 80))
def test_ids_are_unique_and_no_topic_is_forgotten(before: list[int], after: list[int], offset: int) -> None:
    previous = {f"t{number}": topic for number, topic in enumerate(_topics(before))}
    current = _topics(after, offset)
    lineage = _match(previous, current)
    assert len(set(lineage.ids[0])) == len(current)
    assert set(lineage.ids[0]) <= {row.topic_id for row in lineage.events}
    assert set(previous) <= {row.topic_id for row in lineage.events} | {row.other for row in lineage.events}
    for row in lineage.events:
        assert 0 <= row.shared <= 1
        assert row.other is None or row.other in previous
        assert (row.event in ("split", "merged")) == (row.other is not None)
        assert row.other != row.topic_id


@given(partitions, partitions, st.integers(0, 40), st.randoms(use_true_random=False))
def test_the_order_of_topics_changes_nothing(
    before: list[int], after: list[int], offset: int, rng: random.Random
) -> None:
    previous = {f"t{number}": topic for number, topic in enumerate(_topics(before))}
    current = _topics(after, offset)
    lineage = _match(previous, current)
    order = rng.sample(range(len(current)), len(current))
    names = rng.sample(sorted(previous), len(previous))
    shuffled = _match({name: previous[name] for name in names}, [current[position] for position in order])
    assert shuffled.ids[0] == [lineage.ids[0][position] for position in order]
    assert shuffled.events == lineage.events
