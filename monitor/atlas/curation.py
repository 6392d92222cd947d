"""What people decided about topics, put over the communities that a fit found: merged, split and locked topics.

Decisions are applied in the order in which they were made, so the later one wins where two speak of the same texts. A topic is
known again by the texts that the published atlas has in it, and by the decision's evidence where that has moved on: a community
is the topic's when more than half of its known texts are. What no decision speaks of stays as it was found, and the three
levels stay nested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Curated", "Decided", "Levels", "Pin", "Ruling", "Standing", "curate", "parts_of"]

#: A community is a topic's when more than this share of its known texts are.
_MOSTLY = 0.5
#: Rounds in which new texts follow their neighbours into a locked topic: a text whose neighbours are new too comes after them.
_ROUNDS = 3
#: What a lock leaves of a community that it took most of is no topic of its own, up to so many texts.
_REMAINS = 5
#: A text belongs to the part whose nearest seeds it is closest to, by their mean cosine.
_SEEDS = 3

Levels = tuple[NDArray[np.int64], ...]


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
class Standing:
    """The published atlas on the texts of a corpus: position in `ids[level]` of each text [n], -1 where it has none."""

    ids: tuple[Sequence[str], ...]
    of_texts: Levels

    def members(self, level: int, topic_id: str) -> NDArray[np.bool_]:
        ids = self.ids[level]
        found: NDArray[np.bool_] = self.of_texts[level] == (ids.index(topic_id) if topic_id in ids else -2)
        return found


@dataclass(frozen=True, slots=True)
class Decided:
    """What a fit is told of decisions: in order, and the atlas by which their topics are known."""

    standing: Standing
    rulings: Sequence[Ruling]


@dataclass(frozen=True, slots=True)
class Curated:
    """Topic of each text on each level, numbered from 0 by their first text, -1 for none; and the ids that decisions gave."""

    of_texts: Levels
    pins: tuple[Pin, ...]


@dataclass(frozen=True, slots=True)
class _Pinned:
    """A pin while numbers still change."""

    level: int
    number: int
    topic_id: str
    absorbed: tuple[str, ...]


@dataclass
class _Working:
    """The levels while decisions change them; numbers may have holes, and none is used twice."""

    levels: list[NDArray[np.int64]]
    subjects: NDArray[np.bool_]
    standing: Standing
    vectors: NDArray[np.float32]
    neighbours: NDArray[np.int64]
    weights: NDArray[np.float64]
    pinned: list[_Pinned] = field(default_factory=list)
    used: int = 0

    def __post_init__(self) -> None:
        self.used = max(int(level.max(initial=-1)) + 1 for level in self.levels)

    def free(self) -> int:
        self.used += 1
        return self.used - 1

    def members(self, level: int, topic_id: str, evidence: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Texts of a topic: as published, and where a decision before put it in this fit; else those of the evidence."""
        found = self.standing.members(level, topic_id)
        for one in self.pinned:
            if (one.level, one.topic_id) == (level, topic_id):
                found |= self.levels[level] == one.number
        if not found.any():
            found[evidence] = True
        return found

    def owned(self, level: int, members: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Texts of the communities of a level most of whose known texts are members."""
        numbers = self.levels[level]
        inside = numbers >= 0
        known = ((self.standing.of_texts[level] >= 0) | members) & inside
        of = np.bincount(numbers[known], minlength=self.used)
        mine = np.bincount(numbers[members & inside], minlength=self.used)
        chosen = mine > _MOSTLY * of
        return inside & chosen[numbers]

    def gather(
        self,
        mask: NDArray[np.bool_],
        level: int,
        topic_id: str,
        *,
        above: NDArray[np.int64],
        absorbed: tuple[str, ...] = (),
    ) -> None:
        """Make one topic of texts on a level. Finer topics that cross its border are divided by it; on coarser levels it lies
        where most of the rows `above` lie."""
        rows = np.flatnonzero(mask)
        if not len(rows):
            return
        for finer in range(level + 1, 3):
            numbers = self.levels[finer]
            numbers[mask & (numbers < 0)] = self.free()
            for crossing in np.intersect1d(numbers[mask], numbers[~mask]).tolist():
                numbers[mask & (numbers == crossing)] = self.free()
        numbers = self.levels[level]
        numbers[rows] = self.free()
        left = set(np.unique(numbers[~mask]).tolist())
        swallowed = [one for one in self.pinned if one.level == level and one.number not in left]
        self.pinned = [
            one for one in self.pinned if one not in swallowed and (one.level, one.topic_id) != (level, topic_id)
        ]
        ids = [*absorbed, *(id_ for one in swallowed for id_ in (*one.absorbed, one.topic_id))]
        ids = [id_ for id_ in dict.fromkeys(ids) if id_ != topic_id]
        self.pinned.append(_Pinned(level, int(numbers[rows[0]]), topic_id, tuple(ids)))
        self._hang(mask, level, above)

    def _hang(self, mask: NDArray[np.bool_], level: int, above: NDArray[np.int64]) -> None:
        """Put a topic into one topic of the next coarser level, and with that into one of the coarsest."""
        for coarser in range(level - 1, -1, -1):
            numbers = self.levels[coarser]
            # On the level of its new parent's parent, that one's other texts say where it lies.
            between = self.levels[coarser + 1]
            parent = between[np.flatnonzero(mask)[0]]
            others = np.flatnonzero((between == parent) & ~mask)
            source = others if coarser < level - 1 and len(others) else above
            most = _most(numbers[source])
            numbers[mask] = most if most >= 0 else self.free()

    def move(self, texts: NDArray[np.int64], to: NDArray[np.int64]) -> None:
        """Put texts into the fine topics of other texts."""
        for level in self.levels:
            level[texts] = level[to]

    def vote(self, texts: NDArray[np.int64], among: NDArray[np.bool_]) -> NDArray[np.int64]:
        """For each text the neighbour (of those that may be chosen) whose fine topic has most weight around it, -1 for none."""
        fine = self.levels[2]
        found = np.full(len(texts), -1, np.int64)
        for place, text in enumerate(texts.tolist()):
            near = self.neighbours[text]
            use = (near >= 0) & among[near] & (self.weights[text] > 0) & (fine[near] >= 0)
            if not use.any():
                continue
            _, first, inverse = np.unique(fine[near[use]], return_index=True, return_inverse=True)
            weight = np.round(np.bincount(inverse.ravel(), self.weights[text][use]), 9)
            found[place] = near[use][first[weight.argmax()]]
        return found


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
    work = _Working(copies, subjects, standing, vectors, neighbours.astype(np.int64), weights)
    for ruling in rulings:
        _APPLIED[ruling.kind](work, ruling)
    pins = []
    for one in work.pinned:
        texts = np.flatnonzero(work.levels[one.level] == one.number)
        if len(texts):
            pins.append(Pin(one.level, int(texts[0]), one.topic_id, one.absorbed))
    broad, middle, fine = (_renumbered(level) for level in work.levels)
    return Curated((broad, middle, fine), tuple(pins))


def _merge(work: _Working, ruling: Ruling) -> None:
    """The communities of either topic become one, under the target's id and where the target lies."""
    (gone, target), level = ruling.topics, ruling.level
    into = work.members(level, target, ruling.parts[1])
    both = into | work.members(level, gone, ruling.parts[0])
    mask = work.owned(level, both)
    # The target's own texts, also when the published atlas has both under its id by now: then the evidence tells them.
    own = np.zeros(len(mask), bool)
    own[ruling.parts[1]] = True
    above = np.flatnonzero(mask & (own if (own & mask).any() else into))
    work.gather(mask, level, target, above=above if len(above) else np.flatnonzero(mask), absorbed=(gone,))


def _split(work: _Working, ruling: Ruling) -> None:
    """What was one topic becomes its parts again: each of its texts goes to the part whose seeds are nearest.

    Above the fine level whole finer topics go, each where most of its texts would.
    """
    level = ruling.level
    members = np.zeros(len(work.levels[0]), bool)
    for topic, seeds in zip(ruling.topics, ruling.parts, strict=True):
        members |= work.standing.members(level, topic)
        members[seeds] = True
    seeded = [part for part, seeds in enumerate(ruling.parts) if len(seeds)]
    mask = work.owned(level, members)
    rows = np.flatnonzero(mask)
    if len(seeded) < 2 or not len(rows):
        return
    closeness = np.stack([_closeness(work.vectors[rows], work.vectors[ruling.parts[part]]) for part in seeded])
    part_of = closeness.argmax(axis=0)
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


def _lock(work: _Working, ruling: Ruling) -> None:
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
    owned = work.owned(2, members)
    strays = np.flatnonzero(members & ~owned)
    if owned.any() and len(strays):
        to = work.vote(strays, owned)
        sizes = np.bincount(work.levels[2][owned])
        largest = int(np.flatnonzero(owned & (work.levels[2] == sizes.argmax()))[0])
        work.move(strays, np.where(to >= 0, to, largest))
    mask = owned | members
    work.gather(mask, level, topic, above=np.flatnonzero(members))


def _sweep_remains(work: _Working, before: NDArray[np.int64], members: NDArray[np.bool_]) -> None:
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


def _let_in(work: _Working, home: int) -> None:
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


def _closeness(vectors: NDArray[np.float32], seeds: NDArray[np.float32]) -> NDArray[np.float64]:
    cosines = vectors @ seeds.T
    counted = min(_SEEDS, len(seeds))
    nearest = -np.partition(-cosines, counted - 1, axis=1)[:, :counted]
    found: NDArray[np.float64] = np.round(nearest.mean(axis=1).astype(np.float64), 6)
    return found


def _most(numbers: NDArray[np.int64]) -> int:
    """The most frequent number that is not -1, of equals the least; -1 where there is none."""
    inside = numbers[numbers >= 0]
    return int(np.bincount(inside).argmax()) if len(inside) else -1


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
