"""How far from an atlas is too far, and when texts that are have become a group."""

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.newcomers import Reach, is_dense, reach_of


def _around(centre: NDArray[np.float64], n: int, *, spread: float, seed: int) -> NDArray[np.float32]:
    rows = centre + spread * np.random.default_rng(seed).normal(size=(n, len(centre)))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_few_texts_have_no_reach():
    reach = reach_of(np.eye(5, dtype=np.float32), k=5)
    assert reach == Reach(-1.0, 1.0)


def test_reach_is_what_the_texts_have_themselves():
    axes = np.eye(20)
    texts = np.concatenate([_around(axes[0], 200, spread=0.05, seed=1), _around(axes[1], 200, spread=0.1, seed=2)])
    reach = reach_of(texts, k=10)
    assert 0.8 < reach.least < reach.usual < 1.0


def test_a_group_is_dense_and_strays_are_not():
    axes = np.eye(40)
    reach = Reach(0.5, 0.9)
    assert is_dense(_around(axes[2], 11, spread=0.02, seed=3), reach)
    assert not is_dense(_around(axes[2], 10, spread=0.02, seed=3), reach)
    assert not is_dense(axes.astype(np.float32), reach)
    assert not is_dense(np.empty((0, 40), np.float32), reach)
