"""Both windows of a comparison together, and who is current: as it is, permuted, and drawn again. One pool serves all tests,
so that their statistics are permuted together and one verdict can be made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.affinity import main_directions
from monitor.atlas.neighbours import build_graph
from monitor.drift.sample import Sample

__all__ = ["INTERVAL", "REPLICATES", "DriftResult", "Pool", "p_value", "pooled", "redraws"]

#: Neighbours of each turn that are kept, and how many more are asked for, for some are of the own conversation.
_NEIGHBOURS, _MORE = 40, 8

#: Rows of permutations that are computed at a time: products of all would take gigabytes.
_AT_ONCE = 128

#: Draws that the intervals are of, and their ends.
REPLICATES, INTERVAL = 200, (0.05, 0.95)


@dataclass(frozen=True, slots=True)
class DriftResult:
    """What a two-sample test found. `p_value` is (k + 1) / (B + 1) over permutations, nan where a window is empty.

    `effect` is how large the change is, explained by each test, with its 90 % interval over conversations; `statistics`
    [1 + B] are that of the windows and of each permutation.
    """

    effect: float
    low: float
    high: float
    statistics: NDArray[np.float64]
    n_reference: int
    n_current: int

    @property
    def statistic(self) -> float:
        return float(self.statistics[0]) if len(self.statistics) else float("nan")

    @property
    def p_value(self) -> float:
        return p_value(self.statistics)


@dataclass(frozen=True)
class Pool:
    """Turns [n] of both windows in a random order, in c conversations.

    `vectors` [n, d], `topics` [levels, n] and `conversation` [n] are of the turns; `current` [1 + B, c] says which
    conversations are current, first as it was and then permuted; `stratum` [c] is the kind of conversation that is compared
    with its like, and `order` [n] is each turn's place among those of the reference followed by the current ones.
    """

    vectors: NDArray[np.float32]
    topics: NDArray[np.int64]
    conversation: NDArray[np.int64]
    current: NDArray[np.bool_]
    stratum: NDArray[np.int64]
    order: NDArray[np.int64]
    seed: int

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def sides(self) -> tuple[int, int]:
        """Turns of the reference, and current ones."""
        now = int(self.turns[self.current[0]].sum())
        return len(self) - now, now

    @cached_property
    def turns(self) -> NDArray[np.float64]:
        """Turns of each conversation [c]."""
        return np.bincount(self.conversation, minlength=self.current.shape[1]).astype(np.float64)

    @cached_property
    def main(self) -> NDArray[np.float32]:
        """The turns in the 64 directions in which they differ most: there their neighbours share their subject more often."""
        return main_directions(self.vectors)

    @cached_property
    def neighbours(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Each turn's nearest turns of other conversations [n, 40] in the main directions, nearest first, and their cosines.

        -1 and 0 where there are fewer.
        """
        graph = build_graph(self.main, k=_NEIGHBOURS + _MORE)
        indices, cosines = graph.indices.astype(np.int64), graph.cosines
        own = (indices < 0) | (self.conversation[indices] == self.conversation[:, None])
        order = np.argsort(own, axis=1, kind="stable")[:, :_NEIGHBOURS]
        own = np.take_along_axis(own, order, 1)
        indices, cosines = np.take_along_axis(indices, order, 1), np.take_along_axis(cosines, order, 1)
        return np.where(own, -1, indices), np.where(own, np.float32(0), cosines)

    @cached_property
    def topic_counts(self) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]] | None:
        """Turns of each conversation in each topic [c, t], the topics' numbers and levels [t]; None where there is nothing."""
        names = np.unique(self.topics[self.topics >= 0])
        if not all(self.sides) or not len(names):
            return None
        counts = np.zeros((self.current.shape[1], len(names)))
        levels = np.empty(len(names), np.int64)
        for level, row in enumerate(self.topics):
            inside = row >= 0
            column = np.searchsorted(names, row[inside])
            np.add.at(counts, (self.conversation[inside], column), 1.0)
            levels[np.unique(column)] = level
        return counts, names, levels

    @cached_property
    def topic_changes(self) -> NDArray[np.float64]:
        """By how much each topic's share of the turns changed, as it was and in every permutation [1 + B, t]."""
        counts = self.topic_counts[0] if self.topic_counts is not None else np.zeros((self.current.shape[1], 0))
        return np.concatenate([contrast.astype(np.float64) @ counts for contrast in self.contrasts()])

    def contrasts(self) -> Iterator[NDArray[np.float32]]:
        """Blocks of rows [b, c]: what a turn of each conversation adds to the mean of the current turns less that of the
        reference, as it was and for every permutation. The current turns' sum to 1 and the reference's to -1.

        Within strata a turn of the reference counts as much as its stratum has conversations now, so both sides are made up
        alike.
        """
        for start in range(0, len(self.current), _AT_ONCE):
            yield self._contrast(self.current[start : start + _AT_ONCE].astype(np.float32))

    @cached_property
    def redrawn(self) -> NDArray[np.float32]:
        """Contrasts [200, c] of conversations drawn again with replacement, from each side on its own: a bootstrap."""
        rng = np.random.default_rng(self.seed)
        drawn = np.zeros((REPLICATES, self.current.shape[1]), np.float32)
        for side in (self.current[0], ~self.current[0]):
            rows = np.flatnonzero(side)
            drawn[:, rows] = redraws(len(rows), rng)
        return self._contrast(drawn * self.current[0], drawn * ~self.current[0])

    def tested(
        self,
        statistic: Callable[[NDArray[np.float32]], NDArray[np.float64]],
        effect: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda excess: excess,
    ) -> DriftResult:
        """A test whose statistic follows from contrasts [b, c] alone. `effect` is of the excess over permutations.

        A bootstrap's statistics are larger than the windows' by the noise of drawing again, so only their spread is used.
        """
        statistics = np.concatenate([statistic(block) for block in self.contrasts()])
        excess = statistics[0] - statistics[1:].mean() if len(statistics) > 1 else np.nan
        again = statistic(self.redrawn)
        spread = np.quantile(again - again.mean(), INTERVAL)
        value, low, high = effect(np.array([excess, *(excess + spread)])).tolist()
        return DriftResult(value, min(low, value), max(high, value), statistics, *self.sides)

    def nothing(self) -> DriftResult:
        """What a test says that has nothing to go by."""
        return DriftResult(np.nan, np.nan, np.nan, np.empty(0), *self.sides)

    @cached_property
    def weight(self) -> NDArray[np.float32]:
        """What a turn of each conversation counts in the reference [c]: it makes the strata as large as they are now."""
        now = np.bincount(self.stratum, weights=self.current[0].astype(float))
        before = np.bincount(self.stratum, weights=(~self.current[0]).astype(float))
        return np.divide(now, before, out=np.zeros_like(now), where=before > 0)[self.stratum].astype(np.float32)

    def _contrast(self, now: NDArray[np.float32], before: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        turns = self.turns.astype(np.float32)
        before = (1 - now if before is None else before) * self.weight
        now = now / np.maximum(now @ turns, 1e-9)[:, None]
        return np.asarray(now - before / np.maximum(before @ turns, 1e-9)[:, None], np.float32)


def pooled(
    reference: Sample,
    current: Sample,
    *,
    rng: np.random.Generator,
    permutations: int = 999,
    strata: tuple[NDArray[np.int64], NDArray[np.int64]] | None = None,
) -> Pool:
    """Put two windows together and permute which of their conversations are current.

    With `strata`, a number from 0 on for each turn of both windows, conversations are permuted within their stratum only, that
    of their first turn. A conversation that reaches over the border counts as two. Its halves resemble each other, which makes
    the windows more alike than permuted ones: the tests err on the side of silence.
    """
    _, before = np.unique(reference.conversations, return_inverse=True)
    _, after = np.unique(current.conversations, return_inverse=True)
    first = int(before.max(initial=-1)) + 1
    number = first + int(after.max(initial=-1)) + 1
    conversation = np.concatenate([before, first + after]).astype(np.int64)
    of_turns = np.concatenate(strata) if strata is not None else np.zeros(len(conversation), np.int64)
    stratum = np.zeros(number, np.int64)
    stratum[conversation[::-1]] = of_turns[::-1]
    labels = np.arange(number) >= first
    rows = np.empty((1 + permutations, number), bool)
    rows[0] = labels
    order = np.argsort(stratum, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1)
    for row in range(1, 1 + permutations):
        for part in parts:
            rows[row, part] = rng.permutation(labels[part])
    # Shuffled: of equal texts the first is the nearer neighbour, and the reference must not always be first.
    shuffled = rng.permutation(len(conversation))
    vectors, topics = (
        np.concatenate([reference.vectors, current.vectors]),
        np.concatenate([reference.topics, current.topics], 1),
    )
    return Pool(
        vectors[shuffled],
        topics[:, shuffled],
        conversation[shuffled],
        rows,
        stratum,
        shuffled,
        int(rng.integers(2**31)),
    )


def redraws(number: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each of `number` conversations is drawn when as many are drawn with replacement [200, number]."""
    return rng.multinomial(number, np.full(number, 1 / max(number, 1)), size=REPLICATES)


def p_value(statistics: NDArray[np.float64]) -> float:
    """The share of statistics at least as large as the first, which is the observed one; nan without permutations.

    >>> p_value(np.array([3.0, 1.0, 2.0, 3.0]))
    0.5
    """
    if len(statistics) < 2:
        return float("nan")
    # Sums of floats differ in their last digits.
    return float((statistics >= statistics[0] - 1e-9 - 1e-6 * abs(statistics[0])).mean())
