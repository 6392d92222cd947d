"""Tails of binomials by the million: of so many conversations, each recent with its own chance, how surely so many are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Tails", "adjusted_for_all", "log_tail", "rejection_is_out_of_reach"]

#: Tails of so many trials are kept in tables, of so many numbers together; one table for 6,000 trials takes 1.9 GB to make.
_TABLE, _NUMBERS = 1_000, 8_000_000
#: Chances are taken together that differ by less than this part.
_ALIKE = 0.05
#: Fewer permutations than this say little of a tail.
_FEW = 10
#: Rounds until the scale of a Gumbel distribution stands to four digits.
_ROUNDS = 40


@dataclass(frozen=True, slots=True)
class Tails:
    """`chances` [k] with the logarithms of P(X >= x) of each as a table [k, n, x], and which of them each row has [rows]."""

    chances: NDArray[np.float64]
    tables: NDArray[np.float64]
    which: NDArray[np.int64]

    @classmethod
    def of(cls, chance: NDArray[np.float64], most: int) -> Tails:
        """For rows with these chances [rows] of at most `most` trials. A chance that is not the only one is rounded to 5 %:
        what a tail is compared with are permutations, whose chances are rounded alike."""
        from scipy.stats import binom

        chances = np.unique(chance)
        which = np.searchsorted(chances, chance)
        if len(chances) > 1:
            step = np.round(np.log(np.maximum(chance, 1e-6)) / _ALIKE).astype(np.int64)
            steps, which = np.unique(step, return_inverse=True)
            chances = np.minimum(np.exp(steps * _ALIKE), 1.0)
        most = min(most, _TABLE, max(1, math.isqrt(_NUMBERS // max(len(chances), 1))))
        n, x = np.meshgrid(np.arange(most + 1), np.arange(most + 1), indexing="ij")
        tables = np.stack([binom.logsf(x - 1, n, one) for one in chances]) if len(chances) else np.zeros((0, 1, 1))
        return cls(chances, np.asarray(tables, np.float64), which.ravel().astype(np.int64))

    def log_tails(self, rows: NDArray[np.int64], n: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.float64]:
        """Logarithms of P(X >= x) of n trials, one for each of `rows`."""
        found = np.empty(len(rows))
        which = self.which[rows]
        few = n < self.tables.shape[1]
        found[few] = self.tables[which[few], n[few], x[few]]
        for one in np.unique(which[~few]).tolist():
            mine = np.flatnonzero(~few & (which == one))
            found[mine] = log_tail(n[mine], x[mine], float(self.chances[one]))
        return found


def log_tail(n: NDArray[np.int64], x: NDArray[np.int64], chance: float) -> NDArray[np.float64]:
    """Logarithm of P(X >= x) of binomials with n trials, one by one."""
    from scipy.stats import binom

    pairs, which = np.unique(np.stack([n, x]), axis=1, return_inverse=True)
    return np.asarray(binom.logsf(pairs[1] - 1, pairs[0], chance)[which.ravel()], np.float64)


def adjusted_for_all(log_tails: NDArray[np.float64], least: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-values of logarithms of tails, of any shape, adjusted for all of them by the least of each permutation [B].

    (k + 1) / (B + 1), and where that is small by the Gumbel distribution that is likeliest for the permutations' least (Abrams,
    Kleinman and Kulldorff, 2010): 499 permutations say nothing of one in ten thousand, which a look every half an hour has to
    ask for. `benchmarks/alarms.py` compares it with 20,000 permutations.
    """
    ranked = np.sort(least)
    reached = np.searchsorted(ranked, log_tails, side="right")
    counted = (1 + reached) / (len(least) + 1)
    mode, scale = _gumbel(-least)
    beyond = -np.expm1(-np.exp(-np.maximum((-log_tails - mode) / scale, -30.0)))
    return np.asarray(np.where(reached < _FEW, np.minimum(counted, beyond), counted), np.float64)


def rejection_is_out_of_reach(reached: int, permutations: int, level: float) -> bool:
    """Whether `adjusted_for_all` says more than `level` of a tail that so many permutations have reached, whatever the others
    say: they need not be made (Besag and Clifford, 1991)."""
    return reached >= _FEW and (1 + reached) / (permutations + 1) > level


def _gumbel(sample: NDArray[np.float64]) -> tuple[float, float]:
    """Mode and scale of the likeliest Gumbel distribution of a sample's largest values, by its two equations."""
    least = float(sample.min())
    shifted = sample - least
    scale = max(float(sample.std()) * math.sqrt(6) / math.pi, 1e-9)
    for _ in range(_ROUNDS):
        weight = np.exp(-shifted / scale)
        scale = max((scale + float(shifted.mean() - (shifted * weight).sum() / weight.sum())) / 2, 1e-9)
    return least - scale * math.log(float(np.exp(-shifted / scale).mean())), scale
