"""How a rate changed from one window to another, with what is surely so."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import bdtrc

__all__ = ["Trend", "trend"]

_Z90 = 1.6449


@dataclass(frozen=True, slots=True)
class Trend:
    """The rate is `ratio` times what it was, `low` to `high` at 90 %; `p_value` is of a rise."""

    ratio: float
    low: float
    high: float
    #: How probable so many or more would be without a rise.
    p_value: float

    @property
    def rises(self) -> bool:
        return self.low > 1

    @property
    def falls(self) -> bool:
        return self.high < 1


def trend(now: int, of_now: int, before: int, of_before: int) -> Trend | None:
    """The ratio of two rates, and its interval by its logarithm with half a case added to each (Walter, 1975); None without a
    window. The p-value is exact: of all cases so many are now (Przyborowski and Wilenski, 1940).

    `now` of `of_now` cases have it, and `before` of `of_before` had it.

    >>> found = trend(30, 1000, 30, 2000)
    >>> round(found.ratio, 2), found.rises
    (2.0, True)
    """
    if not of_now or not of_before:
        return None
    a, n, b, m = now + 0.5, of_now + 0.5, before + 0.5, of_before + 0.5
    ratio = (a / n) / (b / m)
    deviation = math.sqrt(1 / a - 1 / n + 1 / b - 1 / m)
    reach = math.exp(_Z90 * deviation)
    chance = float(bdtrc(now - 1, now + before, of_now / (of_now + of_before))) if now else 1.0
    return Trend(ratio, ratio / reach, ratio * reach, chance)
