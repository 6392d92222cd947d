"""The number of communities from the data, on graphs whose communities are known."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.metrics import adjusted_rand_score

from monitor.atlas.leiden import between_communities, merged
from monitor.atlas.resolution import coarser_communities, likeliest_communities, planted_likelihood


def planted(sizes, *, inside=12.0, outside=2.0, seed=4):
    """Communities of the given sizes; a node has about `inside` edges within its own and `outside` to others."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(len(sizes)), sizes)
    chance = np.where(truth[:, None] == truth, inside / np.repeat(sizes, sizes)[:, None], outside / len(truth))
    upper = np.triu(rng.random(chance.shape) < chance, 1).astype(float)
    return csr_matrix(upper + upper.T), truth


@pytest.mark.parametrize("again", [False, True], ids=["settled", "again"])
@pytest.mark.parametrize("number", [8, 16, 32])
def test_as_many_communities_as_were_planted_whatever_the_number_of_nodes(number, again):
    for size in (30, 60):
        graph, truth = planted([size] * number)
        found = likeliest_communities(graph, seed=1, again=again)
        assert abs(found.max() + 1 - number) <= 1
        assert adjusted_rand_score(truth, found) > 0.9


def test_likelihood_is_highest_at_the_truth():
    graph, truth = planted([40] * 8)
    coarser, finer = truth // 2, truth * 2 + np.arange(len(truth)) % 2
    assert planted_likelihood(graph, truth) > max(planted_likelihood(graph, one) for one in (coarser, finer))


def test_likelihood_of_two_cliques_is_as_computed_by_hand():
    graph = csr_matrix(np.kron(np.eye(2), np.ones((3, 3)) - np.eye(3)))
    assert planted_likelihood(graph, np.array([0, 0, 0, 1, 1, 1])) == pytest.approx(np.log(2))
    assert planted_likelihood(graph, np.zeros(6, int)) == 0.0


def test_likelihood_of_no_edges_is_nothing():
    assert planted_likelihood(csr_matrix((4, 4)), np.arange(4)) == 0.0


def test_likelihood_is_the_same_on_the_graph_of_communities():
    graph, truth = planted([20] * 6)
    between = between_communities(graph, truth)
    assert planted_likelihood(graph, truth // 3) == pytest.approx(planted_likelihood(between, np.arange(6) // 3))


def test_coarser_levels_nest_and_are_as_many_as_asked_for():
    graph, truth = planted([30] * 24, outside=4.0)
    found = coarser_communities(graph, truth, number=12, seed=1)
    assert all(len(np.unique(found[truth == community])) == 1 for community in range(24))
    assert abs(found.max() + 1 - 12) <= 3


def test_merging_keeps_apart_what_is_not_joined():
    assert merged(csr_matrix(np.diag([4.0, 2.0, 6.0])), resolution=1.0, seed=1).tolist() == [0, 1, 2]
