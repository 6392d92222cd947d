"""Which topics are gaps, and in which order."""

from dataclasses import replace

import numpy as np
import pytest

from monitor.coverage.gaps import Bounds, Slice, alerts, gap_id_of, priority_parts, rank_gaps, topic_id_of
from monitor.coverage.interval import Interval

GAP = Slice(
    parent=-1,
    turns=200,
    conversations=80,
    effective_conversations=60.0,
    share=0.02,
    coverage=Interval(0.1, 0.05, 0.3),
    sampled=Interval(0.1, 0.05, 0.3),
    novelty=0.5,
    failures=0.1,
    loyalty=0.8,
    containment=0.5,
    growth=1.0,
)
COVERED = replace(GAP, coverage=Interval(0.95, 0.9, 1.0))
BOUNDS = Bounds(failures=0.1, loyalty=0.8, containment=0.4, min_conversations=5, min_share=0.001)


def ranked(*slices: Slice) -> list[int]:
    return [gap.slice for gap in rank_gaps(slices, BOUNDS)]


def test_only_uncovered_topics_are_gaps():
    assert ranked(COVERED, GAP) == [1]


@pytest.mark.parametrize(
    "change",
    [
        {"effective_conversations": 4.0},
        {"share": 0.0005},
        {"loyalty": 0.3},
        {"containment": 0.15},
        {"coverage": Interval(0.75, 0.6, 0.8)},
    ],
)
def test_small_disloyal_scattered_and_covered_topics_are_not(change):
    assert ranked(replace(GAP, **change)) == []


@pytest.mark.parametrize(
    "worse",
    [{"share": 0.03}, {"failures": 0.3}, {"growth": 2.0}, {"coverage": Interval(0.1, 0.05, 0.2)}],
)
def test_more_traffic_failures_growth_and_certainty_rank_higher(worse):
    assert ranked(GAP, replace(GAP, **worse)) == [1, 0]


def test_growth_that_nobody_knows_changes_nothing():
    first, second = rank_gaps([GAP, replace(GAP, growth=float("nan"))], BOUNDS)
    assert first.priority == second.priority


def test_a_middle_topic_of_one_kind_is_one_gap_and_a_mixed_one_gives_its_fine_topics():
    child = replace(GAP, parent=0, turns=100, share=0.01)
    assert ranked(GAP, child, child) == [0]
    half = replace(GAP, coverage=Interval(0.5, 0.3, 0.7))
    assert ranked(half, child, replace(child, coverage=COVERED.coverage)) == [1]


def test_an_alert_needs_certainty():
    assert alerts(GAP, alert_share=0.005)
    assert not alerts(replace(GAP, coverage=Interval(0.6, 0.5, 0.65)), alert_share=0.005)
    assert not alerts(replace(GAP, sampled=Interval(0.1, 0.05, 0.9)), alert_share=0.0)
    assert not alerts(GAP, alert_share=0.02)


def test_no_failures_anywhere_is_no_risk():
    (gap,) = rank_gaps([replace(GAP, failures=0.0)], replace(BOUNDS, failures=0.0))
    assert gap.risk == 1.0
    assert np.isfinite(gap.priority)


def test_the_parts_of_a_priority_multiply_to_it():
    one = replace(GAP, failures=0.3, growth=1.7)
    (gap,) = rank_gaps([one], BOUNDS)
    parts = priority_parts(one.share, one.coverage.high, gap.risk, one.growth)
    assert np.prod(list(parts.values())) == pytest.approx(gap.priority)
    assert min(parts.values()) > 0


def test_a_part_of_a_topic_has_an_id_of_its_own_that_leads_to_the_topic():
    ids = {gap_id_of("t1f00", *part) for part in ((), ("tenant", "uk"), ("tenant", "eu"), ("language", "uk"))}
    assert len(ids) == 4
    assert {topic_id_of(one) for one in ids} == {"t1f00"}
