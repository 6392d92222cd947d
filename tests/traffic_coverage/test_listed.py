"""Which gaps may be held: what was listed, and whether something was done for a topic since."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.coverage.gaps import is_held
from monitor.coverage.interval import Interval
from monitor.coverage.listed import Listed, OwnItems
from monitor.coverage.report import _listed_words
from monitor.store.atlases import LineageRow
from tests.alerts.test_findings import gap
from tests.traffic_coverage.test_gaps import BOUNDS, GAP

LISTED = Listed("a1", {"g2": ("e1",), "g1": ("e1", "e2")}, {("e1",): frozenset({"an old question"})})
#: Topic 0 has rows 0 to 19, topic 1 the next ten; the second item is the nearest of all of them.
OWN = OwnItems(
    texts=np.array(["an old question", "a new question"], object),
    homes=np.array([[0, 2], [3, 3]]),
    rows=np.arange(30),
    covered=np.zeros(30, bool),
    nearest=np.ones(30, np.int64),
    marked=np.zeros(30, bool),
)
KNOWN = frozenset({"an old question"})


def changed(**fields: object) -> OwnItems:
    return replace(OWN, **fields)  # type: ignore[arg-type]


def some(count: int) -> np.ndarray:
    return np.arange(30) < count


def test_what_is_listed_is_written_down_and_nothing_is_nothing() -> None:
    assert LISTED.made_of == ["a1", [["g1", ["e1", "e2"]], ["g2", ["e1"]]]]
    assert Listed("a1").made_of == []
    assert LISTED.texts_of("g2") == KNOWN
    assert LISTED.texts_of("g1") == frozenset(), "these versions are gone: every item counts as new"


def test_pieces_of_a_listed_topic_are_listed_in_another_atlas_only() -> None:
    lineage = [
        LineageRow("t5", "split", "t2", 0.5),
        LineageRow("t6", "split", "t9", 0.5),
        LineageRow("t7", "merged", "t2", 0.5),
    ]
    assert "g5" not in LISTED.with_pieces("a1", lineage)
    found = LISTED.with_pieces("a2", lineage)
    assert set(found.opened) == {"g1", "g2", "g5"}
    assert found.texts_of("g5") == KNOWN
    assert Listed().with_pieces("a2", lineage) == Listed()


def test_a_new_item_is_of_the_topic_where_it_is_at_home_or_of_which_it_covers_a_tenth() -> None:
    topic = np.arange(20)
    assert not OWN.came(KNOWN, 0, 0, topic)
    assert OWN.came(frozenset(), 0, 0, topic), "the old one is at home there"
    assert OWN.came(KNOWN, 2, 0, topic)
    assert OWN.came(KNOWN, 3, 1, topic), "on another level"
    assert not changed(covered=some(1)).came(KNOWN, 0, 0, topic)
    assert changed(covered=some(2)).came(KNOWN, 0, 0, topic)
    assert not changed(covered=some(2), nearest=np.zeros(30, np.int64)).came(KNOWN, 0, 0, topic)
    assert not changed(covered=some(20)).came(KNOWN, 1, 0, np.arange(20, 30))


@pytest.mark.parametrize(("count", "came"), [(1, False), (2, True)])
def test_a_tenth_that_people_marked_is_done_for_it(count: int, came: bool) -> None:
    assert changed(marked=some(count)).came(KNOWN, 0, 0, np.arange(20)) == came


def test_a_gap_above_the_bar_is_held_and_is_not_smaller_for_being_covered() -> None:
    assert [is_held(0.1, 0.8), is_held(0.1, 0.81)] == [False, True]
    assert [is_held(0.01, 0.65), is_held(0.01, 0.66)] == [False, True], "of little traffic a stricter bar"
    covered = replace(GAP, coverage=Interval(0.97, 0.9, 1.0))
    assert BOUNDS.keep(covered) and not BOUNDS.hold(covered)
    assert not BOUNDS.keep(replace(covered, share=0.003))
    assert not BOUNDS.keep(replace(covered, loyalty=0.3))


@pytest.mark.parametrize(
    ("coverages", "words"),
    [
        ((), "no gap is worth listing"),
        ((0.1,), "1 gap is listed"),
        ((0.85,), "1 gap is listed, and held: it seems covered, but nothing was done for it"),
        ((0.1, 0.85), "2 gaps are listed, 1 of them held: it seems covered, but nothing was done for it"),
        ((0.1, 0.85, 0.9), "3 gaps are listed, 2 of them held: they seem covered, but nothing was done for them"),
    ],
    ids=["none", "one", "one held", "one of two", "two of three"],
)
def test_the_verdict_says_how_many_are_held(coverages: tuple[float, ...], words: str) -> None:
    gaps = [gap("t1", coverage=one, high=0.85) for one in coverages]
    assert _listed_words(gaps) == words
