"""The change of coverage from one eval set to another, on the same traffic."""

import numpy as np
import pytest

from monitor.coverage.change import change_between
from monitor.coverage.draws import Replicate
from monitor.coverage.estimate import Traffic, estimate_coverage
from monitor.coverage.folds import lots
from monitor.coverage.interval import differs, flips
from monitor.coverage.novelty import EvalVectors, measure_novelty

SUBJECTS, TURNS, ITEMS = 40, 40, 6


def _unit(vectors):
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


class World:
    """Traffic of some subjects, and eval sets that hold those from one on."""

    def __init__(self, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        centres = rng.normal(size=(SUBJECTS, 24))
        self.subject = np.repeat(np.arange(SUBJECTS), TURNS)
        self.texts = _unit(centres[self.subject] + 0.45 * rng.normal(size=(len(self.subject), 24)))
        self.label = np.repeat(np.arange(SUBJECTS), ITEMS)
        self.items = _unit(centres[self.label] + 0.45 * rng.normal(size=(len(self.label), 24)))

    def coverage(self, chosen, *, seed=1):
        rows = np.flatnonzero(chosen)
        items = EvalVectors(self.items[rows], [str(self.label[row]) for row in rows], [f"item {row}" for row in rows])
        number = np.arange(len(self.texts))
        novelty = measure_novelty(self.texts, items, topics=[self.subject], k=10)
        traffic = Traffic(number, self.subject[None], number // 2)
        return estimate_coverage(novelty, traffic, topics=SUBJECTS, interval=0.9, replicates=60, seed=seed)


def test_what_both_share_cancels():
    world = World()
    before, now = world.coverage(world.label >= 8), world.coverage(world.label >= 6)
    change = change_between(before, now, 0.9)
    truth = 2 / SUBJECTS
    assert change.traffic.low <= truth <= change.traffic.high and change.traffic.low > 0
    assert change.traffic.value == pytest.approx(now.traffic.value - before.traffic.value)
    # Drawn apart, each would move for itself.
    apart = change_between(before, world.coverage(world.label >= 6, seed=2), 0.9).traffic
    assert apart.high - apart.low > 1.5 * (change.traffic.high - change.traffic.low)
    won = [one.value for one in change.topics]
    assert min(won[6:8]) > max(np.delete(won, [6, 7]))
    assert all(one.low <= 1 <= one.high + 0.1 and one.low > 0 for one in change.topics[6:8])


def test_the_other_way_about_it_is_lost():
    world = World()
    before, now = world.coverage(world.label >= 8), world.coverage(world.label >= 6)
    won, lost = (change_between(*pair, 0.9) for pair in ((before, now), (now, before)))
    for one, other in ((won.traffic, lost.traffic), (won.topics[6], lost.topics[6])):
        assert (other.low, other.value, other.high) == pytest.approx((-one.high, -one.value, -one.low))


def test_of_the_same_items_nothing_changes():
    world = World()
    chosen = world.label >= 8
    change = change_between(world.coverage(chosen), world.coverage(chosen), 0.9)
    assert {(one.low, one.value, one.high) for one in (change.traffic, *change.topics)} == {(0, 0, 0)}


def test_fewer_items_of_what_stays_covered_are_no_change():
    world = World()
    chosen = world.label >= 8
    fewer = chosen & ((np.arange(len(chosen)) % ITEMS > 0) | (world.label % 8 > 0))
    change = change_between(world.coverage(chosen), world.coverage(fewer), 0.9)
    assert change.traffic.low <= 0 <= change.traffic.high


def test_replicates_mirrored_are_where_the_truth_lies():
    draws = np.array([[-0.3], *[[0.1]] * 18, [0.2]])
    (found,) = differs(np.array([0.1]), draws, 1.0)
    assert (found.low, found.value, found.high) == pytest.approx((0.0, 0.1, 0.5))


def test_the_change_of_a_topic_is_that_of_a_handful_of_intents():
    draws = np.full((200, 3), [0.5, -0.5, 0.0])
    draws[:, 2] = np.nan
    won, lost, unknown = flips(np.array([0.5, -0.5, np.nan]), draws, 0.9)
    assert (won.low, won.high) == pytest.approx((0.05, 0.95), abs=0.01)  # uniform, of three intents
    assert (lost.low, lost.high) == pytest.approx((-won.high, -won.low), abs=0.01)
    assert np.isnan(unknown.low)


def test_an_item_is_drawn_alike_whatever_others_there_are():
    one = lots(f"item {row}" for row in range(4000))
    for number in range(5):
        drawn = Replicate.of(3, number)
        assert (drawn.times(one)[:50] == drawn.times(one[:50])).all()
        assert (drawn.conversations(500) == Replicate.of(3, number).conversations(500)).all()
    few = Replicate.of(3, 0).times(one, 0.9)
    assert few.mean() == pytest.approx(0.9, abs=0.06) and few.var() == pytest.approx(0.9, abs=0.12)


def test_replicates_seeds_and_streams_differ():
    one = lots(f"item {row}" for row in range(4000))
    drawn = [Replicate.of(seed, number) for seed in (1, 2) for number in (0, 1)]
    times = [each.times(one, once_more=again) for each in drawn for again in (False, True)]
    correlations = np.corrcoef(times)[np.triu_indices(len(times), 1)]
    assert np.abs(correlations).max() < 0.08
    assert len({each.place for each in drawn}) == 4
