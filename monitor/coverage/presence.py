"""Presence: whether a topic holds as many eval items as its size lets expect. "131 turns, 2 eval items" is evidence.

Novelty is a distance, and distances are coarse; a topic in which no eval item lies is missed however near the next one is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["presence", "presence_without"]

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


def presence_without(
    topics: Sequence[NDArray[np.int64]], items: Sequence[NDArray[np.int64]], labels: Sequence[str | None]
) -> NDArray[np.float64]:
    """Presence [2, m] at each eval item: without the item itself, and without all of its label.

    What presence says of turns that are covered, and of those that are missed. An item without a label is the only one of its.
    """
    labelled = np.array([bool(label) for label in labels], bool)
    kind = np.cumsum(~labelled) - 1
    names, kind[labelled] = np.unique([label for label in labels if label], return_inverse=True)
    kind[~labelled] += len(names)
    found = []
    for level, of_items in zip(topics, items, strict=True):
        number = int(level.max(initial=-1)) + 1
        if number == 0:
            return np.zeros((2, len(kind)))
        expected = _share_of_items(level, number)[of_items]
        home = _home(of_items, kind, number)
        size, there = np.bincount(kind)[kind], home.sum(axis=1)[kind]
        mine = home[kind, of_items]
        others = _shared_out(home, np.bincount(kind)).sum(axis=0)[of_items] - _ratio(size, there) * mine
        beside = others + np.where(mine > 0, _ratio(size - 1, there - 1) * (mine - 1), 0.0)
        odds = [_odds(beside, (len(kind) - 1) * expected), _odds(others, (len(kind) - size) * expected)]
        found.append(np.where(of_items >= 0, odds, 0.0))
    return np.asarray(_WEIGHT * np.mean(found, axis=0), np.float64)


def _of_level(topics: NDArray[np.int64], items: NDArray[np.int64], labels: Sequence[str | None]) -> NDArray[np.float64]:
    number = int(topics.max(initial=-1)) + 1
    if number == 0:
        return np.zeros(len(topics))
    odds = _odds(_items_at_home(items, labels, number), len(items) * _share_of_items(topics, number))
    return np.where(topics >= 0, odds[topics], 0.0)


def _share_of_items(topics: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    """Which part of the items each topic would hold if all were covered."""
    roots = np.sqrt(np.bincount(topics[topics >= 0], minlength=number))
    return np.asarray(roots / roots.sum(), np.float64)


def _odds(inside: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(_log_geometric(inside, expected) - _log_geometric(inside, _STRAYS * expected), -_LIMIT, _LIMIT)


def _items_at_home(items: NDArray[np.int64], labels: Sequence[str | None], number: int) -> NDArray[np.float64]:
    """Items in each topic 0..number-1, the strays of a label shared out among the topics where it is at home."""
    labelled = np.array([bool(label) for label in labels], bool)
    free = items[~labelled]
    found = np.bincount(free[free >= 0], minlength=number).astype(np.float64)
    kind = np.unique([label for label in labels if label], return_inverse=True)[1].ravel()
    home = _home(items[labelled], kind, number)
    return np.asarray(found + _shared_out(home, np.bincount(kind, minlength=len(home))).sum(axis=0), np.float64)


def _home(items: NDArray[np.int64], kind: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    """How many items [l, t] of each of l labels lie in each topic, 0 where the label is not at home."""
    inside = np.zeros((int(kind.max(initial=-1)) + 1, number + 1))
    np.add.at(inside, (kind, items), 1)  # -1, no topic, is the last column
    inside = inside[:, :-1]
    return np.where(inside >= _AT_HOME * inside.max(axis=1, initial=0, keepdims=True), inside, 0.0)


def _shared_out(home: NDArray[np.float64], size: NDArray[np.int64]) -> NDArray[np.float64]:
    """What is at home [l, t], with as many in all as the label has items [l]; none where none has a topic."""
    return _ratio(size, home.sum(axis=1))[:, None] * home


def _ratio(value: NDArray[np.number], by: NDArray[np.number]) -> NDArray[np.float64]:
    """The ratio, 0 where it is of nothing."""
    return np.asarray(np.divide(value, by, out=np.zeros(len(value)), where=by > 0), np.float64)


def _log_geometric(counts: NDArray[np.float64], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log probability of counts under a geometric distribution on 0, 1, ... with the mean."""
    return np.asarray(counts * np.log(np.maximum(mean, 1e-12) / (1 + mean)) - np.log1p(mean), np.float64)
