"""Topic ids that survive a refit, and what became of each topic: born, kept, grew, split, merged or died.

Only turns that both atlases put into a topic of the level are compared: what has left the window, or is new in it, says
nothing about whether a topic is the same one. Topics whose turns the other atlas hardly holds, as with windows that follow
one another without a turn in common, are compared by where their texts lie, if the caller can say.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from monitor.store.atlases import LineageRow

__all__ = ["GREW", "Alike", "Keys", "Lineage", "Minted", "match_topics"]

#: Jaccard overlap from which a new topic is the old one. At 0.3 two topics of one size share 46 % of their turns.
_SAME = 0.3

#: Share of an old topic that makes a new one a piece of it; of a new one, below which it is born and not a piece.
_PIECE = 0.2

#: Share of an old topic that has to be in a new one for the old to be merged into it.
_MERGED = 0.5

#: A topic grew when its share of all turns is this many times what it was; windows differ in size, so turns do not count.
GREW = 1.5

#: A topic is compared by where it lies when no more than this share of its turns is in the other atlas.
_FEW = 0.1

#: Such topics are the same when each is the other's nearest, and this near at least.
_ALIKE = 0.8

Keys = Collection[int] | NDArray[np.uint64]
Minted = Callable[[int, int], str]

#: Cosines [o, c] of the centroids of previous topics and of current ones of a level, by their ids and their numbers.
Alike = Callable[[int, Sequence[str], Sequence[int]], NDArray[np.float64]]


@dataclass(frozen=True, slots=True)
class Lineage:
    """`ids[level]` has an id for each current topic, in the order in which they were given; `events` say how it got it.

    Every current id is the `topic_id` of an event. Every previous id is the `topic_id` of one, or its `other`.
    """

    ids: dict[int, list[str]]
    events: tuple[LineageRow, ...]


def match_topics(
    previous: Mapping[int, Mapping[str, Keys]],
    current: Mapping[int, Sequence[NDArray[np.uint64]]],
    *,
    minted: Minted,
    alike: Alike | None = None,
    taken: Collection[str] = (),
) -> Lineage:
    """Give current topics the ids of the previous ones that they continue, and new ids to the others.

    Both are turn keys by topic, by level; the topics of a level share no turn. The pair of the greatest Jaccard overlap is
    matched first, down to 0.3. The largest piece of a topic that split keeps its id, and a topic into which several merged
    has the id of the one that brought most, also where that overlap is smaller. `minted(level, number)` makes a new id;
    while it names a previous topic or one of `taken`, it is asked again with the next number.

    A topic that is the same by `alike`, since hardly any of its turns are in both atlases, is kept too, or grew.

    `shared` is the Jaccard overlap for kept and grew, or the cosine if by `alike`; the share of `other` that came along for
    split and merged; and for born and died the greatest share that any topic has of it. The result does not depend on the
    order of the topics.

    >>> hello = match_topics({0: {"t1": {1, 2, 3}}}, {0: [np.array([1, 2, 3, 4])]}, minted="t{}{}".format)
    >>> hello.ids, hello.events[0].event
    ({0: ['t1']}, 'kept')
    """
    names_taken = {*taken, *(identifier for topics in previous.values() for identifier in topics)}
    ids: dict[int, list[str]] = {}
    events: list[LineageRow] = []
    for level in sorted({*previous, *current}):
        compared = _compare(previous.get(level, {}), current.get(level, ()))
        heir = _heirs(compared)
        cosines = _heirs_alike(compared, heir, level, alike) if alike is not None else {}
        numbers = count()
        names = [""] * len(compared.order)
        for position in compared.order:
            old = heir[position]
            names[position] = compared.old_ids[old] if old >= 0 else _fresh(level, numbers, minted, names_taken)
        ids[level] = names
        events += _events(compared, heir, names, cosines)
    return Lineage(ids, tuple(events))


@dataclass(frozen=True, slots=True)
class _Compared:
    """One level: old topics in the order of their ids, new ones as given; `order` is the new ones' order of smallest key.

    The pairs of an old and a new topic that share turns are `olds`, `news`; of each `overlaps` counts these turns,
    `jaccards` compares them with the turns of either, `of_old` with the old topic's, all in turns that both atlases hold,
    and `of_new` with all turns of the new one. `old_shares` and `new_shares` are of all turns of the atlas; `old_held` and
    `new_held` are what share of a topic's turns the other atlas has in a topic.
    """

    old_ids: list[str]
    old_held: NDArray[np.float64]
    new_held: NDArray[np.float64]
    old_shares: NDArray[np.float64]
    new_shares: NDArray[np.float64]
    order: list[int]
    olds: NDArray[np.int64]
    news: NDArray[np.int64]
    overlaps: NDArray[np.int64]
    jaccards: NDArray[np.float64]
    of_old: NDArray[np.float64]
    of_new: NDArray[np.float64]

    def ranked(self, pairs: NDArray[np.int64], by: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.int64]:
        """The pairs, the greatest first; ties by the old topic's id and the new one's smallest key."""
        rank = np.empty(len(self.order), np.int64)
        rank[self.order] = np.arange(len(self.order))
        return pairs[np.lexsort((rank[self.news[pairs]], self.olds[pairs], -by[pairs]))]


def _compare(previous: Mapping[str, Keys], current: Sequence[Keys]) -> _Compared:
    old_ids = sorted(previous)
    old_keys, old_of = _members([previous[identifier] for identifier in old_ids])
    new_keys, new_of = _members(current)
    _, in_old, in_new = np.intersect1d(old_keys, new_keys, assume_unique=True, return_indices=True)
    olds_of_turns, news_of_turns = old_of[in_old], new_of[in_new]
    codes, overlaps = np.unique(olds_of_turns * max(len(current), 1) + news_of_turns, return_counts=True)
    olds, news = np.divmod(codes, max(len(current), 1))
    old_sizes = np.bincount(olds_of_turns, minlength=len(old_ids))
    new_sizes = np.bincount(news_of_turns, minlength=len(current))
    old_totals = np.bincount(old_of, minlength=len(old_ids))
    new_totals = np.bincount(new_of, minlength=len(current))
    # keys are sorted, so the first row of a topic is its smallest key; a topic without turns comes last
    first = np.full(len(current), len(new_keys), np.int64)
    np.minimum.at(first, new_of, np.arange(len(new_of)))
    return _Compared(
        old_ids=old_ids,
        old_held=old_sizes / np.maximum(old_totals, 1),
        new_held=new_sizes / np.maximum(new_totals, 1),
        old_shares=old_totals / max(len(old_keys), 1),
        new_shares=new_totals / max(len(new_keys), 1),
        order=np.argsort(first, kind="stable").tolist(),
        olds=olds,
        news=news,
        overlaps=overlaps,
        jaccards=overlaps / (old_sizes[olds] + new_sizes[news] - overlaps),
        of_old=overlaps / old_sizes[olds],
        of_new=overlaps / new_totals[news],
    )


def _members(topics: Sequence[Keys]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Sorted distinct keys of all topics, and the number of the topic of each."""
    arrays = [keys if isinstance(keys, np.ndarray) else np.fromiter(keys, np.uint64, len(keys)) for keys in topics]
    keys = np.concatenate([np.empty(0, np.uint64), *arrays])
    topic = np.repeat(np.arange(len(arrays)), [len(array) for array in arrays]).astype(np.int64)
    # Once for all topics: `numpy.unique` of each takes twice as long. Of a key's topics the first one has it.
    order = np.argsort(keys, kind="stable")
    keys, topic = keys[order], topic[order]
    first = np.ones(len(keys), bool)
    first[1:] = keys[1:] != keys[:-1]
    return keys[first], topic[first]


