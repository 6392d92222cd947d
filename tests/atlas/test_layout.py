"""The map keeps neighbourhoods, the same input gives the same map, and a refit leaves what stayed where it lay."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.manifold import trustworthiness

from monitor.atlas.layout import Earlier, lay_out, mean_places
from monitor.atlas.neighbours import NeighbourGraph, build_graph


def clouds(
    counts: list[int], seed: int = 0, width: int = 16, spread: float = 0.2
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Unit vectors around one direction a topic, in a mixed order."""
    rng = np.random.default_rng(seed)
    topics = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    vectors = rng.normal(size=(len(counts), width))[topics] + spread * rng.normal(size=(len(topics), width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), topics


def drawn(
    vectors: NDArray[np.float32], topics: NDArray[np.int64], earlier: Earlier | None = None, **kwargs: int
) -> NDArray[np.float32]:
    return lay_out(build_graph(vectors, k=15), vectors, topics, earlier, **kwargs)


def centres_of(places: NDArray[np.float32], topics: NDArray[np.int64]) -> NDArray[np.float32]:
    return np.stack([places[topics == one].mean(axis=0) for one in np.unique(topics)])


def stayed(places: NDArray[np.float32], topics: NDArray[np.int64], known: NDArray[np.bool_]) -> Earlier:
    """The earlier map of the known texts, with all topics on it."""
    centres = centres_of(places[known], topics[known])
    own = np.where(known[:, None], places, np.nan).astype(np.float32)
    return Earlier(own, centres[topics], topics, centres)


def test_topics_are_islands_and_neighbours_stay_neighbours() -> None:
    vectors, topics = clouds([120] * 8)
    places = drawn(vectors, topics)
    centres = centres_of(places, topics)
    away = np.linalg.norm(places[:, None] - centres[None], axis=2)
    assert (away.argmin(axis=1) == topics).mean() > 0.98
    assert trustworthiness(vectors, places, n_neighbors=15) > 0.9
    assert np.sqrt((places**2).sum(axis=1).mean()) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-3)


def test_most_texts_lie_by_those_that_stand_for_them() -> None:
    vectors, topics = clouds([150] * 6 + [2])
    places = drawn(vectors, topics, most=200)
    assert trustworthiness(vectors, places, n_neighbors=15) > 0.85
    away = np.linalg.norm(places[:, None] - centres_of(places, topics)[None], axis=2)
    assert (away[topics < 6].argmin(axis=1) == topics[topics < 6]).mean() > 0.95


def test_a_refit_moves_topics_that_stayed_by_less_than_a_twentieth() -> None:
    vectors, topics = clouds([90] * 10)
    rng = np.random.default_rng(3)
    known = rng.random(len(vectors)) < 0.8
    first = np.zeros((len(vectors), 2), np.float32)
    first[known] = drawn(vectors[known], topics[known])
    earlier = stayed(first, topics, known)
    again = drawn(vectors, topics, earlier)
    width = np.ptp(first[known], axis=0).max()
    moved = np.linalg.norm(centres_of(again, topics) - earlier.centres, axis=1)
    assert moved.max() < 0.05 * width
    # New texts lie in their topics, which were there.
    away = np.linalg.norm(again[~known][:, None] - earlier.centres[None], axis=2)
    assert (away.argmin(axis=1) == topics[~known]).mean() > 0.95


def test_topics_stay_where_no_text_does() -> None:
    vectors, topics = clouds([160] * 6)
    half = np.arange(len(topics)) % 2 == 0
    first = drawn(vectors[half], topics[half])
    centres = centres_of(first, topics[half])
    nothing = np.full((int((~half).sum()), 2), np.nan, np.float32)
    again = drawn(vectors[~half], topics[~half], Earlier(nothing, centres[topics[~half]], topics[~half], centres))
    moved = np.linalg.norm(centres_of(again, topics[~half]) - centres, axis=1)
    assert moved.max() < 0.05 * np.ptp(first, axis=0).max()


def test_a_turned_and_enlarged_map_is_kept_as_it_is() -> None:
    vectors, topics = clouds([60] * 5)
    first = drawn(vectors, topics)
    turned = (first @ np.array([[0, 3], [-3, 0]]) + [7, -2]).astype(np.float32)
    again = drawn(vectors, topics, stayed(turned, topics, np.ones(len(topics), bool)))
    moved = np.linalg.norm(again - turned, axis=1)
    assert np.median(moved) < 0.05 * np.ptp(turned, axis=0).max()


