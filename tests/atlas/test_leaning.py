"""A refit that leans on the topics that stand: they stay, and what is new, gone or parted is seen all the same."""

import numpy as np
from scipy.sparse import csr_matrix

from monitor.atlas.communities import leiden_communities
from monitor.atlas.leaning import leaning
from monitor.atlas.neighbours import NeighbourGraph, build_graph

FROM_DATA = (0.0, 0.0, 0.0)


def blobs(sizes: list[int], *, spread: float, seed: int) -> tuple[NeighbourGraph, np.ndarray]:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(sizes), 24))
    vectors = np.concatenate([c + spread * rng.normal(size=(n, 24)) for c, n in zip(centres, sizes, strict=True)])
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return build_graph(vectors, k=10), np.repeat(np.arange(len(sizes)), sizes)


def test_without_a_standing_topic_or_a_pull_the_graph_is_as_it_was():
    graph = csr_matrix(np.ones((4, 4)) - np.eye(4))
    assert leaning(graph, np.full(4, -1), pull=0.5) is graph
    assert leaning(graph, np.array([0, 0, 1, 1]), pull=0.0) is graph


def test_each_text_is_tied_to_its_topic_by_part_of_its_edges():
    graph = csr_matrix(np.array([[0, 2, 1], [2, 0, 0], [1, 0, 0]], float))
    tied = leaning(graph, np.array([7, 3, 7]), pull=0.5).toarray()
    assert (tied == tied.T).all()
    assert (tied[:3, :3] == graph.toarray()).all()
    assert tied[:3, 3:].tolist() == [[0.0, 1.5], [1.0, 0.0], [0.0, 0.5]]


def test_a_fit_that_leans_on_itself_stays():
    graph, _ = blobs([40] * 12, spread=0.9, seed=5)
    first = leiden_communities(graph, resolutions=FROM_DATA, seed=1)
    again = leiden_communities(graph, resolutions=FROM_DATA, seed=1, standing=first.levels(), pull=0.1)
    assert 1 < first.fine.max() + 1 < 100
    for one, other in zip(first.levels(), again.levels(), strict=True):
        assert (one == other).mean() > 0.97


def test_leaning_moves_less_than_a_fresh_fit():
    """Another seed is another of the partitions that are about as good."""
    graph, _ = blobs([40] * 12, spread=1.3, seed=6)
    first = leiden_communities(graph, resolutions=FROM_DATA, seed=1)
    fresh = leiden_communities(graph, resolutions=FROM_DATA, seed=2)
    leant = leiden_communities(graph, resolutions=FROM_DATA, seed=2, standing=first.levels(), pull=0.1)
    apart = [(one.fine[:, None] == one.fine) != (first.fine[:, None] == first.fine) for one in (fresh, leant)]
    assert apart[1].mean() < apart[0].mean() / 3


def test_a_new_group_is_born_and_a_wrong_topic_is_parted():
    graph, truth = blobs([60] * 8, spread=0.9, seed=3)
    standing = truth.copy()
    standing[truth == 7] = -1  # not there before
    standing[truth == 6] = 5  # two that were held for one
    found = leiden_communities(graph, resolutions=FROM_DATA, seed=1, standing=(standing,) * 3, pull=0.1)
    assert found.fine.max() == 7
    for group in range(8):
        assert np.bincount(found.fine[truth == group]).max() >= 59


def test_levels_nest_and_are_the_same_each_time():
    graph, truth = blobs([30, 50, 70, 90, 20, 40], spread=0.7, seed=3)
    standing = (truth // 4, truth // 2, truth)
    first, second = (
        leiden_communities(graph, resolutions=FROM_DATA, seed=4, standing=standing, pull=0.1) for _ in range(2)
    )
    for one, other in zip(first.levels(), second.levels(), strict=True):
        assert (one == other).all()
    for finer, coarser in ((first.fine, first.middle), (first.middle, first.broad)):
        for community in np.unique(finer):
            assert len(np.unique(coarser[finer == community])) == 1
