"""The map: no topic covers another, near topics are near, and the same input gives the same map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.atlas.layout import lay_out, sample_for_map


def clouds(
    counts: list[int], seed: int = 0, width: int = 16, spread: float = 0.2
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    topics = np.repeat(np.arange(len(counts)), counts)
    vectors = rng.normal(size=(len(counts), width))[topics] + spread * rng.normal(size=(len(topics), width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), topics


def radii(topics: NDArray[np.int64]) -> NDArray[np.float64]:
    counts = np.bincount(topics)
    return 0.62 * np.sqrt(counts / counts.sum())


def covered(places: NDArray[np.float32], topics: NDArray[np.int64]) -> float:
    """How far, at most, a text lies inside the disc of another topic, in radii of that disc."""
    names = np.unique(topics)
    size = radii(topics)
    deepest = 0.0
    for name in names.tolist():
        own = places[topics == name]
        # A single text lies at the centre; many lie around it, by their mean at about the centre.
        centre = (own.max(axis=0) + own.min(axis=0)) / 2 if len(own) > 20 else own.mean(axis=0)
        distance = np.linalg.norm(places[topics != name] - centre, axis=1)
        deepest = max(deepest, float((1 - distance / size[name]).max(initial=0)))
    return deepest


@pytest.mark.parametrize("counts", [[400, 300, 200], [300] * 12, [1000, *[60] * 30], [200, 200]])
def test_no_topic_covers_another(counts: list[int]) -> None:
    vectors, topics = clouds(counts)
    places = lay_out(vectors, topics)
    assert covered(places, topics) < 0.25
    assert np.abs(places).max() < 2


def test_topics_that_say_the_same_do_not_lie_on_each_other() -> None:
    vectors, topics = clouds([200, 200, 200])
    same = vectors[topics == 0]
    places = lay_out(np.concatenate([same, same, vectors[topics == 2]]), topics)
    centres = np.stack([places[topics == name].mean(axis=0) for name in range(3)])
    assert np.linalg.norm(centres[0] - centres[1]) > radii(topics)[0]


def test_near_topics_are_nearer_on_the_map() -> None:
    rng = np.random.default_rng(2)
    vectors, topics = clouds([100] * 6, seed=2)
    # Topics 6 to 11 are copies of 0 to 5, a little moved.
    moved = vectors + 0.05 * rng.normal(size=vectors.shape)
    moved = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    both = np.concatenate([topics, topics + 6])
    places = lay_out(np.concatenate([vectors, moved]), both)
    centres = np.stack([places[both == name].mean(axis=0) for name in range(12)])
    away = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    # The plane cannot show six subjects that are all far from each other: the copy is among the nearest, not the nearest.
    copy = away[np.arange(12), (np.arange(12) + 6) % 12]
    nearer = (away < copy[:, None]).sum(axis=1) - 1  # the topic itself
    assert nearer.max() <= 3
    assert copy.max() < np.median(away)


def test_the_typical_texts_lie_in_the_middle_of_their_topic() -> None:
    vectors, topics = clouds([300, 300])
    places = lay_out(vectors, topics)
    for name in range(2):
        rows = topics == name
        mean = vectors[rows].mean(axis=0)
        likeness = vectors[rows] @ (mean / np.linalg.norm(mean))
        centre = (places[rows].max(axis=0) + places[rows].min(axis=0)) / 2
        distance = np.linalg.norm(places[rows] - centre, axis=1)
        assert np.corrcoef(likeness, distance)[0, 1] < -0.8


def test_a_larger_topic_has_a_larger_disc() -> None:
    vectors, topics = clouds([900, 100])
    places = lay_out(vectors, topics)
    large, small = (np.ptp(places[topics == name], axis=0).mean() for name in range(2))
    assert large / small == pytest.approx(3, rel=0.2)


def test_the_same_input_gives_the_same_map_whatever_the_topics_are_called() -> None:
    vectors, topics = clouds([50, 40, 30])
    first = lay_out(vectors, topics)
    np.testing.assert_array_equal(first, lay_out(vectors, topics))
    np.testing.assert_array_equal(first, lay_out(vectors, topics * 7 + 100))


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    width=st.integers(1, 5),
    kind=st.sampled_from(["drawn", "constant", "nought"]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_any_small_input_has_places(counts: list[int], width: int, kind: str, seed: int) -> None:
    vectors, topics = clouds(counts, seed, width)
    if kind == "constant":
        vectors = np.ones_like(vectors) / np.float32(width**0.5)
    elif kind == "nought":
        vectors = np.zeros_like(vectors)
    places = lay_out(vectors, topics)
    assert places.shape == (len(vectors), 2)
    assert places.dtype == np.float32
    assert np.isfinite(places).all()
    assert np.abs(places).max() < 4


def test_no_texts_have_no_places() -> None:
    assert lay_out(np.zeros((0, 8), np.float32), np.zeros(0, np.int64)).shape == (0, 2)


def test_a_map_of_few_texts_shows_them_all() -> None:
    rows = sample_for_map(np.array([3, 1, 1, -1]), np.random.default_rng(0))
    assert rows.tolist() == [0, 1, 2, 3]
    assert sample_for_map(np.zeros(0, np.int64), np.random.default_rng(0)).tolist() == []


@given(counts=st.lists(st.integers(1, 400), min_size=1, max_size=20), most=st.integers(10, 200), seed=st.integers(0, 9))
def test_every_topic_keeps_its_share_and_three_of_its_texts(counts: list[int], most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    topics = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    rows = sample_for_map(topics, rng, most)
    assert (np.diff(rows) > 0).all()
    if len(topics) <= most:
        assert len(rows) == len(topics)
        return
    kept = np.bincount(topics[rows], minlength=len(counts))
    for one, all_ in zip(kept.tolist(), counts, strict=True):
        assert one >= min(3, all_)
        assert abs(one - all_ * most / len(topics)) <= 0.5 or one == min(3, all_)
    assert len(rows) <= most + 3 * len(counts)
