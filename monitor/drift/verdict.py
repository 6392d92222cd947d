"""One verdict of several tests, with a p-value of its own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from monitor.drift.pool import DriftResult, p_value

__all__ = ["WEIGHTS", "combined"]

#: What each test counts in the verdict (docs/decisions/0027): the neighbour tests have the most power on
#: single turns, the surest topic in long conversations; the others are there for changes that no neighbourhood shows.
WEIGHTS = {"nearest": 0.3, "neighbours": 0.3, "topic": 0.3, "distribution": 0.05, "shares": 0.05}


def combined(tests: Mapping[str, DriftResult]) -> float:
    """The p-value of all tests of one pool together, whatever their dependence; nan where none says anything.

    The statistics are ranked among those of the same permutations, the p-values combined by Cauchy's distribution (Liu and Xie,
    2020), weighted, and the combination is ranked among its permutations in turn: so its level is exact, as that of each test
    is.
    """
    rows = [
        (WEIGHTS[name], _ranked(found.statistics))
        for name, found in tests.items()
        if name in WEIGHTS and len(found.statistics)
    ]
    if not rows:
        return float("nan")
    return p_value(sum(weight * np.tan((0.5 - values) * np.pi) for weight, values in rows))  # type: ignore[arg-type]


def _ranked(statistics: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each statistic's own p-value among all, at most .99: beyond, one test that says nothing would outweigh those that do."""
    scale = max(float(np.abs(statistics).max()), 1e-12)
    ranks = rankdata(-np.round(statistics / scale, 6), method="max") / len(statistics)
    return np.minimum(np.asarray(ranks, np.float64), 0.99)
