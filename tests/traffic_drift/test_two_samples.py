"""The two-sample tests as a family: their level when nothing changed, their power, and inputs that say nothing."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.drift import classifier as classifiers
from monitor.drift import energy as energies
from monitor.drift import mmd as mmds
from monitor.drift import neighbourhood as neighbourhoods
from monitor.drift import novelty as novelties
from monitor.drift import shares as share_tests
from monitor.drift.attribution import Attribution
from monitor.drift.family import ALWAYS, run_tests
from monitor.drift.kernels import by_conversation
from monitor.drift.pool import DriftResult, Pool, p_value, pooled
from monitor.drift.sample import Sample
from monitor.drift.shares import ShareChange
from monitor.drift.verdict import combined
from tests.traffic_drift.drift_draws import SUBJECTS, WEIGHTS, WIDTH, draw, most_alarms, unit

Test = Callable[..., DriftResult]


def of_windows(test: Callable[[Pool], DriftResult]) -> Test:
    def run(reference: Sample, current: Sample, *, rng: np.random.Generator, permutations: int = 999) -> DriftResult:
        return test(pooled(reference, current, rng=rng, permutations=permutations))

    return run


def share_changes(one: Sample, other: Sample, *, rng: np.random.Generator, permutations: int) -> list[ShareChange]:
    return share_tests.share_changes(pooled(one, other, rng=rng, permutations=permutations))


mmd, shares, energy = of_windows(mmds.mmd), of_windows(share_tests.shares), of_windows(energies.energy)
neighbourhood, novelty = of_windows(neighbourhoods.neighbourhood), of_windows(novelties.novelty)
nearest = of_windows(partial(neighbourhoods.neighbourhood, k=neighbourhoods.NARROW))
classifier = of_windows(classifiers.classifier)

FAMILY = {
    "mmd": mmd,
    "energy": energy,
    "neighbourhood": neighbourhood,
    "nearest": nearest,
    "novelty": novelty,
    "shares": shares,
    "classifier": classifier,
}
family = pytest.mark.parametrize("test", FAMILY.values(), ids=FAMILY)


def nothing(count: int = 0) -> Sample:
    return Sample(np.zeros((count, WIDTH), np.float32), np.zeros((2, count), np.int64), np.arange(count))


@pytest.mark.slow
@pytest.mark.parametrize("turns", [1, 10])
def test_false_alarms_stay_at_the_level(turns: int) -> None:
    draws = 200
    found: dict[str, list[float]] = {}
    for rng in map(np.random.default_rng, range(draws)):
        sides = draw(rng, 60 // (1 + turns // 4), turns), draw(rng, 40 // (1 + turns // 4), turns)
        tests = run_tests(pooled(*sides, rng=rng, permutations=99), (*ALWAYS, "energy", "classifier"))
        for name, result in tests.items():
            found.setdefault(name, []).append(result.p_value)
        found.setdefault("combined", []).append(combined(tests))
    assert len(found) == 9
    for name, values in found.items():
        for level in (0.05, 0.2):
            assert (np.array(values) <= level).sum() <= most_alarms(draws, level), name
        # Nor is the test silent for ever.
        assert (np.array(values) <= 0.5).sum() >= 0.3 * draws, name


def test_rare_topics_are_no_change() -> None:
    """What varies hardly under permutations must not make the observed change large: one in six of these alarmed once."""
    values, draws = [], 200
    for rng in map(np.random.default_rng, range(draws)):
        topics = rng.integers(300, size=(1, 420))
        sides = [
            Sample(np.ones((size, 2), np.float32), topics[:, start : start + size], np.arange(size))
            for start, size in ((0, 400), (400, 20))
        ]
        values.append(share_tests.largest_share(pooled(*sides, rng=rng, permutations=99)).p_value)
    assert (np.array(values) <= 0.05).sum() <= most_alarms(draws, 0.05)


@family
def test_turns_that_are_permuted_one_by_one_would_alarm(test: Test) -> None:
    """The null with ten turns a conversation is no easy one: who forgets the conversations fails on it."""
    alarms = 0
    for rng in map(np.random.default_rng, range(20)):
        one, other = draw(rng, 12, 10), draw(rng, 12, 10)
        parts = [Sample(part.vectors, part.topics, np.arange(len(part))) for part in (one, other)]
        alarms += test(*parts, rng=rng, permutations=99).p_value <= 0.05
    assert alarms >= 12


def moved(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The rarest subject is asked as often as the most frequent one."""
    changed = weights.copy()
    changed[SUBJECTS - 1] = changed[0]
    return changed


