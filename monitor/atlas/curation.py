"""What people decided about topics, put over the communities that a fit found: merged, split and locked topics.

Decisions are applied in the order in which they were made, so the later one wins where two speak of the same texts. A topic is
known again by the texts that the published atlas has in it, and by the decision's evidence where that has moved on: a community
is the topic's when more than half of its known texts are. The evidence itself is always where the decision put it. What no
decision speaks of stays as it was found, and the three levels stay nested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.regrouping import Levels, Regrouping, Standing

__all__ = ["Curated", "Decided", "Levels", "Pin", "Ruling", "Standing", "curate", "parts_of"]

#: Rounds in which new texts follow their neighbours into a locked topic: a text whose neighbours are new too comes after them.
_ROUNDS = 3
#: What a lock leaves of a community that it took most of is no topic of its own, up to so many texts.
_REMAINS = 5
#: A text belongs to the part whose nearest seeds it is closest to, by their mean cosine.
_SEEDS = 3


@dataclass(frozen=True, slots=True)
class Ruling:
    """A decision on the texts of a corpus. `topics` are the ids it speaks of, `parts` the rows of the evidence of each.

    Of a merge, the topic that goes and the one that it goes into; of a split, its parts; of a lock, the one topic.
    """

    kind: str
    level: int
    topics: tuple[str, ...]
    parts: tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, slots=True)
class Pin:
    """The community of this text on this level has this id, whatever the lineage would say. `absorbed` ids went into it."""

    level: int
    text: int
    topic_id: str
    absorbed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decided:
    """What a fit is told of decisions: in order, and the atlas by which their topics are known."""

    standing: Standing
    rulings: Sequence[Ruling]

    def locked_texts(self) -> NDArray[np.int64]:
        """Rows of the texts that a lock keeps in their topic: they have a subject, whatever use makes of them later."""
        found = [np.empty(0, np.int64)]
        for ruling in self.rulings:
            if ruling.kind == "lock":
                found += [
                    *ruling.parts,
                    *(np.flatnonzero(self.standing.members(ruling.level, one)) for one in ruling.topics),
                ]
        return np.unique(np.concatenate(found))


@dataclass(frozen=True, slots=True)
class Curated:
    """Topic of each text on each level, numbered from 0 by their first text, -1 for none; and the ids that decisions gave."""

    of_texts: Levels
    pins: tuple[Pin, ...]


def curate(
    levels: Levels,
    standing: Standing,
    rulings: Sequence[Ruling],
    *,
    subjects: NDArray[np.bool_],
    vectors: NDArray[np.float32],
    neighbours: NDArray[np.int64],
    weights: NDArray[np.float64],
) -> Curated:
    """Apply decisions to the topics [n] of three nested levels, broad first, -1 for a text without one.

    `subjects` [n] are the texts that may have a topic, `vectors` [n, d] their unit vectors, `neighbours` and `weights` [n, k]
    their graph, -1 for no neighbour. A decision whose texts are all gone changes nothing. The result depends on nothing else.
    """
    copies = [level.astype(np.int64, copy=True) for level in levels]
    work = Regrouping(copies, subjects, standing, vectors, neighbours.astype(np.int64), weights)
    for ruling in rulings:
        _APPLIED[ruling.kind](work, ruling)
    pins = []
    for one in work.pinned:
        texts = np.flatnonzero(work.levels[one.level] == one.number)
        if len(texts):
            pins.append(Pin(one.level, int(texts[0]), one.topic_id, one.absorbed))
    broad, middle, fine = (_renumbered(level) for level in work.levels)
    return Curated((broad, middle, fine), tuple(pins))


def _merge(work: Regrouping, ruling: Ruling) -> None:
    """The communities of either topic become one, under the target's id and where the target lies."""
    (gone, target), level = ruling.topics, ruling.level
    into = work.members(level, target, ruling.parts[1])
    both = into | work.members(level, gone, ruling.parts[0])
    mask = work.with_all(level, work.owned(level, both), _rows(work, ruling.parts))
    # The target's own texts, also when the published atlas has both under its id by now: then the evidence tells them.
    own = np.zeros(len(mask), bool)
    own[ruling.parts[1]] = True
    above = np.flatnonzero(mask & (own if (own & mask).any() else into))
    work.gather(mask, level, target, above=above if len(above) else np.flatnonzero(mask), absorbed=(gone,))


def _split(work: Regrouping, ruling: Ruling) -> None:
    """What was one topic becomes its parts again: each of its texts goes to the part whose seeds are nearest.

    Above the fine level whole finer topics go, each where most of its texts would.
    """
    level = ruling.level
    members = np.zeros(len(work.levels[0]), bool)
    for topic, seeds in zip(ruling.topics, ruling.parts, strict=True):
        members |= work.standing.members(level, topic)
        members[seeds] = True
    seeded = [part for part, seeds in enumerate(ruling.parts) if len(seeds)]
    mask = work.with_all(level, work.owned(level, members), _rows(work, ruling.parts))
    rows = np.flatnonzero(mask)
    if len(seeded) < 2 or not len(rows):
        return
    closeness = np.stack([_closeness(work.vectors[rows], work.vectors[ruling.parts[part]]) for part in seeded])
    part_of = closeness.argmax(axis=0)
    for place, part in enumerate(seeded):
        part_of[np.isin(rows, ruling.parts[part])] = place
    if level < 2:
        finer = work.levels[level + 1][rows]
        _, finer = np.unique(finer, return_inverse=True)
        votes = np.zeros((int(finer.max()) + 1, len(seeded)))
        np.add.at(votes, (finer.ravel(), part_of), 1.0)
        part_of = votes.argmax(axis=1)[finer.ravel()]
    for place, part in enumerate(seeded):
        chosen = np.zeros(len(mask), bool)
        chosen[rows[part_of == place]] = True
        work.gather(chosen, level, ruling.topics[part], above=np.flatnonzero(chosen))


