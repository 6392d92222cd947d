"""Surges: silent when nothing changed, and the right texts when something is planted."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.drift import surges
from monitor.drift.surges import Surge, find_surges
from tests.traffic_drift.drift_draws import SUBJECTS, draw, most_alarms

DAY = 86_400_000_000
SPAN = 35


def times(
    rng: np.random.Generator, conversations: NDArray[np.int64], turns_apart: int = 60_000_000
) -> NDArray[np.int64]:
    """When each turn was: conversations open at any time of the span, and their turns follow in a minute each."""
    opened = (rng.random(int(conversations.max()) + 1) * (SPAN - 0.01) * DAY).astype(np.int64)
    first = np.searchsorted(conversations, conversations)
    return opened[conversations] + turns_apart * (np.arange(len(conversations)) - first)


def look(
    vectors: NDArray[np.float32],
    created: NDArray[np.int64],
    conversations: NDArray[np.int64],
    *,
    seed: int = 0,
    end: int = SPAN * DAY,
    **options: Any,
) -> list[Surge]:
    rng = np.random.default_rng(seed)
    return find_surges(vectors, created, conversations, end=end, span_days=SPAN, rng=rng, **options)


@pytest.mark.slow
@pytest.mark.parametrize(("conversations", "turns"), [(240, 1), (150, 3)])
def test_looks_that_find_anything_when_nothing_changed_stay_at_the_level(conversations: int, turns: int) -> None:
    draws, level = 200, 0.05
    alarms = 0
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        one = draw(rng, conversations, turns)
        created = times(rng, one.conversations)
        alarms += bool(look(one.vectors, created, one.conversations, seed=seed, permutations=99, level=level))
    assert alarms <= most_alarms(draws, level)


def planted(
    rng: np.random.Generator, conversations: int, days: float, turns: int = 1
) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """A new subject in the last days, among 400 conversations about others; the last array marks its turns."""
    only = np.zeros(SUBJECTS + 1)
    only[SUBJECTS] = 1
    old, new = draw(rng, 400, turns), draw(rng, conversations, turns, only)
    opened = ((SPAN - days + rng.random(conversations) * days * 0.9) * DAY).astype(np.int64)
    created = np.concatenate([times(rng, old.conversations), opened[new.conversations]])
    talk = np.concatenate([old.conversations, 400 + new.conversations])
    return np.concatenate([old.vectors, new.vectors]), created, talk, np.arange(len(talk)) >= len(old)


@pytest.mark.slow
@pytest.mark.parametrize(("conversations", "days"), [(14, 2), (14, 4), (20, 7)])
def test_a_new_subject_is_found_and_its_texts_are_named(conversations: int, days: float) -> None:
    for seed in range(5):
        vectors, created, talk, new = planted(np.random.default_rng(seed), conversations, days)
        found = look(vectors, created, talk, seed=seed, permutations=199)
        assert found
        first = found[0]
        assert new[first.centre]
        assert first.members[0] == first.centre
        assert new[list(first.members)].mean() > 0.8
        assert first.recent >= conversations * 0.6
        assert 0 < first.p_value <= 1 / 200
        assert first.share > 3 * first.share_before
        assert first.recent <= first.all_recent
        assert first.before <= first.all_before
        assert first.all_recent + first.all_before == len(np.unique(talk))
        assert (created[list(first.members)] >= (SPAN - first.days) * DAY).all()


def test_one_long_conversation_is_no_surge() -> None:
    """Forty turns of one person about something new are one conversation."""
    rng = np.random.default_rng(0)
    vectors, created, talk, new = planted(rng, 1, 2, 1)
    rows = np.concatenate([np.arange(len(talk)), np.repeat(np.flatnonzero(new), 40)])
    assert look(vectors[rows], created[rows], talk[rows], permutations=99) == []


def test_one_subject_is_told_once_and_two_are_told_apart() -> None:
    rng = np.random.default_rng(1)
    vectors, created, talk, new = planted(rng, 20, 2, 2)
    second = vectors.copy()
    second[new & (talk % 2 == 0)] *= -1  # far from the other half
    found = look(second, created, talk, permutations=199)
    assert len(found) == 2
    assert not set(found[0].members) & set(found[1].members)
    assert len(look(vectors, created, talk, permutations=199)) == 1
    assert len(look(second, created, talk, permutations=199, most=1)) == 1


def test_a_subject_that_was_always_there_and_one_that_went_are_no_surge() -> None:
    rng = np.random.default_rng(2)
    vectors, created, talk, new = planted(rng, 20, 2)
    always = created.copy()
    always[new] = (np.arange(20) * SPAN / 20 * DAY).astype(np.int64)
    assert look(vectors, always, talk, permutations=99) == []
    gone = created.copy()
    gone[new] -= 20 * DAY
    assert look(vectors, gone, talk, permutations=99) == []


@pytest.mark.parametrize("conversations", [1, 14])
def test_what_is_found_does_not_hang_on_how_permutations_are_counted(
    conversations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    vectors, created, talk, _ = planted(np.random.default_rng(5), conversations, 4)
    found = look(vectors, created, talk, permutations=199)
    assert bool(found) == (conversations > 1)
    # At a level of 1 all of them are made.
    every = look(vectors, created, talk, permutations=199, level=1.0)
    assert [one for one in every if one.p_value <= 0.01] == found
    monkeypatch.setattr(surges, "_TOGETHER", 1)
    assert look(vectors, created, talk, permutations=199, level=1.0) == every


def test_what_is_outside_the_span_is_not_looked_at() -> None:
    vectors, created, talk, new = planted(np.random.default_rng(3), 20, 2)
    # Seen from two days earlier, nothing has begun; and seen from a hundred days later, there is nothing at all.
    before = look(vectors, created, talk, end=(SPAN - 2) * DAY, permutations=99)
    assert not any(new[list(surge.members)].any() for surge in before)
    assert look(vectors, created, talk, end=200 * DAY, permutations=99) == []


def test_the_same_seed_gives_the_same_surges() -> None:
    vectors, created, talk, _ = planted(np.random.default_rng(3), 20, 2)
    one, other = (look(vectors, created, talk, seed=4, permutations=99) for _ in range(2))
    assert one
    assert one == other


def test_no_input_and_little_input_find_nothing() -> None:
    none = np.zeros(0, np.int64)
    assert look(np.zeros((0, 8), np.float32), none, none) == []
    for count in (1, 4, 12):
        one = draw(np.random.default_rng(0), count)
        assert look(one.vectors, np.full(count, SPAN * DAY - 1), one.conversations) == []


@pytest.mark.parametrize("distinct", [1, 3, 12])
def test_a_few_texts_that_everyone_sends_are_no_surge(distinct: int) -> None:
    rng = np.random.default_rng(6)
    texts = draw(rng, distinct).vectors
    created = times(rng, np.arange(500))
    assert look(texts[rng.integers(distinct, size=500)], created, np.arange(500), permutations=99) == []


def test_everything_at_once_is_a_start_and_no_surge() -> None:
    one = draw(np.random.default_rng(0), 300)
    assert look(one.vectors, np.full(300, (SPAN - 1) * DAY), one.conversations) == []


@pytest.mark.slow
def test_a_text_that_thousands_send_takes_no_more_memory_than_others() -> None:
    """5,000 conversations about one thing, and a new subject beside them; numpy's arrays are traced."""
    rng = np.random.default_rng(8)
    only = np.zeros(SUBJECTS + 1)
    only[0] = 1
    crowd = draw(rng, 5_000, 1, only)
    vectors, created, talk, new = planted(rng, 60, 4)
    tracemalloc.start()
    found = look(
        np.concatenate([vectors, crowd.vectors]),
        np.concatenate([created, times(rng, crowd.conversations)]),
        np.concatenate([talk, 1_000 + crowd.conversations]),
        permutations=49,
        level=0.02,
    )
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 250e6
    assert found
    assert np.isin(found[0].members, np.flatnonzero(new)).mean() > 0.8


