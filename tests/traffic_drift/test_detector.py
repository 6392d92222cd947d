"""The detector: how often it tells of nothing, what it sees and since when, and that it goes on where it was."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from monitor.drift.bets import BINS, FAR, SHARES, pays_on_cells, pays_on_one, pays_on_whole
from monitor.drift.detector import FEWEST, Detector

TOPICS = 8
#: Shares of the topics, and of the bins; those of a new subject lie far.
ABOUT = np.array([0.3, 0.2, 0.15, 0.1, 0.1, 0.07, 0.05, 0.03])
USUAL = np.diff([0.0, *BINS, 1.0])
BUDGET = 1_000


def conversations(
    rng: np.random.Generator, shape: tuple[int, ...], about: NDArray[np.float64] = ABOUT
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    return (
        rng.choice(TOPICS, shape, p=about / about.sum()),
        rng.choice(len(USUAL), shape, p=USUAL),
        rng.random(shape) < 0.08,
    )


def counted(topics: NDArray[np.int64], bins: NDArray[np.int64]) -> NDArray[np.float64]:
    found = np.zeros((len(topics), TOPICS, len(USUAL)))
    for row in range(len(topics)):
        np.add.at(found[row], (topics[row], bins[row]), 1)
    return found


def watching(rng: np.random.Generator, reference: int, streams: int = 1) -> Detector:
    topics, bins, negative = conversations(rng, (streams, reference))
    return Detector.of(counted(topics, bins), negative.sum(axis=1).astype(float))


def total(detector: Detector) -> NDArray[np.float64]:
    return np.sum(list(detector.evidence().values()), axis=0)


def alarms(
    detector: Detector,
    topics: NDArray[np.int64],
    bins: NDArray[np.int64],
    negative: NDArray[np.bool_],
    *,
    budget: float = BUDGET,
) -> NDArray[np.int64]:
    """Conversations [s] until the alarm; as many as there are where there is none."""
    found = np.full(len(topics), topics.shape[1])
    for at in range(topics.shape[1]):
        detector.update(topics[:, at], bins[:, at], negative[:, at], time=1.0, at=float(at))
        found[(total(detector) >= budget) & (found == topics.shape[1])] = at + 1
    return found


@pytest.mark.parametrize("reference", [300, 1_500])
def test_a_false_alarm_takes_the_budget_in_the_mean_however_small_the_reference(reference: int) -> None:
    rng = np.random.default_rng(3)
    detector = watching(rng, reference, streams=100)
    run = alarms(detector, *conversations(rng, (100, 3 * BUDGET)))
    # What is cut off after three budgets only makes the mean smaller.
    assert run.mean() >= BUDGET
    assert (run <= BUDGET / 10).mean() <= 0.1  # and by a tenth of the budget there is one in at most a tenth


def test_every_bet_pays_one_in_the_mean_of_what_was_seen() -> None:
    """Given which conversations there are, the one that came last is any of them: then no bet wins or loses."""
    rng = np.random.default_rng(1)
    topics, bins, negative = conversations(rng, (1, 60))
    counts, learned = counted(topics, bins), rng.random((1, 6, TOPICS)) * 5
    usual = counts * 2 + 1
    paid_whole, paid_cells, paid_one = [], [], []
    for last in range(60):
        topic, bin_ = topics[:, last], bins[:, last]
        before = counts.copy()
        before[0, topic[0], bin_[0]] -= 1
        paid_whole.append(pays_on_whole(before, usual, learned, topic, bin_)[0])
        paid_cells.append(pays_on_cells(before, topic, bin_))
        among = negative.sum(axis=1) - negative[:, last]
        paid_one.append(pays_on_one(among.astype(float), np.array([59.0]), negative[:, last]))
    assert (np.mean(paid_whole, axis=0) <= 1 + 1e-9).all()  # less where a cell was never seen
    there = counts.sum(axis=2)[0] > 0
    np.testing.assert_allclose(np.mean(paid_cells, axis=0)[0, 0, there], 1)
    far = counts[0, :, FAR:].sum(axis=1) > 0
    np.testing.assert_allclose(np.mean(paid_cells, axis=0)[0, 1, far], 1)
    np.testing.assert_allclose(np.mean(paid_one, axis=0), np.ones((1, len(SHARES))))


def test_new_subjects_are_seen_soon_and_dated() -> None:
    rng = np.random.default_rng(4)
    detector = watching(rng, 1_500, streams=20)
    topics, bins, negative = conversations(rng, (20, 900))
    new = (np.arange(900) >= 500) & (rng.random((20, 900)) < 0.3)
    bins[new], topics[new] = len(USUAL) - 1, 3
    run = alarms(detector, topics, bins, negative)
    assert np.median(run) <= 560 and (run > 500).mean() >= 0.9
    one = Detector.of(counted(*conversations(rng, (1, 1_500))[:2]), np.array([120.0]))
    for at in range(int(run[0])):
        one.update(topics[:1, at], bins[:1, at], negative[:1, at], time=1.0, at=float(at))
    change = one.change()
    assert (change.family, change.topic) in {("novelty", 3), ("novelty", -1)}
    assert 470 <= change.since <= 530
    assert change.hits / change.conversations > 2 * change.usual
    assert change.usual == pytest.approx(0.1 if change.topic < 0 else 0.01, abs=0.03)
    assert change.grown == change.hits / change.conversations - change.usual


@pytest.mark.parametrize("family", ["topics", "negative"])
def test_the_family_that_changed_is_named(family: str) -> None:
    rng = np.random.default_rng(6)
    detector = watching(rng, 1_500)
    topics, bins, negative = conversations(rng, (1, 800))
    changed = (np.arange(800) >= 300) & (rng.random((1, 800)) < 0.25)
    if family == "topics":
        topics[changed] = 6
    else:
        negative[changed] = True
    run = int(alarms(detector, topics, bins, negative)[0])
    again = watching(np.random.default_rng(6), 1_500)
    alarms(again, topics[:, :run], bins[:, :run], negative[:, :run])
    change = again.change()
    assert 300 < run < 450
    assert (change.family, change.topic) == (family, 6 if family == "topics" else -1)
    assert 270 <= change.since < run


def test_time_is_the_budget_and_not_the_number_of_conversations() -> None:
    """Ten times as many conversations in the same time are told of no more often: each start weighs a tenth."""
    rng = np.random.default_rng(8)
    slow, fast = watching(rng, 300), watching(rng, 300)
    topics, bins, negative = conversations(rng, (1, 1))
    slow.update(topics[:, 0], bins[:, 0], negative[:, 0], time=1.0, at=0.0)
    fast.update(topics[:, 0], bins[:, 0], negative[:, 0], time=0.1, at=0.0)
    assert 0 < total(fast)[0] < total(slow)[0]


def test_it_goes_on_where_it_was() -> None:
    rng = np.random.default_rng(2)
    whole, halves = watching(rng, 400), watching(np.random.default_rng(2), 400)
    topics, bins, negative = conversations(rng, (1, 200))
    alarms(whole, topics, bins, negative)
    for part in (slice(0, 90), slice(90, 200)):
        kept = orjson.loads(orjson.dumps(halves.state()))
        halves = Detector.from_state(kept)
        assert halves.state() == kept
        for at in range(part.start, part.stop):
            halves.update(topics[:, at], bins[:, at], negative[:, at], time=1.0, at=float(at))
    assert halves.state() == whole.state()


def test_after_a_restart_it_learns_what_is_usual_before_it_bets() -> None:
    rng = np.random.default_rng(5)
    topics, bins, negative = conversations(rng, (1, FEWEST + 50), np.eye(TOPICS)[2] + 0.05)
    detector = watching(rng, 500).restarted()
    for at in range(FEWEST + 50):
        assert detector.betting[0] == (at >= FEWEST)
        detector.update(topics[:, at], bins[:, at], negative[:, at], time=1.0, at=float(at))
        assert (total(detector)[0] > 0) == (at >= FEWEST)
    assert detector.usual.sum() == FEWEST  # the new usual is what came after the alarm


def test_counts_of_other_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="2 bins; there are 5"):
        Detector.of(np.zeros((1, 3, 2)), np.zeros(1))
