"""How sure it is that a gap grows, and that replies fail there."""

from dataclasses import replace

import numpy as np
import pytest
from productions import WEEKS, production

from monitor.atlas.timeline import growth
from monitor.coverage.gaps import risk_of
from monitor.coverage.pressing import pressing_of


def traffic(rng, *, grown=1.0, failing=1.0, talks=1200, longest=6):
    """Conversations, of one turn or more, of the gap (topic 0) or not: a tenth is, and a tenth of the conversations fails."""
    week = np.sort(rng.integers(WEEKS - 5, WEEKS, talks))
    in_gap = rng.random(talks) < np.where(week == WEEKS - 1, 0.1 * grown, 0.1)
    fails = rng.random(talks) < np.where(in_gap, 0.1 * failing, 0.1)
    length = rng.integers(1, longest + 1, talks)
    conversation = np.repeat(np.arange(talks), length)
    found = production(
        np.where(in_gap, 0, 1)[conversation].tolist(),
        conversation.tolist(),
        ["eu"] * len(conversation),
        week[conversation].tolist(),
    )
    return replace(found, failed=fails[conversation])


def measured(one, *, replicates=100):
    rows = np.flatnonzero(one.atlas.of_turns[1] == 0)
    created, failed = one.corpus.created, one.failed
    figures = growth(created[rows], created, end=one.end), float(risk_of(failed[rows].sum(), len(rows), failed.mean()))
    return pressing_of(one, [rows], [figures], interval=0.9, replicates=replicates, seed=1)[0]


@pytest.mark.parametrize(("grown", "failing"), [(1.0, 1.0), (2.0, 1.3)])
def test_the_intervals_hold_the_truth_as_often_as_they_say(grown, failing):
    rng = np.random.default_rng(0)
    found = [measured(traffic(rng, grown=grown, failing=failing)) for _ in range(60)]
    # Of everything a tenth and a bit fails; both are drawn to 1 a little.
    truth = failing / (1 + 0.1 * (failing - 1))
    assert 0.8 <= np.mean([one.growth.low <= grown <= one.growth.high for one in found]) <= 0.99
    assert 0.8 <= np.mean([one.risk.low <= truth <= one.risk.high for one in found]) <= 1


def test_long_conversations_make_it_less_sure():
    rng = np.random.default_rng(1)
    short, long = (
        np.mean([_width(traffic(rng, talks=n, longest=k)) for _ in range(5)]) for n, k in ((2100, 1), (140, 29))
    )
    assert long > 2 * short  # about as many turns


def _width(one):
    found = measured(one).growth
    return found.high - found.low


def test_its_figures_are_those_that_the_ranking_has():
    one = traffic(np.random.default_rng(2), grown=3.0)
    found = measured(one)
    rows = np.flatnonzero(one.atlas.of_turns[1] == 0)
    assert found.growth.value == growth(one.corpus.created[rows], one.corpus.created, end=one.end)
    assert found.growth.low > 1 and found.risk.low <= found.risk.value <= found.risk.high
    assert measured(one) == found


def test_what_is_not_known_has_no_interval():
    one = traffic(np.random.default_rng(3))
    rows = np.flatnonzero(one.atlas.of_turns[1] == 0)
    (found,) = pressing_of(one, [rows], [(float("nan"), 1.0)], interval=0.9, replicates=20, seed=1)
    assert np.isnan([found.growth.value, found.growth.low, found.growth.high]).all() and np.isfinite(found.risk.low)
    assert pressing_of(one, [], [], interval=0.9, replicates=20, seed=1) == []
    nobody = replace(one, failed=np.zeros(len(one.corpus), bool))
    assert (measured(nobody).risk.low, measured(nobody).risk.high) == (1, 1)