def _lock(work: Regrouping, ruling: Ruling) -> None:
    """The topic keeps its texts; texts that are new come in where most of their neighbours are in it."""
    (topic,), level = ruling.topics, ruling.level
    members = work.members(level, topic, ruling.parts[0])
    members &= work.subjects
    if not members.any():
        return
    if level == 2:
        before = work.levels[2].copy()
        # What is new in a community that is mostly the topic is of the topic.
        kept = members | (work.owned(2, members) & (work.standing.of_texts[2] < 0))
        work.gather(kept, level, topic, above=np.flatnonzero(members))
        _sweep_remains(work, before, kept)
        _let_in(work, int(np.flatnonzero(members)[0]))
        return
    mask = work.with_all(level, work.owned(2, members), members)
    work.gather(mask, level, topic, above=np.flatnonzero(members))


def _sweep_remains(work: Regrouping, before: NDArray[np.int64], members: NDArray[np.bool_]) -> None:
    """The few texts that a lock left of a community go where their neighbours are."""
    inside = before >= 0
    taken = np.bincount(before[members & inside], minlength=int(before.max(initial=-1)) + 1)
    left = np.bincount(before[~members & inside], minlength=len(taken))
    small = (left > 0) & (left <= _REMAINS) & (taken > left)
    texts = np.flatnonzero(~members & inside & small[before])
    if not len(texts):
        return
    settled = np.ones(len(before), bool)
    settled[texts] = False
    to = work.vote(texts, settled)
    home = int(np.flatnonzero(members)[0])
    work.move(texts, np.where(to >= 0, to, home))


def _let_in(work: Regrouping, home: int) -> None:
    """Texts that the published atlas does not know, whose neighbours are mostly in the locked topic of the text `home`."""
    everyone = np.ones(len(work.subjects), bool)
    for _ in range(_ROUNDS):
        inside = work.levels[2] == work.levels[2][home]
        new = (work.standing.of_texts[2] < 0) & ~inside & (work.levels[2] >= 0)
        near = inside[work.neighbours] & (work.neighbours >= 0)
        candidates = np.flatnonzero(new & near.any(axis=1))
        to = work.vote(candidates, everyone)
        coming = candidates[(to >= 0) & inside[to]]
        if not len(coming):
            return
        work.move(coming, np.full(len(coming), home))


_APPLIED = {"merge": _merge, "split": _split, "lock": _lock}


def parts_of(vectors: NDArray[np.float32], number: int) -> NDArray[np.int64]:
    """Divide unit vectors [n, d] into parts [n] by k-means, the largest part first. Fewer parts where there are fewer texts.

    >>> parts_of(np.array([[1, 0], [0.8, 0.6], [0, 1], [1, 0]], np.float32), 2).tolist()
    [0, 0, 1, 0]
    """
    from sklearn.cluster import KMeans

    distinct = len(np.unique(np.round(vectors, 6), axis=0))
    if min(number, distinct) < 2:
        return np.zeros(len(vectors), np.int64)
    found = KMeans(min(number, distinct), n_init=10, random_state=0).fit_predict(vectors)
    sizes = np.bincount(found)
    first = np.array([np.flatnonzero(found == part)[0] for part in range(len(sizes))])
    rank = np.empty(len(sizes), np.int64)
    rank[np.lexsort((first, -sizes))] = np.arange(len(sizes))
    parts: NDArray[np.int64] = rank[found]
    return parts


def _rows(work: Regrouping, parts: Sequence[NDArray[np.int64]]) -> NDArray[np.bool_]:
    """Texts of the evidence of all parts that may have a topic."""
    found = np.zeros(len(work.subjects), bool)
    for part in parts:
        found[part] = True
    return found & work.subjects


def _closeness(vectors: NDArray[np.float32], seeds: NDArray[np.float32]) -> NDArray[np.float64]:
    cosines = vectors @ seeds.T
    counted = min(_SEEDS, len(seeds))
    nearest = -np.partition(-cosines, counted - 1, axis=1)[:, :counted]
    found: NDArray[np.float64] = np.round(nearest.mean(axis=1).astype(np.float64), 6)
    return found


def _renumbered(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """From 0 in the order of their first text; -1 stays."""
    inside = numbers >= 0
    found = np.full(len(numbers), -1, np.int64)
    if inside.any():
        _, first, inverse = np.unique(numbers[inside], return_index=True, return_inverse=True)
        rank = np.empty(len(first), np.int64)
        rank[np.argsort(first)] = np.arange(len(first))
        found[inside] = rank[inverse.ravel()]
    return found
