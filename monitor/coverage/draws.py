"""What a bootstrap replicate draws, so that two eval sets on the same traffic draw alike what both share.

Conversations, and what is not known of the method, come from a generator of the replicate's own. How often an item is drawn
hangs on its lot and the replicate, however many others there are: a multinomial draw would deal all anew for one item more.
What both have in common then cancels in the difference of a replicate (common random numbers; the independent counts: Hanley
and MacGibbon, 2006, "Creating non-parametric bootstrap samples using Poisson frequencies").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Replicate"]

#: A count of the Poisson distribution is above this in one of a hundred million draws.
_MOST_TIMES = 12

#: Streams of a replicate.
_CONVERSATIONS, _CHOICES = 0, 1


@dataclass(frozen=True, slots=True)
class Replicate:
    """One replicate of a seed. `place`, `inside`, `with_all`, `kind` and `read` are drawn from 0 to 1, and say what
    `monitor.coverage.share` is not sure of."""

    seed: int
    number: int
    place: float
    inside: float
    with_all: float
    kind: float
    read: float

    @classmethod
    def of(cls, seed: int, number: int) -> Replicate:
        return cls(seed, number, *np.random.default_rng((seed, number, _CHOICES)).random(5).tolist())

    def conversations(self, n: int) -> NDArray[np.float64]:
        """How often each of n is drawn, with replacement, in n draws."""
        rng = np.random.default_rng((self.seed, self.number, _CONVERSATIONS))
        return np.bincount(rng.integers(0, n, n), minlength=n).astype(np.float64)

    def times(self, lots: NDArray[np.float64], mean: float = 1.0, *, once_more: bool = False) -> NDArray[np.float64]:
        """How often each of those with these lots [m] is drawn: of a Poisson distribution, the same for equal lots.

        `once_more` is another draw of the same replicate.
        """
        counts = np.arange(1, _MOST_TIMES)
        upto = np.exp(-mean) * np.cumsum(np.concatenate([[1.0], np.cumprod(mean / counts)]))
        return np.searchsorted(upto, self._uniform(lots, 2 * self.number + once_more), side="right").astype(np.float64)

    def _uniform(self, lots: NDArray[np.float64], draw: int) -> NDArray[np.float64]:
        """From 0 to 1 for each lot and draw (the finaliser of SplitMix64: Steele, Lea and Flood, 2014)."""
        key = int(np.random.default_rng((self.seed, draw)).integers(2**63)) | 1
        mixed = (lots * 2.0**53).astype(np.uint64) ^ np.uint64(key)
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
        mixed ^= mixed >> np.uint64(31)
        return np.asarray((mixed >> np.uint64(11)) / 2.0**53, np.float64)
