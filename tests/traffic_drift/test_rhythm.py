"""The rhythm of the traffic: found where there is one, and not where there is none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.drift.detector import Detector
from monitor.drift.rhythm import Rhythm
from monitor.drift.seasons import HOURS_OF_WEEK
from tests.traffic_drift.test_detector import ABOUT, BUDGET, TOPICS, USUAL, total

HOURS = np.arange(HOURS_OF_WEEK)
NIGHT, WEEKEND = (HOURS % 24 < 6) | (HOURS % 24 >= 21), HOURS >= 120


def asked(
    rng: np.random.Generator, hours: NDArray[np.int64], *, night: float = 0.0, weekend: float = 0.0
) -> NDArray[np.int64]:
    """Topics: those shares of the night and of the weekend are of two topics of their own."""
    topics = rng.choice(TOPICS, len(hours), p=ABOUT / ABOUT.sum())
    chance = rng.random(len(hours))
    topics[NIGHT[hours] & (chance < night)] = TOPICS - 1
    topics[WEEKEND[hours] & (chance >= night) & (chance < night + weekend)] = TOPICS - 2
    return topics


def apart(seasons: NDArray[np.int64], hours: NDArray[np.bool_]) -> bool:
    """Whether no season is both in those hours and in others."""
    return not set(seasons[hours].tolist()) & set(seasons[~hours].tolist())


@pytest.mark.parametrize(("night", "weekend", "seasons"), [(0.3, 0.0, 2), (0.0, 0.3, 2), (0.3, 0.3, 4)])
def test_hours_that_differ_are_parted(night: float, weekend: float, seasons: int) -> None:
    rng = np.random.default_rng(2)
    hours = rng.integers(HOURS_OF_WEEK, size=6_000)
    found = Rhythm.find(asked(rng, hours, night=night, weekend=weekend), hours, seed=1)
    assert found.seasons == seasons and found.of_hour.shape == (HOURS_OF_WEEK,)
    assert apart(found.of_hour, NIGHT) == (night > 0) and apart(found.of_hour, WEEKEND) == (weekend > 0)
    assert Rhythm.of_list(found.of_hour.tolist()).of_hour.tolist() == found.of_hour.tolist()


def test_where_hours_are_alike_there_is_one_season() -> None:
    rng = np.random.default_rng(5)
    several = 0
    for seed in range(30):
        hours = rng.integers(HOURS_OF_WEEK, size=1_000)
        several += Rhythm.find(asked(rng, hours), hours, seed=seed).seasons > 1
    assert several <= 2  # one in a hundred by chance


def test_a_few_conversations_have_no_rhythm() -> None:
    rng = np.random.default_rng(6)
    hours = rng.integers(HOURS_OF_WEEK, size=299)
    for few in (hours, hours[:1], hours[:0]):
        assert Rhythm.find(asked(rng, few, night=1.0), few, seed=1).seasons == 1
    # All at one hour: nothing to be parted.
    same = np.full(1_000, 9)
    assert Rhythm.find(asked(rng, same), same, seed=1).seasons == 1
    assert Rhythm.of_list(None).of_hour.tolist() == Rhythm.none().of_hour.tolist() == [0] * HOURS_OF_WEEK


@pytest.mark.parametrize("by_season", [True, False])
def test_a_rhythm_is_no_change_where_like_hours_are_compared(by_season: bool) -> None:
    """Five days, of whose nights half is about one topic, as before. At the budget 63 % have had an alarm by then."""
    rng = np.random.default_rng(8)
    streams, length = 40, BUDGET
    hours = np.arange(length) // 8 % HOURS_OF_WEEK  # eight an hour
    season = NIGHT.astype(np.int64)
    before = np.tile(np.arange(2 * 8 * HOURS_OF_WEEK) // 8 % HOURS_OF_WEEK, (streams, 1))
    counts = np.zeros((streams, 2, TOPICS, len(USUAL)))
    for row in range(streams):
        bins = rng.choice(len(USUAL), before.shape[1], p=USUAL)
        np.add.at(counts[row], (season[before[row]], asked(rng, before[row], night=0.5), bins), 1)
    negatives = 0.08 * counts.sum(axis=(2, 3))
    detector = Detector.of(counts, negatives) if by_season else Detector.of(counts.sum(axis=1), negatives.sum(axis=1))
    topics = np.stack([asked(rng, hours, night=0.5) for _ in range(streams)])
    told = np.zeros(streams, bool)
    for at in range(length):
        detector.update(
            topics[:, at],
            rng.choice(len(USUAL), streams, p=USUAL),
            rng.random(streams) < 0.08,
            time=1.0,
            at=float(at),
            season=np.full(streams, season[hours[at]]) if by_season else None,
        )
        told |= total(detector) >= BUDGET
    assert told.mean() <= 0.63 if by_season else told.mean() >= 0.7


def test_a_state_of_before_seasons_is_read() -> None:
    rng = np.random.default_rng(9)
    counts = rng.integers(1, 9, (1, TOPICS, len(USUAL))).astype(float)
    state = Detector.of(counts, np.array([12.0])).state()
    old = state | {"counts": state["counts"][0], "negatives": state["negatives"][0]}
    assert np.shape(old["counts"]) == (1, TOPICS, len(USUAL)) and np.shape(old["negatives"]) == (1,)
    assert Detector.from_state(old).state() == state
