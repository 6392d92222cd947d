"""The self-test in plain sentences, for the command line and the page."""

from __future__ import annotations

import math

from scipy.stats import beta

from monitor.wording import counted, percent

__all__ = ["about_finding", "about_smallest", "finding_interval"]

_ENDS = (0.05, 0.95)


def finding_interval(found: int, tested: int) -> tuple[float, float]:
    """Where the share of such kinds that is found lies, at 90 %: Jeffreys' interval (Brown, Cai and DasGupta, 2001).

    >>> [round(end, 2) for end in finding_interval(17, 20)], [round(end, 2) for end in finding_interval(20, 20)]
    ([0.69, 0.94], [0.91, 1.0])
    """
    low, high = (float(beta.ppf(end, found + 0.5, tested - found + 0.5)) for end in _ENDS)
    return (low if found else 0.0), (high if found < tested else 1.0)


def about_finding(found: int, tested: int) -> str:
    if not tested:
        return (
            "No kind of items has a topic of its own in the traffic: there is nothing that could be hidden and found."
        )
    low, high = finding_interval(found, tested)
    return (
        f"It would have found {found} of {counted(tested, 'kind')} of items, hidden a tenth of them at a time. That is "
        f"{percent(low)} to {percent(high)} of such kinds (90% interval)."
    )


def about_smallest(share: float | None, hours: float | None, conversations: int) -> str:
    """`share` of the traffic and the `hours` in which it gathers the conversations that a gap needs; None or nan without."""
    if share is None or hours is None or math.isnan(share) or math.isnan(hours):
        return "Not even the largest were found reliably."
    long = f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"
    return (
        f"The smallest topic that you would notice is {share:.1%} of the traffic; at its pace that gathers the {conversations} "
        f"conversations that a gap needs in {long}."
    )
