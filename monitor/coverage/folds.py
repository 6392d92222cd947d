"""Which eval items are left out together, so that those can be looked at as if they were turns.

A turn that is covered has all items of its kind around it, and an item that is left out has one fewer than that. So a fold
leaves out about the same part of the items of every kind, and the turns are looked at with the same fold left out: both then
have as many items of their kind (K-fold cross-fitting, with folds stratified by kind).

Folds hang on what the items are: an item that is added or removed leaves those of other kinds in their folds, and what two
versions of an eval set differ in is not the luck of the draw.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

__all__ = ["LeftOut", "alone", "item_groups", "lots", "none_left_out", "stratum_of", "turns_an_item", "with_their_kind"]

#: Two eval items this near say the same: they are left out together, or the one would cover the other.
_SAME_ITEM = 0.95

#: Items are left out in as many folds as their kinds have items, at most this many; and with their kind in this many.
_MOST_FOLDS, _KIND_FOLDS = 10, 10

#: Kinds are dealt by their lots, and a fold takes at most this times its part of them: a fold that is full moves few others
#: (consistent hashing with bounded loads; Mirrokni, Thorup and Zadimoghaddam, 2018).
_ROOM = 1.25

#: So many lots there are: 40 bits.
_LOTS = 2**40

#: Kinds are strata when this share of the items is not alone in its kind.
_SHARED = 0.5


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Some eval sets, in each of which some items are left out.

    `cells` [m] is each item's cell, `held` [c, f] says which cells each of the f eval sets holds, and `judged` [m] in which
    of them an item that is left out is looked at; -1 for none.
    """

    cells: NDArray[np.int64]
    held: NDArray[np.bool_]
    judged: NDArray[np.int64]

    @property
    def items(self) -> NDArray[np.bool_]:
        """The items that each eval set holds [m, f]."""
        return self.held[self.cells]


def none_left_out(items: int) -> LeftOut:
    return LeftOut(np.zeros(items, np.int64), np.ones((1, 1), bool), np.full(items, -1))


def lots(names: Iterable[str]) -> NDArray[np.float64]:
    """A number [m] from 0 to 1 for each name, as good as drawn, and the same wherever the name is met."""
    digests = (blake2b(name.encode("utf-8", "surrogatepass"), digest_size=5).digest() for name in names)
    return np.array([int.from_bytes(digest) / _LOTS for digest in digests], np.float64)


def alone(strata: NDArray[np.int64], groups: NDArray[np.int64], lots: NDArray[np.float64]) -> LeftOut:
    """Items left out with about the same part of every stratum [m]; those of a group [m] say the same and go together.

    The `lots` [m] say which fold. A stratum of one group is never left out: without it nothing is known of its kind.
    """
    fold = _stratified(strata, groups, lots)
    held = np.ones((int(fold.max(initial=0)) + 2, int(fold.max(initial=0)) + 1), bool)
    held[np.arange(1, len(held)), np.arange(len(held) - 1)] = False
    return LeftOut(fold + 1, held, fold)


def with_their_kind(kinds: NDArray[np.int64], lots: NDArray[np.float64], alone: LeftOut) -> LeftOut:
    """Items left out with all of their kind [m], and beside them a fold of those left `alone`, as where those are looked at.

    The `lots` [m] are those of the kinds, and say which go together.
    """
    _, first, member = np.unique(kinds, return_index=True, return_inverse=True)
    dealt, fold = np.unique(_dealt(lots[first]), return_inverse=True)
    fold = fold.ravel()[member.ravel()].astype(np.int64)
    folds = len(dealt)
    cell, column = np.divmod(np.arange(len(alone.held) * folds)[:, None], folds), np.arange(folds)
    held = (cell[1] != column) & alone.held[cell[0][:, 0]][:, dealt % alone.held.shape[1]]
    return LeftOut(alone.cells * folds + fold, held, fold)


def stratum_of(kinds: Sequence[NDArray[np.int64]], groups: NDArray[np.int64]) -> int | None:
    """Which of the `kinds` [m] is the first in which most items are not alone; None where there is none."""
    for place, kind in enumerate(kinds):
        names, member = np.unique(kind, return_inverse=True)
        together = np.unique(np.stack([member.ravel(), groups], axis=1), axis=0)[:, 0]
        if (np.bincount(together, minlength=len(names))[member.ravel()] > 1).mean() >= _SHARED:
            return place
    return None


def turns_an_item(
    strata: NDArray[np.int64], nearest: NDArray[np.int64], weight: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """How much of the traffic each item stands for [m]; 1 everywhere where the traffic weighs nothing.

    `nearest` [n] is the stratum of the item nearest to each text, `weight` [n] what the text weighs (1 each by default): the
    texts of the item's stratum, over the items in it.
    """
    near = np.bincount(nearest, weight, minlength=int(strata.max()) + 1)
    found = np.asarray((near / np.bincount(strata, minlength=len(near)).clip(1))[strata], np.float64)
    return found if found.any() else np.ones(len(strata))


def item_groups(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Number [m] of each eval item, equal where items say the same (cosine of 0.95 or more, directly or in a chain)."""
    from scipy.sparse.csgraph import connected_components

    _, labels = connected_components(csr_matrix(vectors @ vectors.T >= _SAME_ITEM), directed=False)
    return np.asarray(labels, np.int64)


def _stratified(strata: NDArray[np.int64], groups: NDArray[np.int64], lots: NDArray[np.float64]) -> NDArray[np.int64]:
    """The fold [m] of each item, -1 for none. A group of several strata is dealt out with the one of its least lot."""
    by_lot = np.argsort(lots, kind="stable")
    _, first = np.unique(groups[by_lot], return_index=True)
    first = by_lot[first]  # of each group
    order = np.lexsort((lots[first], strata[first]))
    parts = np.split(order, np.flatnonzero(np.diff(strata[first][order])) + 1)
    sizes = np.repeat([len(part) for part in parts], [len(part) for part in parts])
    folds = int(np.clip(np.median(sizes), 2, _MOST_FOLDS))
    of_group = np.full(len(first), -1, np.int64)
    for part in parts:
        if len(part) > 1:
            # Each stratum begins with another fold: else the first would hold more items than the last. Low digits say which,
            # since the least of some lots is a small number.
            of_group[part] = (np.arange(len(part)) + int(lots[first[part[0]]] * _LOTS)) % folds
    return of_group[groups]


def _dealt(lots: NDArray[np.float64]) -> NDArray[np.int64]:
    """The fold of each kind [l]: the one that its lot names, or the next with room."""
    room = int(np.ceil(_ROOM * len(lots) / _KIND_FOLDS))
    fold, taken = np.empty(len(lots), np.int64), [0] * _KIND_FOLDS
    for kind in np.argsort(lots, kind="stable").tolist():
        place = int(lots[kind] * _KIND_FOLDS)
        while taken[place] >= room:
            place = (place + 1) % _KIND_FOLDS
        taken[place] += 1
        fold[kind] = place
    return fold
