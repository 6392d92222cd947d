"""The neighbour graph against brute force, and its independence of threads."""

import faiss
import numpy as np
import pytest

from monitor.atlas import neighbours
from monitor.atlas.neighbours import build_graph


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
