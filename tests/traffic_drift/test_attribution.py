"""What carries a change: measures of the change by turn, and how they become parts."""

from __future__ import annotations

import numpy as np
import pytest
from drift_draws import SUBJECTS, WEIGHTS, draw

from monitor.drift.attribution import Attribution
from monitor.drift.pool import Pool, pooled


def windows(seed: int, before: list[float], now: list[float], turns: tuple[int, int] = (300, 200)) -> Pool:
    """Windows of so many conversations, whose subjects are asked for as said."""
    rng = np.random.default_rng(seed)
    sides = (draw(rng, number, 1, np.array(weights)) for number, weights in zip(turns, (before, now), strict=True))
    return pooled(*sides, rng=rng, permutations=199)


def usual(**changed: float) -> list[float]:
    """The usual weights of the subjects, but for those that are named `of_3=0.5`."""
    weights = (WEIGHTS / WEIGHTS.sum()).tolist()
    for name, value in changed.items():
        weights[int(name.removeprefix("of_"))] = value
    return weights


def measures(*groups: np.ndarray) -> Attribution:
    """Of two turns, each a group: what each carries, as it was and under permutations, a measure of each."""
    return Attribution(tuple(np.asarray(one, np.float64) for one in groups))


def test_what_nobody_asks_for_any_more_carries_the_change() -> None:
    first = [int(Attribution.of(pool).parts(pool.topics[1]).argmax()) for pool in (
        windows(seed, usual(**{f"of_{SUBJECTS}": 0.15}), usual()) for seed in range(20)
    )]  # fmt: skip
    assert first.count(SUBJECTS) >= 18


def test_a_subject_of_a_crowd_that_is_asked_for_more_carries_the_change() -> None:
    first = [int(Attribution.of(pool).parts(pool.topics[1]).argmax()) for pool in (
        windows(seed, usual(), usual(of_1=0.5)) for seed in range(20)
    )]  # fmt: skip
    assert first.count(1) >= 18


def test_the_third_measure_counts_turns_that_the_other_window_has_nothing_like() -> None:
    pool = windows(3, usual(), usual(**{f"of_{SUBJECTS}": 0.25}))
    moved = Attribution.of(pool).carried[2][0]
    now, new = pool.current[0][pool.conversation], pool.topics[1] == SUBJECTS
    # Each current turn weighs one in so many of them, and that is carried whole: around a new subject there is no reference.
    assert moved[now & new] == pytest.approx(1 / now.sum(), rel=0.05)
    assert moved.min() >= 0
    assert moved[now & ~new].sum() < 0.35 * now[~new].sum() / now.sum()


def test_the_measure_that_sees_the_change_says_where_it_is() -> None:
    noise = np.random.default_rng(0).normal(size=(3, 127, 2))
    sees = np.concatenate([[[20.0, 0.0]], noise[0]])
    blind = np.concatenate([[[-3.0, 3.1]], noise[1]])
    both = measures(sees, blind).parts(np.array([0, 1]))
    assert both[0] > 0.9
    assert both[1] == 0
    # Of two that see it as surely, each says half.
    other = np.concatenate([[[0.0, 20.0]], noise[2]])
    assert measures(sees, other).parts(np.array([0, 1])) == pytest.approx([0.5, 0.5], abs=0.1)


def test_nothing_carries_what_no_measure_sees() -> None:
    noise = np.random.default_rng(0).normal(size=(127, 2))
    less = np.concatenate([[[-5.0, 2.5]], noise])
    assert measures(less, less).parts(np.array([0, 1])).tolist() == [0, 0]
    assert Attribution(()).parts(np.array([0, 1])).tolist() == [0, 0]


def test_a_thing_carries_from_two_deviations_on_of_all_measures_together() -> None:
    noise = np.random.default_rng(1).normal(size=(2, 127, 2))
    scaled = noise / noise.std(axis=1, keepdims=True) - (noise / noise.std(axis=1, keepdims=True)).mean(
        axis=1, keepdims=True
    )
    # 1.8 deviations in each of two independent measures are 2.5 of their mean; 1.2 are 1.7.
    groups = [np.concatenate([[[1.8, 1.2]], one]) for one in scaled]
    parts = measures(*groups).parts(np.array([0, 1]))
    assert parts[0] == pytest.approx(0.6, abs=0.05)
    assert parts[1] == 0


def test_sums_that_differ_in_their_last_digits_say_nothing() -> None:
    level = np.full((128, 2), 0.1)
    level[0] += 1e-16
    assert measures(level, level).parts(np.array([0, 1])).tolist() == [0, 0]
