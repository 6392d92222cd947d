"""The self-test: when something new would be listed, and its words. The whole is tested by its command."""

from __future__ import annotations

import math

import numpy as np
import pytest
from productions import production

from monitor.coverage.selftest import Hidden, _Asked, _hours, _smallest
from monitor.coverage.selftest_words import about_finding, about_sharing, about_smallest
from monitor.settings import Settings


def test_something_new_is_listed_when_it_has_the_turns_of_the_smallest_that_is_noticed() -> None:
    whole = production([0] * 80, list(range(80)), ["a"] * 80)  # eight weeks, 80 conversations of a turn each
    hours = 8 * 7 * 24
    assert _hours(whole, 0.1, Settings()) == pytest.approx(hours * 0.1 / 0.01)
    # Four turns would be fewer than the five conversations that a gap needs.
    assert _hours(whole, 0.05, Settings()) == pytest.approx(hours * (5 / 80) / 0.01)
    assert math.isnan(_hours(whole, float("nan"), Settings()))


def test_a_kind_is_at_home_where_most_of_its_turns_lie() -> None:
    asked = _Asked(np.array([0, 0, 0, 1, -1]), np.array([4, 4, 2, -1, 4]))
    assert asked.share(0) == 0.6 and asked.home(0) == 4
    assert asked.share(1) == 0.2 and asked.home(1) is None and asked.home(2) is None


def test_of_kinds_as_large_as_the_smallest_most_were_found() -> None:
    def kinds(*found: bool) -> list[Hidden]:
        return [Hidden(str(at), 3, "t1", 0.1 - at / 100, True, one, None) for at, one in enumerate(found)]

    assert _smallest(kinds(True, True, True, True, False, True, False)) == pytest.approx(0.05)
    assert math.isnan(_smallest(kinds(False, True, True)))


def test_it_says_what_the_figures_are_of() -> None:
    assert about_finding(3, 4, True).endswith("of such kinds (90% interval).")
    assert "no labels, so whole topics were hidden" in about_finding(3, 4, False)
    assert about_sharing((2, 2), (0, 0)) == ""
    assert about_sharing((2, 2), (1, 3)).startswith(
        "Found were 2 of the 2 that have a topic of their own, and 1 of the 3"
    )
    assert about_sharing((0, 0), (1, 3)) == "Found were 1 of the 3 that share a topic with other kinds of items."
    assert "takes 1% of the traffic" in about_smallest(0.004, 130.0, 0.01, 30.0)
    assert "after about 5 days" in about_smallest(0.004, 130.0, 0.01, 30.0)
    assert about_smallest(None, None, 0.01, 30.0) == "Not even the largest were found reliably."
