"""Presence: whether a topic holds as many eval items as its size lets expect. "131 turns, 2 eval items" is evidence.

Novelty is a distance, and distances are coarse; a topic in which no eval item lies is missed however near the next one is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["presence"]

#: A missed topic attracts this share of the items that a covered one of its size has: strays.
_STRAYS = 0.1

#: A labelled item is a stray in a topic that holds less than this share of what its label has where it is most at home.
_AT_HOME = 0.5

#: No topic says more than this, in units of log odds.
_LIMIT = 3.0

#: Items of a topic are alike, and one topic is on every level: the evidence does not count in full. Of 0.5 and 1, the log loss
#: of turns is .300 and .331 in draws of CLINC150, .234 and .210 in the sample traffic (docs/decisions/0024).
_WEIGHT = 0.75


def presence(
    topics: Sequence[NDArray[np.int64]], items: Sequence[NDArray[np.int64]], labels: Sequence[str | None]
) -> NDArray[np.float64]:
    """Log odds [n] of covered against missed, from how many eval items lie in each text's topic; the mean over levels.

    A covered topic of n_t distinct texts expects a share of the m items in proportion to the root of n_t, between equal
    shares and shares of the traffic, as people write evals; a missed one expects a tenth of that. Counts are geometric with
    these means, the flattest of the gamma-Poisson family.

    `topics[l]` [n] and `items[l]` [m] are topics on level l, -1 for none. A labelled item counts
    where its label is at home: two of seven questions about roof panels that lie nearest to balcony kits do not
    test balcony kits.
    """
    found = [_of_level(level, of_items, labels) for level, of_items in zip(topics, items, strict=True)]
    return np.asarray(_WEIGHT * np.mean(found, axis=0), np.float64)


def _of_level(topics: NDArray[np.int64], items: NDArray[np.int64], labels: Sequence[str | None]) -> NDArray[np.float64]:
    number = int(topics.max(initial=-1)) + 1
    if number == 0:
        return np.zeros(len(topics))
    texts = np.bincount(topics[topics >= 0], minlength=number)
    inside = _items_at_home(items, labels, number)
    expected = len(items) * np.sqrt(texts) / np.sqrt(texts).sum()
    odds = np.clip(_log_geometric(inside, expected) - _log_geometric(inside, _STRAYS * expected), -_LIMIT, _LIMIT)
    return np.where(topics >= 0, odds[topics], 0.0)


def _items_at_home(items: NDArray[np.int64], labels: Sequence[str | None], number: int) -> NDArray[np.float64]:
    """Items in each topic 0..number-1, the strays of a label shared out among the topics where it is at home."""
    labelled = np.array([bool(label) for label in labels], bool)
    free = items[~labelled]
    found = np.bincount(free[free >= 0], minlength=number).astype(np.float64)
    names, label = np.unique([name for name in labels if name], return_inverse=True)
    counts = np.zeros((len(names), number + 1))
    np.add.at(counts, (label.ravel(), items[labelled]), 1)  # -1, no topic, is the last column
    size, inside = counts.sum(axis=1), counts[:, :-1]
    home = np.where(inside >= _AT_HOME * inside.max(axis=1, initial=0, keepdims=True), inside, 0)
    there = home.sum(axis=1)
    return np.asarray(found + np.divide(size, there, out=np.zeros_like(size), where=there > 0) @ home, np.float64)


def _log_geometric(counts: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log probability of counts under a geometric distribution on 0, 1, ... with the mean."""
    return np.asarray(counts * np.log(np.maximum(mean, 1e-12) / (1 + mean)) - np.log1p(mean), np.float64)
