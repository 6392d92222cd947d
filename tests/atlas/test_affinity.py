"""The graph of topics: exact cosines, no dependence on threads or rows, and conversations in it."""

import faiss
import numpy as np
import pytest
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from monitor.atlas.affinity import main_directions, topic_graph
from monitor.atlas.communities import leiden_communities
from monitor.atlas.neighbours import EXACT_BELOW

FROM_DATA = (0.0, 0.0, 0.0)


def subjects(n, *, number=12, d=96, seed=5):
    """Texts of some subjects, close enough to each other that their borders hang on the last digits."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(number, d))
    vectors = centres[rng.integers(number, size=n)] + 1.2 * rng.normal(size=(n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_cosines_are_exact_in_float32():
    found = main_directions(subjects(300))
    assert found.shape == (300, 64)
    assert (found @ found.T == (found.astype(np.float64) @ found.T.astype(np.float64))).all()
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() < 0.003


def test_main_directions_keep_the_cosines_of_vectors_that_lie_in_them():
    rng = np.random.default_rng(2)
    flat = rng.normal(size=(200, 10)) @ np.linalg.qr(rng.normal(size=(96, 10)))[0].T
    centred = flat - flat.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    found = main_directions(flat.astype(np.float32))
    assert np.allclose(found @ found.T, centred @ centred.T, atol=0.005)


@pytest.mark.parametrize("n", [0, 1, 2, 5])
@pytest.mark.parametrize("d", [8, 96])
def test_few_texts_have_a_graph_and_communities(n, d):
    graph = topic_graph(subjects(n, d=d), k=15)
    assert graph.undirected().shape == (n, n)
    assert [len(level) for level in leiden_communities(graph, resolutions=FROM_DATA, seed=1).levels()] == [n, n, n]


def test_equal_vectors_are_no_error():
    found = leiden_communities(topic_graph(np.ones((40, 96), np.float32), k=5), resolutions=FROM_DATA, seed=1)
    assert len(found.fine) == 40


def test_more_texts_have_more_neighbours():
    assert topic_graph(subjects(500), k=15).indices.shape[1] == 15
    assert topic_graph(subjects(6_000), k=15).indices.shape[1] == 23


def test_talk_weighs_as_much_as_neighbours():
    vectors = subjects(60)
    talk = csr_matrix((np.full(2, 0.01), ([3, 40], [40, 3])), shape=(60, 60))
    plain, graph = topic_graph(vectors, k=5), topic_graph(vectors, k=5, talk=talk)
    strength = plain.weights()[3].sum()
    assert graph.talk[3].sum() == pytest.approx(strength)
    assert graph.undirected()[3, 40] >= strength
    assert abs(graph.undirected() - graph.undirected().T).max() < 1e-12


@pytest.mark.parametrize(
    "n", [1_500, pytest.param(EXACT_BELOW + 1_000, marks=pytest.mark.slow)], ids=["exact", "approximate"]
)
def test_threads_change_nothing(n):
    vectors = subjects(n)
    before = faiss.omp_get_max_threads()
    found = []
    try:
        for threads in (1, 2):
            faiss.omp_set_num_threads(threads)
            with threadpool_limits(threads):
                graph = topic_graph(vectors, k=15)
                found.append((graph, leiden_communities(graph, resolutions=FROM_DATA, seed=1)))
    finally:
        faiss.omp_set_num_threads(before)
    (one, first), (two, second) = found
    assert one.indices.tobytes() == two.indices.tobytes()
    assert one.cosines.tobytes() == two.cosines.tobytes()
    for level, same in zip(first.levels(), second.levels(), strict=True):
        assert level.tobytes() == same.tobytes()
