"""Decisions over communities: each kind alone, in order, against nesting, and with texts that are gone."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.atlas.curation import Curated, Ruling, Standing, curate, parts_of

#: Twelve texts in four fine topics of three, in two middle topics and one broad one.
FINE = np.repeat([0, 1, 2, 3], 3)
MIDDLE = np.repeat([0, 0, 1, 1], 3)
BROAD = np.array([0] * 6 + [1] * 6)
LEVELS = (BROAD, MIDDLE, FINE)
IDS = (["B0", "B1"], ["M0", "M1"], ["F0", "F1", "F2", "F3"])
NOTHING = np.empty(0, np.int64)


def vectors_of(fine: np.ndarray) -> np.ndarray:
    """Texts of a fine topic are alike, those of two not at all."""
    rng = np.random.default_rng(0)
    found = np.eye(8)[fine] + 0.05 * rng.normal(size=(len(fine), 8))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def graph_of(vectors: np.ndarray, k: int = 3) -> tuple[np.ndarray, np.ndarray]:
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    neighbours = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    return neighbours, np.clip(np.take_along_axis(cosines, neighbours, 1), 0, 1).astype(np.float64) ** 4


def curated(
    *rulings: Ruling,
    levels: tuple[np.ndarray, ...] = LEVELS,
    standing: tuple[np.ndarray, ...] = LEVELS,
    vectors: np.ndarray | None = None,
) -> Curated:
    vectors = vectors_of(levels[2]) if vectors is None else vectors
    neighbours, weights = graph_of(vectors)
    found = curate(
        levels,
        Standing(IDS, standing),
        rulings,
        subjects=levels[2] >= 0,
        vectors=vectors,
        neighbours=neighbours,
        weights=weights,
    )
    for level in (1, 2):
        assert nested(found.of_texts[level - 1], found.of_texts[level])
    return found


def nested(coarse: np.ndarray, fine: np.ndarray) -> bool:
    inside = fine >= 0
    pairs = np.unique(np.stack([fine[inside], coarse[inside]]), axis=1)
    return len(np.unique(pairs[0])) == pairs.shape[1] and bool((coarse[inside] >= 0).all())


def merge(level: int, gone: str, target: str, *parts: np.ndarray) -> Ruling:
    return Ruling("merge", level, (gone, target), parts or (NOTHING, NOTHING))


def topic_of(found: Curated, topic_id: str) -> list[int]:
    """Texts of the topic with this pin."""
    [pin] = [one for one in found.pins if one.topic_id == topic_id]
    level = found.of_texts[pin.level]
    return np.flatnonzero(level == level[pin.text]).tolist()


def test_without_decisions_nothing_changes() -> None:
    found = curated()
    assert [level.tolist() for level in found.of_texts] == [level.tolist() for level in LEVELS]
    assert found.pins == ()


def test_fine_topics_of_two_parents_are_merged_below_the_target() -> None:
    found = curated(merge(2, "F0", "F2"))
    assert topic_of(found, "F2") == [0, 1, 2, 6, 7, 8]
    assert found.pins[0].absorbed == ("F0",)
    broad, middle, _ = found.of_texts
    assert len({int(middle[text]) for text in (0, 6, 9)}) == 1  # F2 lies beside F3, as before
    assert broad[0] == broad[9] != broad[3]


def test_middle_topics_are_merged_with_all_that_they_hold() -> None:
    found = curated(merge(1, "M1", "M0"))
    assert topic_of(found, "M0") == list(range(12))
    assert found.of_texts[2].tolist() == FINE.tolist()
    assert len(set(found.of_texts[0].tolist())) == 1


def test_a_merge_holds_when_the_published_atlas_has_both_under_one_id() -> None:
    published = (BROAD, MIDDLE, np.array([2] * 3 + [1] * 3 + [2] * 3 + [3] * 3))
    found = curated(merge(2, "F0", "F2", np.array([0, 1]), np.array([6, 7])), standing=published)
    assert topic_of(found, "F2") == [0, 1, 2, 6, 7, 8]
    # By the target's evidence it still lies where the target lay.
    assert found.of_texts[1][0] == found.of_texts[1][9]


def test_a_merge_of_topics_that_are_gone_changes_nothing() -> None:
    unknown = tuple(np.full(12, -1) for _ in range(3))
    assert curated(merge(2, "F0", "F2"), standing=unknown).pins == ()


def test_merges_follow_one_another() -> None:
    found = curated(merge(2, "F0", "F1"), merge(2, "F1", "F3"))
    assert topic_of(found, "F3") == [0, 1, 2, 3, 4, 5, 9, 10, 11]
    assert set(found.pins[0].absorbed) == {"F0", "F1"}


def test_a_fine_topic_is_split_by_its_seeds_and_stays_split() -> None:
    vectors = vectors_of(np.repeat([0, 4, 1, 2, 3], [2, 1, 3, 3, 3]))
    split = Ruling("split", 2, ("F0", "new"), (np.array([0]), np.array([2])))
    found = curated(split, vectors=vectors)
    assert (topic_of(found, "F0"), topic_of(found, "new")) == ([0, 1], [2])
    # The next fit finds one community again, which the published atlas has in parts.
    ids = (IDS[0], IDS[1], ["F0", "F1", "F2", "F3", "new"])
    published = (BROAD, MIDDLE, np.array([0, 0, 4, *FINE[3:]]))
    neighbours, weights = graph_of(vectors)
    again = curate(
        LEVELS,
        Standing(ids, published),
        [split],
        subjects=np.ones(12, bool),
        vectors=vectors,
        neighbours=neighbours,
        weights=weights,
    )
    assert (topic_of(again, "F0"), topic_of(again, "new")) == ([0, 1], [2])


def test_a_middle_topic_is_split_along_its_finer_topics() -> None:
    split = Ruling("split", 1, ("M0", "new"), (np.array([0, 1]), np.array([4])))
    found = curated(split)
    assert (topic_of(found, "M0"), topic_of(found, "new")) == ([0, 1, 2], [3, 4, 5])
    assert found.of_texts[2].tolist() == FINE.tolist()


def test_a_locked_topic_keeps_its_texts_and_takes_new_ones_like_them() -> None:
    # The refit has put a third of F0 into F1; texts 12 and 13 are new, one like F0, one like F3.
    vectors = vectors_of(np.concatenate([FINE, [0, 3]]))
    refit = tuple(np.concatenate([level, [level[0], level[-1]]]) for level in LEVELS)
    refit[2][2] = 1
    published = tuple(np.concatenate([level, [-1, -1]]) for level in LEVELS)
    lock = Ruling("lock", 2, ("F0",), (np.array([0, 1, 2]),))
    found = curated(lock, levels=refit, standing=published, vectors=vectors)
    assert topic_of(found, "F0") == [0, 1, 2, 12]
    assert found.of_texts[2][13] == found.of_texts[2][9]


def test_what_a_lock_leaves_of_a_community_goes_to_its_neighbours() -> None:
    refit = (BROAD, MIDDLE, FINE.copy())
    refit[2][3] = 0  # a text of F1 that the refit would put into F0
    lock = Ruling("lock", 2, ("F0",), (np.array([0]),))
    found = curated(lock, levels=refit, vectors=vectors_of(FINE))
    assert topic_of(found, "F0") == [0, 1, 2]
    assert found.of_texts[2][3] == found.of_texts[2][4]


def test_a_locked_middle_topic_keeps_texts_that_left_it() -> None:
    refit = (BROAD.copy(), MIDDLE.copy(), FINE.copy())
    for level, number in zip(refit, (1, 1, 2), strict=True):
        level[5] = number
    found = curated(Ruling("lock", 1, ("M0",), (np.array([0]),)), levels=refit, vectors=vectors_of(FINE))
    assert topic_of(found, "M0") == [0, 1, 2, 3, 4, 5]
    assert found.of_texts[2][5] == found.of_texts[2][4]


def test_an_outlier_that_was_in_a_locked_topic_stays_in_it() -> None:
    refit = tuple(level.copy() for level in LEVELS)
    for level in refit:
        level[0] = -1
    neighbours, weights = graph_of(vectors_of(FINE))
    found = curate(
        refit,
        Standing(IDS, LEVELS),
        [Ruling("lock", 2, ("F0",), (NOTHING,))],
        subjects=np.ones(12, bool),
        vectors=vectors_of(FINE),
        neighbours=neighbours,
        weights=weights,
    )
    assert topic_of(found, "F0") == [0, 1, 2]
    assert found.of_texts[1][0] == found.of_texts[1][1]


def test_the_later_decision_wins() -> None:
    lock = Ruling("lock", 1, ("M0",), (np.array([0]),))
    assert topic_of(curated(lock, merge(2, "F1", "F3")), "M0") == [0, 1, 2]


@pytest.mark.parametrize("seed", range(60))
def test_random_decisions_keep_levels_nested_and_ids_unique(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 60
    fine = np.sort(rng.integers(0, 9, n))
    levels = (fine // 6, fine // 3, fine)
    published = tuple(np.where(rng.random(n) < 0.2, -1, np.roll(level, int(rng.integers(0, 6)))) for level in levels)
    ids = tuple([f"{name}{number}" for number in range(9)] for name in "BMF")
    vectors = vectors_of(fine % 8)
    neighbours, weights = graph_of(vectors)
    rulings = []
    for _ in range(6):
        level = int(rng.integers(0, 3))
        one, other = rng.choice(ids[level][: int(levels[level].max()) + 1], 2, replace=False).tolist()
        kind = str(rng.choice(["merge", "split", "lock"]))
        topics = {"merge": (one, other), "split": (one, f"new{rng.integers(99)}"), "lock": (one,)}[kind]
        parts = tuple(np.unique(rng.integers(0, n, int(rng.integers(0, 5)))) for _ in topics)
        rulings.append(Ruling(kind, level, topics, parts))
    subjects = rng.random(n) < 0.95
    levels = tuple(np.where(subjects, level, -1) for level in levels)
    found = curate(
        levels,
        Standing(ids, published),
        rulings,
        subjects=subjects,
        vectors=vectors,
        neighbours=neighbours,
        weights=weights,
    )
    for coarse, finer in zip(found.of_texts, found.of_texts[1:], strict=False):
        assert nested(coarse, finer)
    for level in found.of_texts:
        assert (level[~subjects] == -1).all()
        assert (level[subjects] >= 0).all()
        assert set(level[level >= 0].tolist()) == set(range(int(level.max()) + 1))
    places = [(pin.level, int(found.of_texts[pin.level][pin.text])) for pin in found.pins]
    names = [(pin.level, pin.topic_id) for pin in found.pins]
    assert len(set(places)) == len(places)
    assert len(set(names)) == len(names)


def test_parts_are_of_the_number_asked_for_where_texts_differ() -> None:
    vectors = vectors_of(FINE)
    assert len(set(parts_of(vectors, 4).tolist())) == 4
    assert parts_of(np.ones((5, 3), np.float32) / np.sqrt(3), 2).tolist() == [0] * 5
