"""Ids that people decided, around those of the lineage."""

from __future__ import annotations

import numpy as np

from monitor.atlas.pins import PinnedTopic, match_around_pins

ONE, TWO, THREE = (np.arange(start, start + 10).astype(np.uint64) for start in (0, 10, 20))
PREVIOUS = {0: {"a": ONE, "b": TWO, "c": THREE}}


def minted(level: int, number: int) -> str:
    return f"t{level}{number}"


def test_what_was_merged_has_the_targets_id_and_says_so() -> None:
    merged = np.concatenate([ONE, TWO])
    found = match_around_pins(PREVIOUS, {0: [THREE, merged]}, {0: [PinnedTopic(1, "b", ("a",))]}, minted=minted)
    assert found.ids == {0: ["c", "b"]}
    events = {(one.topic_id, one.event, one.other): one.shared for one in found.events}
    assert events == {("c", "kept", None): 1.0, ("b", "grew", None): 0.5, ("b", "merged", "a"): 1.0}


def test_parts_of_a_split_have_their_ids() -> None:
    pins = {0: [PinnedTopic(0, "a"), PinnedTopic(1, "new")]}
    found = match_around_pins(PREVIOUS, {0: [ONE[:6], ONE[6:], TWO, THREE]}, pins, minted=minted)
    assert found.ids == {0: ["a", "new", "b", "c"]}
    events = {(one.topic_id, one.event, one.other): one.shared for one in found.events}
    assert events[("new", "split", "a")] == 0.4
    assert events[("a", "kept", None)] == 0.6


def test_a_pin_keeps_its_id_where_the_lineage_would_give_it_away() -> None:
    found = match_around_pins(PREVIOUS, {0: [ONE[:2], ONE[2:]]}, {0: [PinnedTopic(0, "a")]}, minted=minted)
    assert found.ids[0][0] == "a"
    assert found.ids[0][1] not in ("a", "b", "c")


def test_no_minted_id_is_that_of_a_pin() -> None:
    found = match_around_pins({}, {0: [ONE, TWO]}, {0: [PinnedTopic(0, "t00")]}, minted=minted)
    assert found.ids[0][0] == "t00" != found.ids[0][1]
