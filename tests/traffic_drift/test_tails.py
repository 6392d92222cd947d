"""Tails of binomials, and what the least of many says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from monitor.drift.tails import Tails, adjusted_for_all, log_tail, rejection_is_out_of_reach


@pytest.mark.parametrize("chance", [0.03, 0.4])
def test_tails_are_those_of_scipy_on_both_sides_of_the_table(chance: float) -> None:
    rng = np.random.default_rng(0)
    n = rng.integers(5, 3_000, size=400)
    x = rng.binomial(n, 1.5 * chance)
    expected = [binom.logsf(one - 1, trials, chance) for trials, one in zip(n, x, strict=True)]
    np.testing.assert_allclose(log_tail(n, x, chance), expected, rtol=1e-9)
    tails = Tails.of(np.full(400, chance), int(n.max()))
    assert tails.tables.shape[1] < n.max(), "some are beyond the table"
    np.testing.assert_allclose(tails.log_tails(np.arange(400), n, x), expected, rtol=1e-9)


def test_rows_have_the_tails_of_their_own_chances_and_a_bounded_table() -> None:
    rng = np.random.default_rng(1)
    chance = rng.uniform(0.01, 0.5, 300)
    tails = Tails.of(chance, 900)
    assert tails.tables.nbytes < 70e6
    np.testing.assert_allclose(tails.chances[tails.which], chance, rtol=0.026)
    n, rows = rng.integers(5, 900, size=200), rng.integers(300, size=200)
    x = rng.binomial(n, chance[rows])
    expected = binom.logsf(x - 1, n, tails.chances[tails.which[rows]])
    np.testing.assert_allclose(tails.log_tails(rows, n, x), expected, rtol=1e-9)


def test_a_chance_of_nought_is_a_chance_too() -> None:
    tails = Tails.of(np.array([0.0, 0.5]), 10)
    assert tails.log_tails(np.array([1]), np.array([4]), np.array([4]))[0] == pytest.approx(4 * np.log(0.5), rel=0.2)


def test_p_values_beyond_what_permutations_count_are_those_of_the_least_of_many() -> None:
    """The least of a thousand uniform p-values, so that the truth is known."""
    rng = np.random.default_rng(2)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        least = np.log1p(-((1 - rng.random(499)) ** (1 / 1_000)))
        for truth in (0.2, 0.01, 0.001, 0.0001):
            at = np.array([np.log1p(-((1 - truth) ** (1 / 1_000)))])
            assert 0.35 * truth < adjusted_for_all(at, least)[0] < 3 * truth, (seed, truth)
    assert adjusted_for_all(np.array([0.0]), least)[0] == 1.0


def test_p_values_grow_with_their_tails_and_are_never_beyond_what_is_counted() -> None:
    rng = np.random.default_rng(3)
    least = np.log(rng.random((99, 50)).min(axis=1))
    tails = np.linspace(-30, 0, 400)
    found = adjusted_for_all(tails, least)
    counted = (1 + (least[None] <= tails[:, None]).sum(axis=1)) / 100
    assert (found <= counted + 1e-12).all() and (found >= 0).all()
    assert adjusted_for_all(np.zeros(3), np.zeros(99)).tolist() == [1.0, 1.0, 1.0], "nothing was ever seen"


def test_what_is_given_up_is_above_the_level_whatever_the_other_permutations_say() -> None:
    for permutations in (99, 499):
        for level in (0.001, 0.01, 0.05, 0.2, 1.0):
            at = next(
                (one for one in range(permutations + 1) if rejection_is_out_of_reach(one, permutations, level)), None
            )
            if at is None:
                assert level == 1.0
                continue
            for rest in (-1.0, 0.0):  # all others reach it, or none
                least = np.where(np.arange(permutations) < at, -1.0, rest)
                assert adjusted_for_all(np.array([-1.0]), least)[0] > level
