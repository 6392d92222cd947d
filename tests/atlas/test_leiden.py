"""Nodes that settle: modularity gains, what is right stays, and what is wrong is put right."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from monitor.atlas import leiden as leiden_module
from monitor.atlas.leiden import between_communities, leiden, settled


def planted(number: int, size: int, *, seed: int) -> tuple[csr_matrix, np.ndarray]:
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(number), size))
    chance = np.where(truth[:, None] == truth, 10.0 / size, 3.0 / len(truth))
    upper = np.triu(rng.random(chance.shape) < chance, 1) * rng.random(chance.shape)
    return csr_matrix(upper + upper.T), truth


def modularity(graph: csr_matrix, labels: np.ndarray, resolution: float) -> float:
    blocks = between_communities(graph, labels)
    shares = np.asarray(blocks.sum(axis=1)).ravel() / blocks.sum()
    return float(blocks.diagonal().sum() / blocks.sum() - resolution * (shares**2).sum())


@pytest.mark.parametrize(("seed", "blocks"), [(0, 4), (1, 4), (2, 1), (3, 40)])
def test_modularity_gains_until_it_is_about_leidens(seed: int, blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leiden_module, "_BLOCKS", blocks)
    graph, truth = planted(12, 40, seed=seed)
    rng = np.random.default_rng(seed)
    wrong = np.where(rng.random(len(truth)) < 0.3, rng.integers(0, 12, len(truth)), truth)
    found = settled(graph, wrong, resolution=1.0)
    reached, best = (modularity(graph, one, 1.0) for one in (found, leiden(graph, resolution=1.0, seed=1)))
    assert reached > modularity(graph, wrong, 1.0) + 0.1
    assert reached > best - 0.01


def test_what_gains_nothing_stays() -> None:
    cliques = csr_matrix(np.kron(np.eye(4), np.ones((5, 5)) - np.eye(5)))
    truth = np.repeat(np.arange(4), 5)
    assert settled(cliques, truth, resolution=1.0).tolist() == truth.tolist()
    alone = csr_matrix((3, 3))
    assert settled(alone, np.array([1, 0, 1]), resolution=1.0).tolist() == [0, 1, 0]
    assert settled(csr_matrix((0, 0)), np.empty(0, np.int64), resolution=1.0).tolist() == []


def test_one_stray_node_goes_home() -> None:
    cliques = csr_matrix(np.kron(np.eye(4), np.ones((5, 5)) - np.eye(5)))
    truth = np.repeat(np.arange(4), 5)
    stray = truth.copy()
    stray[7] = 3
    assert settled(cliques, stray, resolution=1.0).tolist() == truth.tolist()
