"""Topics on three nested levels while decisions change them, by steps each of which keeps them nested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Levels", "Pinned", "Regrouping", "Standing"]

#: A community is a topic's when more than this share of its known texts are.
_MOSTLY = 0.5

Levels = tuple[NDArray[np.int64], ...]


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
class Pinned:
    """A pin while numbers still change."""

    level: int
    number: int
    topic_id: str
    absorbed: tuple[str, ...]


@dataclass
class Regrouping:
    """The levels while decisions change them; numbers may have holes, and none is used twice."""

    levels: list[NDArray[np.int64]]
    subjects: NDArray[np.bool_]
    standing: Standing
    vectors: NDArray[np.float32]
    neighbours: NDArray[np.int64]
    weights: NDArray[np.float64]
    pinned: list[Pinned] = field(default_factory=list)
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

    def with_all(self, level: int, mask: NDArray[np.bool_], texts: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The mask with these texts too. Above the fine level a text outside of it is moved into one of its fine topics: the
        one of most of its neighbours there, else the largest."""
        strays = np.flatnonzero(texts & ~mask)
        if level < 2 and mask.any() and len(strays):
            to = self.vote(strays, mask)
            sizes = np.bincount(self.levels[2][mask])
            largest = int(np.flatnonzero(mask & (self.levels[2] == sizes.argmax()))[0])
            self.move(strays, np.where(to >= 0, to, largest))
        return mask | texts

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
        self.pinned.append(Pinned(level, int(numbers[rows[0]]), topic_id, tuple(ids)))
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


def _most(numbers: NDArray[np.int64]) -> int:
    """The most frequent number that is not -1, of equals the least; -1 where there is none."""
    inside = numbers[numbers >= 0]
    return int(np.bincount(inside).argmax()) if len(inside) else -1