def _heirs(compared: _Compared) -> NDArray[np.int64]:
    """The old topic whose id each new one takes over, -1 for none."""
    candidates = np.flatnonzero((compared.jaccards >= _SAME) | _largest_pieces(compared) | _main_sources(compared))
    heir = np.full(len(compared.order), -1, np.int64)
    inherited: set[int] = set()
    for pair in compared.ranked(candidates, compared.jaccards).tolist():
        old, new = int(compared.olds[pair]), int(compared.news[pair])
        if heir[new] < 0 and old not in inherited:
            heir[new] = old
            inherited.add(old)
    return heir


def _heirs_alike(compared: _Compared, heir: NDArray[np.int64], level: int, alike: Alike) -> dict[int, float]:
    """Complete `heir` with topics that are the same by where they lie; the cosine by current topic."""
    olds = np.setdiff1d(np.flatnonzero(compared.old_held <= _FEW), heir).tolist()
    news = [new for new in compared.order if heir[new] < 0 and compared.new_held[new] <= _FEW]
    if not olds or not news:
        return {}
    cosines = np.round(alike(level, [compared.old_ids[old] for old in olds], news), 6)
    found: dict[int, float] = {}
    for row, column in enumerate(cosines.argmax(axis=1).tolist()):
        if cosines[row, column] >= _ALIKE and cosines[:, column].argmax() == row:
            heir[news[column]] = olds[row]
            found[news[column]] = float(cosines[row, column])
    return found


