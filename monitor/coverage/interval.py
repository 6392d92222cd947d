"""Intervals of coverage: how far a figure moves with what was sampled, and where the truth lies.

Of the traffic as a whole the two are one. A topic holds a handful of intents, of which each is covered or not: that its turns
look covered in the mean says so much of them and no more, however many turns there are. So the coverage of a topic lies
farther from its figure than the figure moves when other conversations and items are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "differs", "flips", "lies", "moves"]

#: A topic is as uncertain as this many intents of which each is covered or not with the probability of its figure: the variance
#: is p * (1 - p) over this number. The second where the order of turns was learnt from labels (docs/decisions/0034).
_INTENTS, _INTENTS_LEARNT = 3, 4

#: No figure is surer than this: where it says that all of a topic is covered, .98 of it is.
_NEVER_SURE = 0.005


@dataclass(frozen=True, slots=True)
class Interval:
    value: float
    low: float
    high: float


def moves(figures: NDArray[np.float64], draws: NDArray[np.float64], interval: float) -> tuple[Interval, ...]:
    """How far each figure [l] moves over bootstrap replicates [r, l], in which it is nan without turns.

    Percentile intervals can miss the figure itself where it lies at an edge; they are widened to hold it.
    """
    tail = (1 - interval) / 2
    bounds = np.full((2, len(figures)), np.nan)
    known = np.isfinite(figures) & np.isfinite(draws).any(axis=0)
    if known.any():
        bounds[:, known] = np.nanquantile(draws[:, known], [tail, 1 - tail], axis=0)
    return tuple(
        Interval(float(value), float(min(low, value)), float(max(high, value)))
        for value, low, high in zip(figures, *bounds, strict=True)
    )


def differs(figures: NDArray[np.float64], draws: NDArray[np.float64], interval: float) -> tuple[Interval, ...]:
    """Where the truth of each difference [l] lies, from replicates of it [r, l]: the basic bootstrap interval.

    As far as replicates lie below the figure, the truth may lie above it: from 2 * figure - high to 2 * figure - low. Figures
    of a change fall short of it more often than they pass it, and replicates are skewed the same way.
    """
    return tuple(
        Interval(one.value, 2 * one.value - one.high, 2 * one.value - one.low)
        for one in moves(figures, draws, interval)
    )


def lies(
    figures: NDArray[np.float64],
    draws: NDArray[np.float64],
    marked: NDArray[np.float64],
    interval: float,
    *,
    learnt: bool,
) -> tuple[Interval, ...]:
    """Where the coverage of each topic [l] lies: a beta distribution about its figure in each replicate [r, l].

    Its parameters are p * (k - 1) and (1 - p) * (k - 1), with the variance p * (1 - p) / k of k intents; k is greater where the
    order of turns was `learnt` from labels. Of a topic, the share that people `marked` [l] as covered is. One quantile a
    replicate is taken, spread evenly, in place of a draw.
    """
    open_ = 1 - marked
    share = np.divide(draws - marked, open_, out=np.ones_like(draws), where=open_ > 0)
    return moves(figures, marked + open_ * _of_intents(share, _INTENTS_LEARNT if learnt else _INTENTS), interval)


def flips(figures: NDArray[np.float64], draws: NDArray[np.float64], interval: float) -> tuple[Interval, ...]:
    """Where the change of each topic's coverage [l] lies, from the differences of two figures over replicates [r, l].

    What is won (or lost) is that of three intents, each of which flips with the probability of the difference: the beta
    distribution of `lies` about it, in its direction. Where nothing differs nothing changed.
    """
    return moves(figures, np.where(draws == 0, 0.0, np.sign(draws) * _of_intents(np.abs(draws), _INTENTS)), interval)


def _of_intents(share: NDArray[np.float64], intents: int) -> NDArray[np.float64]:
    """Such a share [r, l] of so many intents, each of which counts or not: one quantile a replicate."""
    from scipy.special import betaincinv

    p = _NEVER_SURE + (1 - 2 * _NEVER_SURE) * np.clip(share, 0, 1)
    replicates = len(share)
    at = (np.random.default_rng(0).permutation(replicates) + 0.5) / max(replicates, 1)
    return np.asarray(betaincinv(p * (intents - 1), (1 - p) * (intents - 1), at[:, None]), np.float64)
