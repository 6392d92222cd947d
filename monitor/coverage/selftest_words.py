"""The self-test in plain sentences, for the command line and the page."""

from __future__ import annotations

import math
from collections.abc import Iterable

from scipy.stats import beta

from monitor.wording import counted, percent

__all__ = ["about_finding", "about_sharing", "about_smallest", "finding_interval", "found_by_topic"]

_ENDS = (0.05, 0.95)


def finding_interval(found: int, tested: int) -> tuple[float, float]:
    """Where the share of such kinds that is found lies, at 90 %: Jeffreys' interval (Brown, Cai and DasGupta, 2001).

    >>> [round(end, 2) for end in finding_interval(17, 20)], [round(end, 2) for end in finding_interval(20, 20)]
    ([0.69, 0.94], [0.91, 1.0])
    """
    low, high = (float(beta.ppf(end, found + 0.5, tested - found + 0.5)) for end in _ENDS)
    return (low if found else 0.0), (high if found < tested else 1.0)


def about_finding(found: int, tested: int, labelled: bool) -> str:
    if not tested:
        return (
            "No turn asks what the items ask, but for what is listed already: there is nothing to be hidden and found."
        )
    low, high = finding_interval(found, tested)
    said = (
        f"It would have found {found} of {counted(tested, 'kind')} of items, hidden a twentieth of them at a time. That is "
        f"{percent(low)} to {percent(high)} of such kinds (90% interval)."
    )
    return said if labelled else f"{said} {_WHOLE_TOPICS}"


_WHOLE_TOPICS = (
    "The items have no labels, so whole topics were hidden. What is asked inside of a topic of something else is found less "
    "often: labels would show how often."
)


def found_by_topic(hidden: Iterable[tuple[bool, bool]]) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many were found and how many there are, of kinds in a topic of their own and of those that share one; each kind as
    whether it is alone and whether it was found.

    >>> found_by_topic([(True, True), (False, True), (False, False)])
    ((1, 1), (1, 2))
    """
    kinds = list(hidden)
    alone, shared = ([found for own, found in kinds if own == wanted] for wanted in (True, False))
    return (sum(alone), len(alone)), (sum(shared), len(shared))


def about_sharing(alone: tuple[int, int], shared: tuple[int, int]) -> str:
    """Of kinds in a topic of their own, and of those that share one, how many were found, and how many there are."""
    if not shared[1]:
        return ""
    said = f"{shared[0]} of the {shared[1]} that share a topic with other kinds of items"
    return (
        f"Found were {f'{alone[0]} of the {alone[1]} that have a topic of their own, and ' if alone[1] else ''}{said}."
    )


def about_smallest(share: float | None, hours: float | None, new_share: float, refit_minutes: float) -> str:
    """`share` of the traffic from which on most kinds were found, and the `hours` that a new kind with `new_share` takes to be
    listed; None or nan without."""
    if share is None or hours is None or math.isnan(share) or math.isnan(hours):
        return "Not even the largest were found reliably."
    long = f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"
    return (
        f"Of kinds with {share:.1%} of the traffic or more at least 80% were found. Something new that takes {new_share:.0%} "
        f"of the traffic from today on has as many turns as the smallest of those after about {long}: by then one of the "
        f"analyses (every {refit_minutes:g} minutes) may list it as a gap. Surges and the lookout may tell sooner."
    )
