"""Parts of topics that are missed while the rest is covered."""

import numpy as np
import pytest

from monitor.coverage.parts import parts_apart
from monitor.settings import Settings
from tests.traffic_coverage.productions import production

TURNS = 60
TENANTS = ["uk" if row % 3 == 0 else "eu" for row in range(TURNS)]
SMALL_LIMITS = (
    Settings().with_value("gaps.min_conversations", 5, source="test").with_value("alerts.min_users", 1, source="test")
)


def missed_where(some: list[bool]) -> np.ndarray:
    """Probabilities of being covered: nobody's is the same."""
    return np.where(some, 0.2, 0.95) - np.linspace(0, 0.1, len(some))


def test_what_one_tenant_asks_is_told_apart():
    traffic = production([0] * TURNS, list(range(TURNS)), TENANTS)
    (part,) = parts_apart(traffic, missed_where([one == "uk" for one in TENANTS]), [(1, 0)], SMALL_LIMITS)
    assert (part.topic, part.attribute, part.value) == (0, "tenant", "uk")
    assert part.rows.tolist() == list(range(0, TURNS, 3)) and len(part.rest) == 40
    assert part.p_value < 1e-6


def test_a_topic_that_all_miss_alike_has_no_part():
    traffic = production([0] * TURNS, list(range(TURNS)), TENANTS)
    assert parts_apart(traffic, missed_where([True] * TURNS), [(1, 0)], SMALL_LIMITS) == []
    dealt = np.random.default_rng(1).permutation([one == "uk" for one in TENANTS])
    assert parts_apart(traffic, missed_where(dealt.tolist()), [(1, 0)], SMALL_LIMITS) == []


def test_turns_of_one_conversation_are_one_witness():
    """Twenty turns of three conversations are three."""
    conversations = [row % 9 if TENANTS[row] == "uk" else 100 + row for row in range(TURNS)]
    traffic = production([0] * TURNS, conversations, TENANTS)
    assert len(set(conversations[::3])) == 3
    assert parts_apart(traffic, missed_where([one == "uk" for one in TENANTS]), [(1, 0)], SMALL_LIMITS) == []


@pytest.mark.parametrize("least", [("gaps.min_conversations", 21), ("alerts.min_users", 21), ("atlas.min_users", 21)])
def test_nothing_is_said_of_few_conversations_or_users(least: tuple[str, int]):
    traffic = production([0] * TURNS, list(range(TURNS)), TENANTS)
    settings = SMALL_LIMITS.with_value(*least, source="test")
    assert parts_apart(traffic, missed_where([one == "uk" for one in TENANTS]), [(1, 0)], settings) == []


def test_topics_that_are_listed_already_are_not_asked():
    traffic = production([0] * TURNS, list(range(TURNS)), TENANTS)
    assert parts_apart(traffic, missed_where([one == "uk" for one in TENANTS]), [], SMALL_LIMITS) == []
