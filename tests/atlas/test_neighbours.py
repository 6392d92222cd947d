"""The neighbour graph against brute force, and its independence of threads."""

import faiss
import numpy as np
import pytest

from monitor.atlas import neighbours
from monitor.atlas.neighbours import GrowingGraph, build_graph


def unit(n: int, d: int = 32, *, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_exact_graph_equals_brute_force():
    vectors = unit(300)
    graph = build_graph(vectors, k=5)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    assert (np.sort(graph.indices) == np.sort(np.argsort(-cosines, axis=1)[:, :5])).all()
    assert (np.diff(graph.cosines, axis=1) <= 0).all()


def test_no_text_is_its_own_neighbour_even_among_equal_vectors():
    vectors = np.repeat(unit(3), 4, axis=0)
    graph = build_graph(vectors, k=5)
    assert not (graph.indices == np.arange(12)[:, None]).any()


@pytest.mark.parametrize("n", [0, 1, 2, 4])
def test_tiny_input_has_what_neighbours_there_are(n):
    graph = build_graph(unit(n), k=15)
    assert graph.indices.shape == (n, max(n - 1, 0))
    assert graph.undirected().shape == (n, n)


@pytest.mark.slow
def test_large_graph_is_nearly_exact_and_does_not_depend_on_threads():
    vectors = unit(neighbours.EXACT_BELOW + 500, 16)
    threads = faiss.omp_get_max_threads()
    graphs = []
    for number in (1, 2):
        faiss.omp_set_num_threads(number)
        graphs.append(build_graph(vectors, k=10))
    faiss.omp_set_num_threads(threads)
    assert (graphs[0].indices == graphs[1].indices).all()
    exact = np.argsort(-(vectors[:200] @ vectors.T), axis=1)[:, 1:11]
    recall = np.mean(
        [len(set(a) & set(b)) / 10 for a, b in zip(graphs[0].indices[:200].tolist(), exact.tolist(), strict=True)]
    )
    assert recall > 0.95


def test_among_keeps_edges_between_the_kept():
    graph = build_graph(unit(40), k=6)
    keep = np.arange(40) % 2 == 0
    part = graph.among(keep)
    whole, halved = graph.directed().toarray(), part.directed().toarray()
    assert np.allclose(whole[keep][:, keep], halved)


def test_undirected_is_symmetric_and_keeps_the_greater_weight():
    matrix = build_graph(unit(50), k=4).undirected().toarray()
    assert np.allclose(matrix, matrix.T)
    assert (matrix.diagonal() == 0).all()


def graphs_agree(one, other):
    assert one.indices.shape == other.indices.shape
    assert np.allclose(one.cosines, other.cosines, atol=1e-3)
    same = [len(set(a) & set(b)) for a, b in zip(one.indices.tolist(), other.indices.tolist(), strict=True)]
    return sum(same) / one.indices.size


@pytest.mark.parametrize("exact_below", [1_000, 100])
def test_a_graph_that_grows_is_the_graph_of_all(exact_below, monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT_BELOW", exact_below)
    vectors = unit(600, 16)
    grown = GrowingGraph.of(vectors[:400], k=8).added(vectors[400:500]).added(vectors[500:])
    assert graphs_agree(grown.graph, build_graph(vectors, k=8)) > 0.99


def test_a_graph_grows_past_what_is_compared_exactly(monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT_BELOW", 500)
    vectors = unit(2_000, 16)
    grown = GrowingGraph.of(vectors[:400], k=8)
    assert grown.index is None
    for start in range(400, 2_000, 400):
        grown = grown.added(vectors[start : start + 400])
    assert grown.index is not None
    assert not grown.index.crowded
    assert graphs_agree(grown.graph, build_graph(vectors, k=8)) > 0.98


@pytest.mark.parametrize("exact_below", [1_000, 100])
def test_who_loses_neighbours_is_given_others(exact_below, monkeypatch):
    monkeypatch.setattr(neighbours, "EXACT_BELOW", exact_below)
    vectors = unit(600, 16)
    keep = np.random.default_rng(1).random(600) < 0.6
    part = GrowingGraph.of(vectors, k=13).among(keep, k=8)
    assert graphs_agree(part.graph, build_graph(vectors[keep], k=8)) > 0.99
    assert (part.graph.indices >= 0).all()


@pytest.mark.parametrize("kept", [0, 1, 2, 5])
def test_few_are_kept(kept):
    keep = np.arange(30) < kept
    part = GrowingGraph.of(unit(30), k=9).among(keep, k=4)
    assert part.graph.indices.shape == (kept, max(0, min(4, kept - 1)))
    assert (part.graph.indices >= 0).all()
