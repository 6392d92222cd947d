"""How fine topics are, from the data: the partition under which the graph is likeliest, and levels above it.

Modularity at a fixed resolution has no right number of communities: on more texts of the same subjects it finds more of
them. The degree-corrected planted partition has one parameter for the weight inside communities and one for the weight
between them; modularity at some resolution is its likelihood for given parameters (Newman, 2016, "Equivalence between
modularity optimization and maximum likelihood methods for community detection"), and partitions of any number of
communities can be compared by it.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.atlas.leiden import between_communities, leiden, merged, numbered_by_first, settled

__all__ = ["coarser_communities", "likeliest_communities", "planted_likelihood"]

#: The resolution that Leiden starts at: well above the likeliest one of 1,000 to 30,000 texts, which is 3 to 20.
_START = 40.0

#: Where the likeliest is in the upper half of what was tried, the start is doubled, at most so often.
_DOUBLINGS = 6

#: Each resolution that is tried is this part of the one before, from the start down to a 128th of it.
_STEP, _STEPS = 2.0**-0.5, 15

#: Between these the resolution of a coarser level is sought, by halving the interval of its logarithm so often.
_LOWEST, _HIGHEST, _HALVINGS = 0.05, 100.0, 8


def likeliest_communities(
    adjacency: csr_matrix, *, seed: int, sketch: csr_matrix | None = None, again: bool = False
) -> NDArray[np.int64]:
    """Communities [n] at the resolution under which the graph is likeliest by `planted_likelihood`.

    Leiden runs on the `sketch` [n, n], the graph with fewer edges, at a resolution that is too high. Its small communities are
    merged at one resolution after another, which costs milliseconds, and the likeliest merger is taken (the lower
    resolution of equals). Then either the nodes settle in the merger, or Leiden runs `again` at its resolution: small
    communities that conversations or standing topics made may join the wrong ones, and nodes that move one by one do not
    part them.
    """
    start, rounds = _START, 2 if again else 1
    for _ in range(_DOUBLINGS + 1):
        small = leiden(adjacency if sketch is None else sketch, resolution=start, seed=seed, rounds=rounds)
        between = between_communities(adjacency, small)
        mergers = [merged(between, resolution=start * _STEP**step, seed=seed) for step in range(_STEPS)]
        likelihoods = [planted_likelihood(between, merger) for merger in mergers]
        best = max(range(_STEPS), key=lambda step: (likelihoods[step], step))
        if _STEP**best <= 0.5:
            break
        start *= 2.0
    if again:
        return leiden(adjacency, resolution=start * _STEP**best, seed=seed)
    return settled(adjacency, mergers[best][small], resolution=start * _STEP**best)


def coarser_communities(
    adjacency: csr_matrix, labels: NDArray[np.int64], *, number: int, seed: int, among: int | None = None
) -> NDArray[np.int64]:
    """Communities [n] of the communities `labels` [n], as near to `number` of them as a resolution gets.

    `among` are the labels that count, from 0: those behind them are nodes that are no texts (`monitor.atlas.leaning`).
    """
    between = between_communities(adjacency, labels)
    best = np.arange(between.shape[0])
    low, high = math.log(_LOWEST), math.log(_HIGHEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        found = merged(between, resolution=math.exp(middle), seed=seed)
        if abs(_count(found[:among]) - number) < abs(_count(best[:among]) - number):
            best = found
        low, high = (middle, high) if _count(found[:among]) < number else (low, middle)
    return numbered_by_first(best[labels])


def planted_likelihood(between: csr_matrix, labels: NDArray[np.int64]) -> float:
    """Log-likelihood per unit of weight, less that of one community; 0 for one community or a graph without edges.

    With `inside` the share of the weight inside communities and `chance` the share that strengths alone would put there,
    it is `inside log(inside / chance) + (1 - inside) log((1 - inside) / (1 - chance))`, Kullback and Leibler's divergence
    of the one from the other. `between` [c, c] is symmetric, its diagonal twice the inner weight; `labels` is [c].
    """
    blocks = between_communities(between, labels)
    total = float(blocks.sum())
    if total <= 0 or blocks.shape[0] < 2:
        return 0.0
    shares = np.asarray(blocks.sum(axis=1)).ravel() / total
    inside = min(float(blocks.diagonal().sum()) / total, 1.0)
    chance = float((shares**2).sum())
    return _term(inside, chance) + _term(1.0 - inside, 1.0 - chance)


def _term(share: float, chance: float) -> float:
    return share * math.log(share / chance) if share > 0 and chance > 0 else 0.0


def _count(labels: NDArray[np.int64]) -> int:
    return len(np.unique(labels))