def grown(weights: NDArray[np.float64], part: float = 0.1) -> NDArray[np.float64]:
    """A new subject takes this part of the traffic."""
    changed = weights.copy()
    changed[SUBJECTS] = weights.sum() * part / (1 - part)
    return changed


@pytest.mark.parametrize("test", [mmd, energy, shares, neighbourhood], ids=["mmd", "energy", "shares", "neighbourhood"])
def test_a_change_of_popularity_is_found(test: Test) -> None:
    found = 0
    for rng in map(np.random.default_rng, range(20)):
        one, other = draw(rng, 300), draw(rng, 200, weights=moved(WEIGHTS))
        found += test(one, other, rng=rng, permutations=99).p_value <= 0.02
    assert found >= 18


@family
def test_a_new_subject_is_found(test: Test) -> None:
    """A fifth of the traffic: at a tenth the exact MMD, with every pair's kernel, finds 6 of these 20, as ours does."""
    found = 0
    for rng in map(np.random.default_rng, range(20)):
        one, other = draw(rng, 300), draw(rng, 200, weights=grown(WEIGHTS, 0.2))
        result = test(one, other, rng=rng, permutations=99)
        found += result.p_value <= 0.02
        assert result.effect > 0
    assert found >= (12 if test is classifier else 18)


@family
@pytest.mark.parametrize(("before", "after"), [(0, 0), (0, 5), (5, 0)])
def test_an_empty_window_says_nothing(test: Test, before: int, after: int) -> None:
    result = test(nothing(before), nothing(after), rng=np.random.default_rng(0), permutations=99)
    assert np.isnan([result.statistic, result.p_value, result.effect, result.low, result.high]).all()
    assert (result.n_reference, result.n_current) == (before, after)


@family
@pytest.mark.parametrize(("before", "after"), [(1, 1), (2, 1), (1, 300), (40, 40)])
def test_tiny_and_constant_windows_are_no_change(test: Test, before: int, after: int) -> None:
    rng = np.random.default_rng(0)
    one = Sample(np.ones((before, WIDTH), np.float32) / WIDTH**0.5, np.ones((2, before), np.int64), np.arange(before))
    other = Sample(np.ones((after, WIDTH), np.float32) / WIDTH**0.5, np.ones((2, after), np.int64), np.arange(after))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        result = test(one, other, rng=rng, permutations=99)
        different = test(draw(rng, before), draw(rng, after), rng=rng, permutations=99)
    if test is classifier and min(before, after) < 4:  # two halves of two
        assert np.isnan([result.p_value, different.p_value]).all()
        return
    assert result.p_value > 0.1
    assert abs(result.effect) < 0.3
    assert 0 < different.p_value <= 1


@family
def test_one_conversation_a_window_can_never_be_an_alarm(test: Test) -> None:
    """However different two conversations are, two of them say nothing about the traffic."""
    rng = np.random.default_rng(0)
    one, other = draw(rng, 1, 50), draw(rng, 1, 50)
    assert not test(one, other, rng=rng, permutations=199).p_value <= 0.3


@family
def test_the_same_seed_gives_the_same_result(test: Test) -> None:
    rng = np.random.default_rng(3)
    one, other = draw(rng, 50, 2), draw(rng, 40, 3)
    results = [test(one, other, rng=np.random.default_rng(9), permutations=99) for _ in range(2)]
    assert results[0].statistics.tolist() == results[1].statistics.tolist()
    assert (results[0].effect, results[0].low, results[0].high) == (results[1].effect, results[1].low, results[1].high)


@family
def test_the_smallest_p_value_is_one_in_permutations_and_one(test: Test) -> None:
    rng = np.random.default_rng(0)
    one = draw(rng, 100)
    new = Sample(-one.vectors, one.topics + 7, one.conversations)
    if test in (neighbourhood, nearest):  # it looks at each text's own neighbours
        new = Sample(unit(-np.ones((100, WIDTH)) + 0.01 * rng.normal(size=(100, WIDTH))), new.topics, new.conversations)
    assert test(one, new, rng=rng, permutations=99).p_value == 0.01
    assert test(one, new, rng=rng, permutations=499).p_value == 0.002