def test_nothing_that_stayed_is_a_first_map() -> None:
    vectors, topics = clouds([30, 30])
    nothing = np.full((60, 2), np.nan, np.float32)
    unknown = Earlier(nothing, nothing, np.full(60, -1), np.zeros((0, 2), np.float32))
    np.testing.assert_array_equal(drawn(vectors, topics, unknown), drawn(vectors, topics))


_ELSEWHERE = """
import sys
import numpy as np
sys.path.insert(0, sys.argv[1])
from tests.atlas.test_layout import clouds, drawn, stayed
vectors, topics = clouds([150] * 6)
first = drawn(vectors, topics)
again = drawn(vectors, topics, stayed(first, topics, np.arange(len(topics)) % 3 > 0))
sys.stdout.buffer.write(first.tobytes() + again.tobytes())
"""


@pytest.mark.slow
def test_the_bytes_are_the_same_with_any_number_of_threads() -> None:
    root = Path(__file__).resolve().parents[2]
    found = set()
    for threads in ("1", "2", "3"):
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "PYTHONPATH": str(root),
        }
        command = [sys.executable, "-c", _ELSEWHERE, str(root)]
        found.add(subprocess.run(command, capture_output=True, check=True, env=environment, cwd=root).stdout)
    assert len(found) == 1
    assert len(found.pop()) == 2 * 900 * 2 * 4


def test_the_same_input_gives_the_same_map() -> None:
    vectors, topics = clouds([50, 40, 30])
    np.testing.assert_array_equal(drawn(vectors, topics), drawn(vectors, topics * 7 + 100))


@given(
    counts=st.lists(st.integers(1, 6), min_size=1, max_size=5),
    width=st.integers(1, 5),
    kind=st.sampled_from(["drawn", "constant", "nought"]),
    seed=st.integers(0, 99),
    known=st.sampled_from(["nothing", "some", "all"]),
)
@settings(max_examples=25, deadline=None)
def test_any_small_input_has_places(counts: list[int], width: int, kind: str, seed: int, known: str) -> None:
    vectors, topics = clouds(counts, seed, width)
    if kind == "constant":
        vectors = np.ones_like(vectors) / np.float32(width**0.5)
    elif kind == "nought":
        vectors = np.zeros_like(vectors)
    places = drawn(vectors, topics)
    if known != "nothing":
        kept = np.ones(len(topics), bool) if known == "all" else np.random.default_rng(seed).random(len(topics)) < 0.5
        nearby = np.full_like(places, np.nan)
        earlier = Earlier(np.where(kept[:, None], places, np.nan), nearby, np.full(len(topics), -1), places[:0])
        places = drawn(vectors, topics, earlier)
    assert places.shape == (len(vectors), 2)
    assert places.dtype == np.float32
    assert np.isfinite(places).all()
    assert np.abs(places).max() < 30


def test_texts_without_neighbours_do_not_fly_away() -> None:
    vectors, topics = clouds([200, 200])
    graph = build_graph(vectors, k=15)
    alone = graph.indices.copy()
    alone[:20] = -1
    alone[np.isin(alone, np.arange(20))] = -1
    cut = replace(graph, indices=alone, cosines=np.where(alone >= 0, graph.cosines, 0).astype(np.float32))
    assert isinstance(cut, NeighbourGraph)
    places = lay_out(cut, vectors, topics)
    assert np.isfinite(places).all()
    assert np.abs(places).max() < 3


def test_no_texts_have_no_places_and_one_lies_in_the_middle() -> None:
    assert drawn(np.zeros((0, 8), np.float32), np.zeros(0, np.int64)).shape == (0, 2)
    one, topic = np.ones((1, 1), np.float32), np.zeros(1, np.int64)
    assert drawn(one, topic).tolist() == [[0, 0]]
    before = np.array([[0.5, -1]], np.float32)
    assert drawn(one, topic, Earlier(before, before, topic, before)).tolist() == before.tolist()


def test_a_new_text_lies_at_the_weighted_mean_of_those_neighbours_that_have_a_place() -> None:
    places = np.array([[0, 0], [4, 2], [np.nan, np.nan]], np.float32)
    indices, weights = np.array([[0, 1, 2], [2, -1, -1], [1, 2, -1]]), np.array([[3.0, 1, 9], [1, 0, 0], [0.5, 1, 0]])
    found = mean_places(indices, weights, places)
    np.testing.assert_allclose(found, [[1, 0.5], [np.nan, np.nan], [4, 2]])
    assert mean_places(indices[:0], weights[:0], places).shape == (0, 2)
