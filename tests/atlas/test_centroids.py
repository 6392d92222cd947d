"""Topics that share no turn are the same when they lie in the same place, and only then."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.centroids import centroid_cosines
from monitor.atlas.lineage import Alike, Lineage, match_topics

A, B = {1, 2, 3, 4}, {5, 6, 7, 8}


def _alike(cosines: list[list[float]]) -> Alike:
    """Cosines of the topics a, b (rows) and the current ones (columns)."""

    def found(level: int, olds: Sequence[str], news: Sequence[int]) -> NDArray[np.float64]:
        return np.array(cosines)[np.ix_(["ab".index(old) for old in olds], list(news))]

    return found


def _match(current: Sequence[set[int]], cosines: list[list[float]], *, taken: Sequence[str] = ()) -> Lineage:
    keys = [np.array(sorted(one), np.uint64) for one in current]
    return match_topics({2: {"a": A, "b": B}}, {2: keys}, minted="n{}{}".format, alike=_alike(cosines), taken=taken)


def test_centroids_of_nothing_are_like_nothing():
    some = np.eye(3, dtype=np.float32)
    assert centroid_cosines([some[:0], some[:2]], [some[:1]]).round(3).tolist() == [[0.0], [0.707]]


def test_windows_without_a_turn_in_common_are_matched_by_place():
    lineage = _match([{11, 12}, {21, 22, 23}], [[0.3, 0.95], [0.9, 0.2]])
    assert lineage.ids[2] == ["b", "a"]
    assert {(one.topic_id, one.event, one.shared) for one in lineage.events} == {
        ("a", "kept", 0.95),
        ("b", "kept", 0.9),
    }


def test_one_that_is_far_and_one_that_is_nobodys_nearest_are_born():
    assert _match([{11}, {12}], [[0.79, 0.1], [0.1, 0.9]]).ids[2] == ["n20", "b"]
    assert _match([{11}, {12}], [[0.95, 0.9], [0.1, 0.1]]).ids[2] == ["a", "n20"]


def test_shared_turns_decide_where_there_are_some():
    """b's turns went into a's topic; that it lies where the new topic does makes it no heir."""
    lineage = _match([A | B, {11, 12}], [[0.5, 0.9], [0.5, 0.99]])
    assert lineage.ids[2][1] == "n20"
    assert ("merged") in {one.event for one in lineage.events}


def test_an_id_that_was_taken_before_is_passed_over():
    assert _match([{11}], [[0.0], [0.0]], taken=("n20", "n21")).ids[2] == ["n22"]