# --- one by one


def exact_mmd(one: NDArray[np.float32], other: NDArray[np.float32], width: float) -> float:
    """The biased squared MMD with every pair's kernel, in float64."""

    def kernel(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
        squares = ((a[:, None] - b[None]) ** 2).sum(axis=2)
        return float(np.exp(-squares / (2 * width**2)).mean())

    x, y = one.astype(np.float64), other.astype(np.float64)
    return kernel(x, x) + kernel(y, y) - 2 * kernel(x, y)


def median_distance(vectors: NDArray[np.float32]) -> float:
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    return float(np.median(distances[np.triu_indices(len(vectors), 1)]))


@pytest.mark.parametrize("weights", [grown(WEIGHTS), moved(WEIGHTS)], ids=["new", "moved"])
def test_mmd_is_the_exact_one_to_a_tenth(weights: NDArray[np.float64]) -> None:
    rng = np.random.default_rng(1)
    one, other = draw(rng, 250), draw(rng, 150, weights=weights)
    exact = exact_mmd(one.vectors, other.vectors, median_distance(np.concatenate([one.vectors, other.vectors])))
    # 256 features: each run differs a little from the exact kernel, their mean hardly.
    found = [mmd(one, other, rng=np.random.default_rng(seed), permutations=1).statistic for seed in range(30)]
    assert np.mean(found) == pytest.approx(exact, rel=0.05)
    assert np.std(found) < 0.2 * exact


def test_mmd_ranks_permutations_as_the_exact_one_does() -> None:
    rng = np.random.default_rng(2)
    one, other = draw(rng, 60), draw(rng, 60)
    both = np.concatenate([one.vectors, other.vectors])
    width = median_distance(both)
    exact, found = [], []
    for _ in range(40):
        order = rng.permutation(len(both))
        left, right = both[order[:60]], both[order[60:]]
        exact.append(exact_mmd(left, right, width))
        halves = [Sample(part, one.topics, np.arange(60)) for part in (left, right)]
        found.append(mmd(*halves, rng=np.random.default_rng(0), permutations=1).statistic)
    assert np.corrcoef(exact, found)[0, 1] > 0.95


def test_the_effect_of_mmd_is_near_nought_for_equal_windows_and_one_for_windows_that_share_nothing() -> None:
    rng = np.random.default_rng(0)
    one = draw(rng, 300)
    assert mmd(one, draw(rng, 300), rng=rng, permutations=99).effect < 0.1
    tight = [unit(sign * np.ones((300, WIDTH)) + 0.01 * rng.normal(size=(300, WIDTH))) for sign in (1, -1)]
    apart = [Sample(vectors, one.topics, one.conversations) for vectors in tight]
    assert 0.85 <= mmd(*apart, rng=rng, permutations=99).effect <= 2**0.5


def test_neighbours_of_the_own_conversation_do_not_count() -> None:
    """Conversations of thirty equal turns: their own turns are the nearest, and the rest are drawn alike."""
    rng = np.random.default_rng(4)
    result = neighbourhood(draw(rng, 20, 14), draw(rng, 20, 14), rng=rng, permutations=199)
    assert result.statistic < 0.75
    assert result.p_value > 0.02


def test_equal_texts_in_both_windows_are_no_alarm() -> None:
    """A canned prompt is its own neighbour many times over; which copy is nearest must not depend on the window."""
    rng = np.random.default_rng(4)
    values = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        canned = draw(rng, 4)
        parts = [
            Sample(canned.vectors[at], canned.topics[:, at], np.arange(len(at)))
            for at in (rng.integers(4, size=100), rng.integers(4, size=60))
        ]
        values.append(neighbourhood(*parts, rng=rng, permutations=99).p_value)
    assert sum(value <= 0.05 for value in values) <= most_alarms(30, 0.05)


def test_shares_are_the_shares() -> None:
    rng = np.random.default_rng(0)
    one = Sample(np.zeros((4, 2), np.float32), np.array([[8, 8, 9, -1], [1, 2, 3, -1]]), np.arange(4))
    other = Sample(np.zeros((2, 2), np.float32), np.array([[9, 9], [3, -1]]), np.arange(2))
    changes = share_changes(one, other, rng=rng, permutations=99)
    assert {change.topic: (round(change.before, 6), round(change.after, 6)) for change in changes} == {
        8: (0.5, 0.0),
        9: (0.25, 1.0),
        1: (0.25, 0.0),
        2: (0.25, 0.0),
        3: (0.25, 0.5),
    }
    by_topic = {change.topic: change for change in changes}
    assert by_topic[9].change == 0.75


def test_the_topic_that_moved_is_named_first_and_the_others_are_not() -> None:
    named = false = 0
    for rng in map(np.random.default_rng, range(20)):
        sides = draw(rng, 300, 2), draw(rng, 200, 2, grown(WEIGHTS))
        whole, changes = (test(*sides, rng=rng, permutations=199) for test in (shares, share_changes))
        first = changes[0]
        named += first.topic in (SUBJECTS, 100 + SUBJECTS // 2) and first.p_value <= 0.01
        assert whole.effect == pytest.approx(0.1, abs=0.08)
        false += sum(change.p_value <= 0.01 for change in changes if change.topic < SUBJECTS - 1)
    assert named == 20
    # The others shrank a little to make room, by a tenth of their share.
    assert false <= 3


def test_the_interval_of_a_share_holds_the_true_change() -> None:
    """Nominally 90 %; a change by a quarter of the traffic."""
    weights = WEIGHTS.copy()
    weights[1] = WEIGHTS.sum()
    true = weights[1] / weights.sum() - WEIGHTS[1] / WEIGHTS.sum()
    held, draws = 0, 100
    for rng in map(np.random.default_rng, range(draws)):
        changes = share_changes(draw(rng, 150, 3), draw(rng, 120, 3, weights), rng=rng, permutations=199)
        (change,) = [one for one in changes if one.topic == 1]
        held += change.low <= true <= change.high
    assert held >= draws - most_alarms(draws, 0.12)


def test_without_a_topic_shares_say_nothing() -> None:
    rng = np.random.default_rng(0)
    none = np.full((2, 5), -1)
    one = Sample(np.zeros((5, 2), np.float32), none, np.arange(5))
    assert np.isnan(shares(one, one, rng=rng, permutations=99).p_value)
    assert share_changes(one, one, rng=rng, permutations=99) == []


def test_a_conversation_on_both_sides_counts_as_two() -> None:
    rng = np.random.default_rng(0)
    one, other = draw(rng, 3, 2), draw(rng, 2, 1)
    pool = pooled(one, other, rng=rng, permutations=7)
    assert pool.conversation[np.argsort(pool.order)].tolist() == [0, 0, 1, 1, 2, 2, 3, 4]
    assert pool.vectors[np.argsort(pool.order)].tolist() == np.concatenate([one.vectors, other.vectors]).tolist()
    assert pool.current.shape == (8, 5)
    assert pool.current[0].tolist() == [False, False, False, True, True]
    assert (pool.current.sum(axis=1) == 2).all()
    assert pool.turns.tolist() == [2, 2, 2, 1, 1]
    assert pool.sides == (6, 2)


def test_a_contrast_is_the_difference_of_means() -> None:
    rng = np.random.default_rng(0)
    one, other = draw(rng, 30, 3), draw(rng, 20, 2)
    pool = pooled(one, other, rng=rng, permutations=300)
    contrast = np.concatenate(list(pool.contrasts()))
    assert contrast.shape == (301, 50)
    expected = other.vectors.mean(axis=0) - one.vectors.mean(axis=0)
    assert contrast[0] @ by_conversation(pool, pool.vectors) == pytest.approx(expected, abs=1e-5)
    assert np.abs(contrast @ pool.turns).max() < 1e-5
    assert np.abs(pool.redrawn @ pool.turns).max() < 1e-5


def test_strata_are_permuted_within_and_weigh_as_they_do_now() -> None:
    """Two kinds of conversations that talk of different things; only their mix changed."""
    rng = np.random.default_rng(0)
    first, second = WEIGHTS * np.array([1, 0, 1, 0, 1, 0, 0]), WEIGHTS * np.array([0, 1, 0, 1, 0, 1, 0])

    def mixed(ones: int, others: int) -> tuple[Sample, NDArray[np.int64]]:
        parts = draw(rng, ones, 1, first), draw(rng, others, 1, second)
        kind = np.repeat([0, 1], [ones, others])
        return (
            Sample(
                np.concatenate([part.vectors for part in parts]),
                np.concatenate([part.topics for part in parts], axis=1),
                np.arange(ones + others),
            ),
            kind,
        )

    plain, within = [], []
    for _ in range(20):
        (one, before), (other, now) = mixed(200, 50), mixed(50, 100)
        plain.append(combined(run_tests(pooled(one, other, rng=rng, permutations=99))))
        pool = pooled(one, other, rng=rng, permutations=99, strata=(before, now))
        assert (pool.current[:, pool.stratum == 1].sum(axis=1)).tolist() == [100] * 100
        observed = next(pool.contrasts())[0]
        kinds = [np.abs(observed[(pool.stratum == 1) & side]).sum() for side in (pool.current[0], ~pool.current[0])]
        assert kinds == pytest.approx([100 / 150, 100 / 150], rel=1e-4)
        within.append(combined(run_tests(pool)))
    assert max(plain) <= 0.02
    assert sum(value <= 0.1 for value in within) <= most_alarms(20, 0.1)


def test_intervals_of_effects_hold_the_effect_and_shrink_with_the_turns() -> None:
    rng = np.random.default_rng(0)
    widths = []
    for size in (100, 900):
        one, other = draw(rng, 2 * size), draw(rng, size, weights=grown(WEIGHTS, 0.2))
        for test in FAMILY.values():
            found = test(one, other, rng=rng, permutations=99)
            assert found.low <= found.effect <= found.high
        found = novelty(one, other, rng=rng, permutations=99)
        widths.append(found.high - found.low)
    assert widths[1] < widths[0]


def test_random_features_say_what_every_pair_says(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    one, other = draw(rng, 250), draw(rng, 250, weights=grown(WEIGHTS))
    for module, test in ((mmds, mmd), (energies, energy)):
        exact = test(one, other, rng=np.random.default_rng(1), permutations=99)
        monkeypatch.setattr(module, "EXACT_BELOW", 10)
        approximate = test(one, other, rng=np.random.default_rng(1), permutations=99)
        assert np.corrcoef(exact.statistics, approximate.statistics)[0, 1] > 0.9
        assert approximate.effect == pytest.approx(exact.effect, rel=0.25)


def test_one_verdict_is_nearly_as_sure_as_the_surest_test() -> None:
    sure = DriftResult(0, 0, 0, np.array([9.0, *np.arange(99) / 100]), 1, 1)
    unsure = DriftResult(0, 0, 0, np.array([0.5, *np.arange(99) / 100]), 1, 1)
    silent = DriftResult(0, 0, 0, np.zeros(100), 1, 1)
    assert combined({"nearest": sure, "neighbours": unsure, "distribution": silent, "shares": silent}) <= 0.03
    assert combined({"nearest": unsure, "neighbours": unsure}) == pytest.approx(0.5, abs=0.02)
    assert np.isnan(combined({}))
    # A test without a weight has no say.
    assert combined({"nearest": unsure, "novelty": sure}) == pytest.approx(0.5, abs=0.02)


def test_parts_of_the_change_add_to_the_whole_at_most_and_name_the_planted_topic() -> None:
    right = 0
    for rng in map(np.random.default_rng, range(20)):
        pool = pooled(draw(rng, 300), draw(rng, 200, weights=grown(WEIGHTS)), rng=rng, permutations=199)
        parts = Attribution.of(pool).parts(pool.topics[1])
        assert parts.min() >= 0
        assert parts.sum() <= 1 + 1e-9
        right += int(parts.argmax()) == SUBJECTS
    assert right >= 18
    none = np.full(len(pool), -1)
    assert Attribution.of(pool).parts(none).tolist() == []


def test_ties_count_against_a_finding() -> None:
    assert p_value(np.array([1.0, 1.0 - 1e-12, 0.5, 2.0])) == 0.75
    assert p_value(np.zeros(100)) == 1.0
