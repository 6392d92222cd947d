"""Forces on a grid are those of all pairs, attraction is the sum over edges, and the forces are the slope of t-SNE's loss."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from monitor.atlas.forces import Affinities, Anchored, GridRepulsion, Stage, balanced_scale, exact_repulsion, settle


def scattered(n: int, width: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=width, size=(n, 2)).astype(np.float32)


def ring(n: int) -> csr_matrix:
    rows = np.arange(n)
    return csr_matrix((np.ones(n), (rows, (rows + 1) % n)), shape=(n, n))


@pytest.mark.parametrize("width", [2.0, 10.0, 40.0])
def test_repulsion_on_a_grid_is_that_of_all_pairs(width: float) -> None:
    places = scattered(900, width)
    grid, exact = GridRepulsion()(places), exact_repulsion(places)
    assert grid.total == pytest.approx(exact.total, rel=0.003, abs=0.05 * len(places))
    error = np.linalg.norm(grid.forces - exact.forces, axis=1)
    assert np.median(error) < 0.12 * np.median(np.linalg.norm(exact.forces, axis=1))
    np.testing.assert_allclose(grid.forces.sum(axis=0), 0, atol=1e-3 * np.abs(grid.forces).sum())


def test_no_place_pushes_itself() -> None:
    alone = np.array([[0.3, 0.4], [1e4, 1e4]], np.float32)
    assert np.abs(GridRepulsion()(alone).forces).max() < 1e-3


def test_attraction_is_the_sum_over_edges() -> None:
    weights = csr_matrix(np.array([[0, 2.0, 0], [0, 0, 0], [1.0, 3.0, 0]]))
    places = scattered(3, 1)
    rows = np.array([[0, 1, 0], [0, 0, 0], [0.25, 0.75, 0]])
    joint = (rows + rows.T) / (rows + rows.T).sum()
    away = places[:, None] - places[None]
    expected = (joint[:, :, None] * away / (1 + (away**2).sum(axis=2, keepdims=True))).sum(axis=1)
    np.testing.assert_allclose(Affinities(weights).attraction(places), expected, rtol=1e-5, atol=1e-7)


def test_the_forces_are_the_slope_of_the_loss_of_t_sne() -> None:
    affinities, places = Affinities(ring(12)), scattered(12, 1.5)
    joint = (ring(12) + ring(12).T).toarray()
    joint /= joint.sum()

    def loss(at: np.ndarray) -> float:
        near = 1 / (1 + ((at[:, None] - at[None]) ** 2).sum(axis=2))
        np.fill_diagonal(near, 0)
        return float(-(joint[joint > 0] * np.log((near / near.sum())[joint > 0])).sum())

    repulsion = exact_repulsion(places)
    gradient = 4 * (affinities.attraction(places) - repulsion.forces / repulsion.total)
    exact = places.astype(np.float64)
    for place, axis in ((0, 0), (5, 1), (11, 0)):
        step = np.zeros_like(exact)
        step[place, axis] = 1e-5
        assert gradient[place, axis] == pytest.approx(
            (loss(exact + step) - loss(exact - step)) / 2e-5, rel=1e-3, abs=1e-6
        )


def test_neighbours_end_near_each_other_and_held_groups_where_they_were() -> None:
    two = csr_matrix(np.kron(np.eye(2), np.ones((40, 40)) - np.eye(40)))
    groups = np.repeat([0, 1], 40)
    centres = np.array([[-20, 5], [20, -5]], np.float32)
    free = settle(scattered(80, 1), Affinities(two), [Stage(100, 4, 0.8)])
    inside = np.linalg.norm(free[:40] - free[:40].mean(axis=0), axis=1).mean()
    assert np.linalg.norm(free[:40].mean(axis=0) - free[40:].mean(axis=0)) > 3 * inside
    held = settle(scattered(80, 1), Affinities(two), [Stage(100, 4, 0.8)], Anchored(groups, centres))
    means = np.stack([held[groups == one].mean(axis=0) for one in (0, 1)])
    np.testing.assert_allclose(means, centres, atol=1.5)


def test_a_map_at_its_scale_stays_at_its_scale() -> None:
    affinities = Affinities(ring(300))
    settled = settle(scattered(300, 1), affinities, [Stage(300, 2, 0.8)])
    assert balanced_scale(settled, affinities, 2) == pytest.approx(1, abs=0.15)
    assert balanced_scale(settled * np.float32(10), affinities, 2) == pytest.approx(0.1, abs=0.015)
    assert balanced_scale(np.zeros((300, 2), np.float32), affinities, 2) == 1
