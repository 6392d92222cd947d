"""When an eval set is enough, what changed, and how sure that is."""

import pytest

from monitor.coverage.gate import decide_gate, is_change
from monitor.coverage.interval import Interval

NOTHING = Interval(float("nan"), float("nan"), float("nan"))
TOPICS = [("a", 0.02, 0.9), ("b", 0.3, 0.55), ("c", 0.1, 0.85), ("new", 0.1, 0.9)]
BEFORE = {"a": 0.1, "b": 0.7, "c": 0.8}


@pytest.mark.parametrize(
    ("coverage", "certain", "passes"),
    [
        (Interval(0.8, 0.7, 0.9), False, True),
        (Interval(0.79, 0.7, 0.9), False, False),
        (Interval(0.9, 0.79, 1.0), True, False),
        (Interval(0.9, 0.8, 1.0), True, True),
        (NOTHING, False, False),
    ],
)
def test_the_estimate_or_its_low_end_is_asked(coverage, certain, passes):
    assert decide_gate(coverage, 0.8, [], {}, least=0.8, certain=certain).passes is passes


def test_nothing_that_is_said_is_enough_even_for_nothing():
    assert not decide_gate(NOTHING, 0.8, [], {}, least=0.0, certain=False).passes


def test_topics_that_changed_are_told_the_heaviest_first():
    found = decide_gate(Interval(0.8, 0.7, 0.9), 0.8, TOPICS, BEFORE, least=0.5, certain=False)
    assert [one.topic_id for one in found.topics] == ["b", "a"]  # c moved by five points, and new was not there
    assert found.topics[0].weight == pytest.approx(-0.045)
    assert len(decide_gate(Interval(0.8, 0.7, 0.9), 0.8, TOPICS, BEFORE, least=0.5, certain=False, most=1).topics) == 1


def test_a_change_goes_with_its_topics_and_is_one_where_its_interval_leaves_out_zero():
    change, of_a = Interval(0.05, 0.01, 0.08), Interval(0.8, 0.3, 0.99)
    found = decide_gate(
        Interval(0.8, 0.7, 0.9),
        0.75,
        TOPICS,
        BEFORE,
        change=change,
        topic_changes={"a": of_a},
        least=0.5,
        certain=False,
    )
    assert found.change == change and found.changed is True
    assert {one.topic_id: one.change for one in found.topics}["a"] == of_a
    assert is_change(found.topics[0].change) is None  # nothing is known of b
    assert is_change(Interval(-0.05, -0.08, -0.01)) and not is_change(Interval(0.05, -0.01, 0.08))
    assert decide_gate(Interval(0.8, 0.7, 0.9), 0.75, [], {}, least=0.5, certain=False).changed is None
