"""Keywords: the terms that one group of turns holds more often than another, with what is surely so.

Weighted log-odds with an informative Dirichlet prior (Monroe, Colaresi and Quinn, 2008, "Fightin' Words", equations 16 and 22).
What is counted is conversations that hold a term, and not how often it stands in them: somebody who repeats a word in every
message, or a flood of one prompt in one conversation, says it once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.special import ndtr

from monitor.atlas.labels import terms_of

__all__ = ["Group", "Keyword", "keywords"]

#: Two-sided 90 %.
_Z90 = 1.6449
#: The prior weighs as much as so many conversations' terms: a term that few hold is drawn towards what it has in all of them.
_PRIOR_CONVERSATIONS = 200.0
#: Terms are told from chance at this share of false ones (Benjamini and Hochberg, 1995).
_FALSE = 0.05


@dataclass(frozen=True, slots=True)
class Group:
    """Turns [t]: which distinct text each says, whose it is, and in which conversation, all as numbers from 0."""

    text: NDArray[np.int64]
    conversation: NDArray[np.int64]
    user: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Keyword:
    """A term and how much more often the group says it: `odds` times, `low` to `high` at 90 %.

    `count` and `other` are the conversations of the two groups that hold it, `users` the people of the group who said it.
    `sure` when it is told from chance with all terms in mind, a false one in twenty.
    """

    term: str
    count: int
    other: int
    users: int
    odds: float
    low: float
    high: float
    p_value: float
    sure: bool


def keywords(
    texts: Sequence[str], group: Group, other: Group, *, least_users: int = 5, limit: int | None = 20
) -> list[Keyword]:
    """The terms of `group` against `other`, the surest first. Of a term that holds another's words only the surer is named.

    `texts` [n] are the distinct texts that the groups' numbers name. A term that fewer users than `least_users` say in the
    group is left out: it could name one of them.
    """
    counts, vocabulary = terms_of(texts, least=2)
    if not len(vocabulary) or not len(group.text) or not len(other.text):
        return []
    counts.data[:] = 1
    ours, theirs = _holding(counts, group.text, group.conversation), _holding(counts, other.text, other.conversation)
    users = _holding(counts, group.text, group.user)
    difference, deviation = _log_odds(ours, theirs, _size(group) + _size(other))
    z = difference / deviation
    told = np.flatnonzero((users >= least_users) & (z > 0))
    if not len(told):
        return []
    p_values = ndtr(-z[told])
    sure = _told_from_chance(p_values, tests=int(((ours + theirs) > 0).sum()))
    order = np.lexsort((vocabulary[told].astype(str), -z[told]))
    found: list[Keyword] = []
    for place in order:
        term, at = str(vocabulary[told[place]]), told[place]
        if any(_same_words(term, one.term) for one in found):
            continue
        low, odds, high = np.exp(difference[at] + np.array([-_Z90, 0.0, _Z90]) * deviation[at])
        found.append(
            Keyword(
                term,
                count=int(ours[at]),
                other=int(theirs[at]),
                users=int(users[at]),
                odds=float(odds),
                low=float(low),
                high=float(high),
                p_value=float(p_values[place]),
                sure=bool(sure[place]),
            )
        )
        if limit is not None and len(found) == limit:
            break
    return found


def _log_odds(
    ours: NDArray[Any], theirs: NDArray[Any], conversations: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The difference of the log-odds of each term, and its standard deviation."""
    pooled = (ours + theirs).astype(np.float64)
    # A term that neither holds says nothing, and needs no prior.
    pooled = np.where(pooled > 0, pooled, 1e-9)
    prior = pooled * (_PRIOR_CONVERSATIONS / conversations)

    def odds(held: NDArray[Any]) -> NDArray[np.float64]:
        with_prior: NDArray[np.float64] = held + prior
        return np.asarray(np.log(with_prior / (with_prior.sum() - with_prior)))

    return odds(ours) - odds(theirs), np.sqrt(1 / (ours + prior) + 1 / (theirs + prior))


def _holding(counts: csr_matrix, text: NDArray[np.int64], owner: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many owners say each term [terms], whether in one text or in many."""
    said = csr_matrix((np.ones(len(text), np.int64), (owner, text)), shape=(int(owner.max()) + 1, counts.shape[0]))
    return np.asarray(((said @ counts) > 0).sum(axis=0)).ravel().astype(np.int64)


def _size(group: Group) -> int:
    return len(np.unique(group.conversation))


def _told_from_chance(p_values: NDArray[np.float64], *, tests: int) -> NDArray[np.bool_]:
    """Benjamini and Hochberg over all terms, of which those with the least p-values are given."""
    order = np.argsort(p_values, kind="stable")
    below = p_values[order] <= _FALSE * np.arange(1, len(order) + 1) / tests
    sure = np.zeros(len(order), bool)
    if below.any():
        sure[order[: int(np.flatnonzero(below)[-1]) + 1]] = True
    return sure


def _same_words(one: str, other: str) -> bool:
    words, others = set(one.split()), set(other.split())
    return words <= others or others <= words