def _largest_pieces(compared: _Compared) -> NDArray[np.bool_]:
    """Pairs of an old topic that split, and the largest of its pieces."""
    return _largest_of_several(compared, compared.of_old >= _PIECE, compared.olds)


def _main_sources(compared: _Compared) -> NDArray[np.bool_]:
    """Pairs of a new topic into which several merged, and the one that brought most."""
    return _largest_of_several(compared, compared.of_old >= _MERGED, compared.news)


def _largest_of_several(compared: _Compared, large: NDArray[np.bool_], group: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Of the large pairs, the one of the greatest overlap in each group that has at least two."""
    chosen = np.zeros(len(large), bool)
    ranked = compared.ranked(np.flatnonzero(large), compared.overlaps)
    _, first, several = np.unique(group[ranked], return_index=True, return_counts=True)
    chosen[ranked[first[several > 1]]] = True
    return chosen


def _fresh(level: int, numbers: count[int], minted: Minted, taken: set[str]) -> str:
    for number in numbers:
        identifier = minted(level, number)
        if identifier not in taken:
            taken.add(identifier)
            return identifier
    raise AssertionError("the count does not end")


def _events(
    compared: _Compared, heir: NDArray[np.int64], names: Sequence[str], cosines: Mapping[int, float]
) -> list[LineageRow]:
    pairs_of_new: dict[int, list[int]] = {}
    for pair in compared.ranked(np.arange(len(compared.olds)), compared.overlaps).tolist():
        pairs_of_new.setdefault(int(compared.news[pair]), []).append(pair)
    living = set(heir.tolist())
    events: list[LineageRow] = []
    for new in compared.order:
        pairs = pairs_of_new.get(new, [])
        merged = [pair for pair in pairs if compared.of_old[pair] >= _MERGED and compared.olds[pair] not in living]
        if heir[new] >= 0:
            shared = {int(compared.olds[pair]): float(compared.jaccards[pair]) for pair in pairs}
            events.append(
                _continued(compared, names[new], new, heir[new], cosines.get(new, shared.get(heir[new], 0.0)))
            )
        elif not merged:
            events.append(_appeared(compared, names[new], pairs))
        events += [_row(compared, names[new], "merged", pair) for pair in merged]
    followed = {event.other for event in events} | {compared.old_ids[old] for old in living if old >= 0}
    greatest = np.zeros(len(compared.old_ids))
    np.maximum.at(greatest, compared.olds, compared.of_old)
    events += [
        LineageRow(identifier, "died", None, float(greatest[old]))
        for old, identifier in enumerate(compared.old_ids)
        if identifier not in followed
    ]
    return events


def _continued(compared: _Compared, name: str, new: int, old: int, shared: float) -> LineageRow:
    grew = compared.new_shares[new] >= GREW * compared.old_shares[old]
    return LineageRow(name, "grew" if grew else "kept", None, shared)


def _appeared(compared: _Compared, name: str, pairs: Sequence[int]) -> LineageRow:
    """A topic with a new id: a piece of the old one it shares most with, or born."""
    for pair in pairs:
        if max(compared.of_old[pair], compared.of_new[pair]) >= _PIECE:
            return _row(compared, name, "split", pair)
    return LineageRow(name, "born", None, max((float(compared.of_new[pair]) for pair in pairs), default=0.0))


def _row(compared: _Compared, name: str, event: str, pair: int) -> LineageRow:
    return LineageRow(name, event, compared.old_ids[compared.olds[pair]], float(compared.of_old[pair]))
