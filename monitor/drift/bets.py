"""Bets against "nothing changed": what each pays on a conversation, were nothing to change 1 in the mean.

A conversation lies in a cell: its topic, and how far it is from anything in the reference. What is usual is not known, it is
estimated from all conversations so far, and this is allowed for: as long as nothing changes the new one is any of those seen,
itself included, each as likely as the others. So a bet that a cell gets the share `q` pays `q / ((n + 1) / (N + 1))` where `n`
of `N` lay in it before, and its mean over "any of those" is 1, however few they are. (A rate that is taken from the reference
as if it were certain overspends: `benchmarks/always_on.py` shows by how much.)

Source: Vovk, "Testing randomness online" (2021), for bets under exchangeability; Shin, Ramdas and Rinaldo, "E-detectors: a
nonparametric framework for sequential change detection" (2023), for what the detector makes of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "FAR", "SHARES", "WHOLE", "WholeBet", "pays_on_cells", "pays_on_one", "pays_on_whole"]

#: Quantiles of the reference's novelty that part it into bins, from the usual to the far.
BINS = (0.5, 0.75, 0.9, 0.97)

#: A conversation in this bin or a later one is far from the reference: one in ten usually is.
FAR = 3

#: How a new subject's conversations lie in the bins. On CLINC150 (seeds 0-39, three new intents, references of 300 to 5,000).
_NEW = np.array([0.12, 0.18, 0.22, 0.23, 0.25])

#: Bets on one cell: that it gets so much of the traffic on top of what it usually has.
SHARES = np.array([0.01, 0.02, 0.04, 0.08])

#: What was learned of where the new lies is forgotten by half every so many conversations; it begins with so many of the usual.
_HALF_LIFE, _PRIOR = 100.0, 3.0


@dataclass(frozen=True, slots=True)
class WholeBet:
    """That `share` of the traffic is new: far from the reference where `far`, and else of topics that get more.

    `learns`: of the topics that it lately seemed to lie in, otherwise anywhere.
    """

    share: float
    far: bool
    learns: bool


#: The bets on the whole, each as heavy as the others.
WHOLE = (
    WholeBet(0.07, far=True, learns=True),
    WholeBet(0.2, far=True, learns=True),
    WholeBet(0.1, far=False, learns=True),
    WholeBet(0.25, far=False, learns=True),
    WholeBet(0.07, far=True, learns=False),
    WholeBet(0.2, far=True, learns=False),
)


def pays_on_whole(
    counts: NDArray[np.float64],
    usual: NDArray[np.float64],
    learned: NDArray[np.float64],
    topic: NDArray[np.int64],
    bin_: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each bet of `WHOLE` pays on a conversation [s, bets], and what is learned of it [s, bets, topics].

    `counts` are those of the conversations before [s, topics, bins], `usual` those of the reference, `learned` is what was
    learned so far. s streams stand side by side.
    """
    streams = np.arange(len(topic))
    number = counts.sum(axis=(1, 2)) + 1
    cell = (counts[streams, topic, bin_] + 1) / number
    of_bin = (counts[streams, :, bin_].sum(axis=1) + 1) / number
    topics = usual.sum(axis=2) + 0.5
    topics /= topics.sum(axis=1, keepdims=True)
    bins = usual.sum(axis=1)
    bins = bins[streams, bin_] / np.maximum(bins.sum(axis=1), 1.0)
    paid = np.empty((len(topic), len(WHOLE)))
    now = learned * 0.5 ** (1 / _HALF_LIFE)
    for number_, bet in enumerate(WHOLE):
        how_far = _NEW[bin_] if bet.far else bins
        if not bet.learns:
            paid[:, number_] = (1 - bet.share) + bet.share * how_far / of_bin
            continue
        mine = learned[:, number_]
        where = (_PRIOR * topics[streams, topic] + mine[streams, topic]) / (_PRIOR + mine.sum(axis=1))
        new = bet.share * where * how_far / cell
        paid[:, number_] = (1 - bet.share) + new
        now[streams, number_, topic] += new / paid[:, number_]
    return paid, now


def pays_on_cells(
    counts: NDArray[np.float64], topic: NDArray[np.int64], bin_: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What bets on each topic, and on what is far in each topic, pay on a conversation [s, 2, topics, shares]."""
    streams = np.arange(len(topic))
    before = np.stack([counts.sum(axis=2), counts[:, :, FAR:].sum(axis=2)], axis=1)
    paid = np.broadcast_to(1 - SHARES, (*before.shape, len(SHARES))).copy()
    number = counts.sum(axis=(1, 2)) + 1
    paid[streams, 0, topic] = _hit((before[streams, 0, topic] + 1) / number)
    far = np.flatnonzero(bin_ >= FAR)
    paid[far, 1, topic[far]] = _hit((before[far, 1, topic[far]] + 1) / number[far])
    return paid


def pays_on_one(among: NDArray[np.float64], number: NDArray[np.float64], hit: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What bets pay that something happens more often [s, shares] that happened `among` so many of `number` before."""
    return np.where(hit[:, None], _hit((among + 1) / (number + 1)), 1 - SHARES)


def _hit(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """`share` [s] with the conversation itself counted in."""
    paid: NDArray[np.float64] = ((1 - SHARES) * share[:, None] + SHARES) / share[:, None]
    return paid
