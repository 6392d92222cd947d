"""Which value holds most of a gap."""

import numpy as np
import pytest

from monitor.coverage.splits import splits_of
from monitor.wording import split_words
from tests.traffic_coverage.productions import WEEKS, production

#: A gap of 40 turns in a traffic of 400, a conversation each; half of the rest is of either tenant.
GAP, ALL = 40, 400
MISSED = np.where(np.arange(ALL) < GAP, 0.1, 0.9)


def told(
    in_gap: list[str],
    conversations: list[int] | None = None,
    weeks: list[int] | None = None,
    rest: list[str] | None = None,
):
    rest = rest or ["uk" if row % 2 else "eu" for row in range(ALL - GAP)]
    topics = [0] * GAP + [1] * (ALL - GAP)
    traffic = production(topics, conversations or list(range(ALL)), in_gap + rest, weeks)
    traffic.failed[:10] = True
    (found,) = splits_of(traffic, MISSED, [np.arange(GAP)], min_conversations=5)
    return found


def test_a_tenant_that_holds_most_of_a_gap_is_told():
    (one,) = told(["uk"] * 36 + ["eu"] * 4)
    assert (one["attribute"], one["value"], one["share_of_gap"]) == ("tenant", "uk", 0.9)
    assert one["share_of_traffic"] == pytest.approx(0.54, abs=0.02) and one["p_value"] < 1e-4
    assert one["failures"] == pytest.approx(10 / 36) and one["failures_of_rest"] == 0
    assert split_words(one) == "90% of it comes from tenant uk, which has 54% of the traffic of those weeks"


def test_a_gap_like_the_traffic_has_no_split():
    assert told(["uk", "eu"] * 20) == ()
    assert told(["uk"] * 24 + ["eu"] * 16) == ()


def test_a_few_conversations_with_many_turns_are_few():
    assert told(["uk"] * GAP, conversations=[row % 4 for row in range(GAP)] + list(range(GAP, ALL))) == ()


def test_a_gap_that_is_as_new_as_the_version_that_everybody_has_by_then_is_not_explained_by_it():
    weeks = [WEEKS - 1] * GAP + [row % WEEKS for row in range(ALL - GAP)]
    rest = ["new" if row % WEEKS == WEEKS - 1 else "old" for row in range(ALL - GAP)]
    assert told(["new"] * GAP, weeks=weeks, rest=rest) == ()
    assert told(["new"] * GAP, rest=rest) != ()


def test_chance_is_corrected_for_all_that_is_asked():
    """Gaps of eight conversations: seven of one tenant are told of one gap, and not of one among fifty."""
    tenants = ["uk" if row % 4 == 0 else "eu" for row in range(ALL)]
    tenants[:8] = ["uk"] * 6 + ["eu"] * 2
    traffic = production([0] * ALL, list(range(ALL)), tenants)
    covered, gap = np.full(ALL, 0.1), np.arange(8)
    alone = splits_of(traffic, covered, [gap], min_conversations=5)
    among = splits_of(
        traffic, covered, [gap] + [np.arange(start, start + 8) for start in range(8, ALL, 8)], min_conversations=5
    )
    assert len(alone[0]) == 1 and among[0] == ()
    assert splits_of(traffic, covered, [], min_conversations=5) == []
