"""Which words carry a change: what each turn carries of it, shared among the words of the turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from monitor.atlas.corpus import numbered
from monitor.atlas.labels import presentable, terms_of
from monitor.drift.attribution import Attribution
from monitor.drift.look import Look
from monitor.drift.neighbourhood import WIDE, turn_kernel
from monitor.drift.pool import Pool
from monitor.store.store import Store

__all__ = ["Said", "WordChange", "read_said", "word_changes"]

#: So many characters of a text are read: an encoder reads no more.
_READ = 2_000

#: A word of one turn alone is a name or a slip, and shares in nothing.
_TURNS = 2


@dataclass(frozen=True, slots=True)
class Said:
    """What turns say: distinct texts without secrets, and of each turn [n] the number of its text and of its user, -1 for an
    eval item, which is nobody's."""

    texts: Sequence[str]
    text: NDArray[np.int64]
    user: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WordChange:
    """A word: the shares of the turns that say it, before and now, and the part of the change that it carries."""

    word: str
    before: float
    after: float
    contribution: float


def read_said(store: Store, look: Look, rows: NDArray[np.int64], items: Sequence[str] = ()) -> Said:
    """What the items say, and after them the turns in these rows of the look."""
    numbers = numbered(np.array([look.hashes[row] for row in rows.tolist()], dtype=object))
    first = rows[np.unique(numbers, return_index=True)[1]]
    texts = [*items, *store.turns.texts(look.keys[first])]
    # Twice as much is redacted as is read, so that no secret is cut in half.
    read = [text[:_READ] for text in presentable(text[: 2 * _READ] for text in texts)]
    places = np.arange(len(items), dtype=np.int64)
    nobody = np.full(len(items), -1, np.int64)
    return Said(read, np.concatenate([places, len(items) + numbers]), np.concatenate([nobody, look.user[rows]]))


def word_changes(pool: Pool, carried: Attribution, said: Said, *, least_users: int) -> list[WordChange]:
    """The words that carry a part of the change, the largest part first; `said` in the pool's order.

    What a turn carries is shared among its distinct words, each by the part of the turn's neighbours that say it too, times
    the square of the logarithm of turns / turns that say it. So the words that make it a neighbour count, and the parts add to
    the whole at most, as those of topics do. A word that fewer than `least_users` users say keeps its share, and is not named.
    """
    counts, words = terms_of(said.texts, longest=1)
    if not len(words) or not all(pool.sides):
        return []
    held = (counts > 0).astype(np.float64).tocsr()[said.text]
    turns = np.asarray(held.sum(axis=0)).ravel()
    kept = turns >= _TURNS
    held, words, turns = held[:, kept], words[kept], turns[kept]
    near = held.multiply(_by_row(turn_kernel(pool, WIDE)) @ held).tocsr()
    shares = _by_row(near @ diags(np.log(len(pool) / turns) ** 2))
    enough = np.flatnonzero(_users(held, said.user) >= least_users)
    held, words = held[:, enough], words[enough]
    parts = carried.shared(shares[:, enough], among_many=True)
    contrast = next(pool.contrasts())[0][pool.conversation].astype(np.float64)
    after, before = np.maximum(contrast, 0) @ held, np.maximum(-contrast, 0) @ held
    named = np.flatnonzero(parts)
    return [
        WordChange(str(words[place]), float(before[place]), float(after[place]), float(parts[place]))
        for place in named[np.lexsort((words[named].astype(str), -parts[named]))]
    ]


def _by_row(weights: csr_matrix) -> csr_matrix:
    """Each row's weights by their sum; a row of none stays so."""
    whole = np.asarray(weights.sum(axis=1), np.float64).ravel()
    return (diags(np.divide(1.0, whole, out=np.zeros_like(whole), where=whole > 0)) @ weights).tocsr()


def _users(held: csr_matrix, user: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many users say each word."""
    theirs = np.flatnonzero(user >= 0)
    shape = (int(user.max(initial=-1)) + 1, len(user))
    said = csr_matrix((np.ones(len(theirs)), (user[theirs], theirs)), shape=shape) @ held
    return np.asarray((said > 0).sum(axis=0)).ravel().astype(np.int64)