def weekends(seed: int, surge: float = 1.0) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
    """Conversations of five weeks of which a fifth are about one thing at weekends, `surge` times as many at the last one; and
    whether each came at a weekend. The span ends on a Sunday night."""
    rng = np.random.default_rng(seed)
    days = np.sort(rng.uniform(0, SPAN, 2_000))
    weekend = days % 7 >= 5
    asked = weekend & (rng.random(2_000) < 0.2 * np.where(days >= SPAN - 2, surge, 1.0))
    vectors = np.eye(32, dtype=np.float32)[np.where(asked, 0, rng.integers(1, 20, 2_000))]
    vectors += rng.normal(0, 0.04, vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, (days * DAY).astype(np.int64), weekend.astype(np.int64)


def test_what_every_weekend_asks_for_is_no_surge_where_like_hours_are_compared() -> None:
    vectors, created, weekend = weekends(0)
    (wrong, *_) = look(vectors, created, np.arange(2_000), permutations=99)
    assert wrong.share > 2 * wrong.share_before
    assert look(vectors, created, np.arange(2_000), permutations=99, season=weekend) == []


def test_a_surge_at_a_weekend_is_found_and_measured_against_weekends() -> None:
    vectors, created, weekend = weekends(1, surge=2.5)
    found = look(vectors, created, np.arange(2_000), permutations=99, season=weekend)[0]
    assert (vectors[list(found.members), 0] > 0.8).mean() > 0.95
    assert 1.7 < found.share / found.share_before < 3.3, "than at other weekends"
    assert found.share / (found.before / found.all_before) > 5, "than on other days"


@pytest.mark.slow
def test_looks_that_find_anything_where_hours_differ_stay_at_the_level() -> None:
    draws, level = 100, 0.05
    found = 0
    for seed in range(draws):
        vectors, created, weekend = weekends(100 + seed)
        found += bool(look(vectors, created, np.arange(2_000), permutations=99, level=level, season=weekend))
    assert found <= most_alarms(draws, level)
