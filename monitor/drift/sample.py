"""What a two-sample test is given, and what it answers. One signature for the whole family:
`(reference: Sample, current: Sample, *, rng, permutations) -> DriftResult`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["DriftResult", "Sample", "Split", "p_value", "split_of", "thinned"]


@dataclass(frozen=True, slots=True)
class Sample:
    """Turns of one window: unit vectors [n, d], topics [levels, n] (-1 for none), and conversation numbers [n].

    Turns of one conversation are not independent: every test permutes whole conversations.
    """

    vectors: NDArray[np.float32]
    topics: NDArray[np.int64]
    conversations: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.vectors)


@dataclass(frozen=True, slots=True)
class DriftResult:
    """`p_value` is (k + 1) / (B + 1) over permutations, nan where a window is empty; `effect` is explained by each test."""

    statistic: float
    p_value: float
    effect: float
    n_reference: int
    n_current: int


@dataclass(frozen=True, slots=True)
class Split:
    """Both windows together: each turn's conversation [n], and who is current [1 + B, c], first as it was, then permuted."""

    conversation: NDArray[np.int64]
    current: NDArray[np.float32]

    @property
    def turns(self) -> NDArray[np.float64]:
        """Turns of each conversation [c]."""
        return np.bincount(self.conversation, minlength=self.current.shape[1]).astype(np.float64)


def thinned(
    rows: NDArray[np.int64], conversations: NDArray[np.int64], most: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """The rows of whole conversations, chosen at random, of about `most` turns; all when there are no more.

    `conversations` [n] is the conversation of every turn, not only of the rows.
    """
    if len(rows) <= most:
        return rows
    names = np.unique(conversations[rows])
    kept = rng.choice(names, int(len(names) * most / len(rows)), replace=False)
    return rows[np.isin(conversations[rows], kept)]


def split_of(reference: Sample, current: Sample, *, rng: np.random.Generator, permutations: int) -> Split:
    """Number the conversations of both windows together and permute which of them are current.

    A conversation that reaches over the border counts as two. Its halves resemble each other, which makes the windows more
    alike than permuted ones: the tests err on the side of silence.
    """
    _, before = np.unique(reference.conversations, return_inverse=True)
    _, after = np.unique(current.conversations, return_inverse=True)
    first = int(before.max(initial=-1)) + 1
    number = first + int(after.max(initial=-1)) + 1
    labels = (np.arange(number) >= first).astype(np.float32)
    rows = np.stack([labels, *(rng.permutation(labels) for _ in range(permutations))])
    return Split(np.concatenate([before, first + after]).astype(np.int64), rows)


def p_value(statistics: NDArray[np.float64]) -> float:
    """The share of statistics at least as large as the first, which is the observed one.

    >>> p_value(np.array([3.0, 1.0, 2.0, 3.0]))
    0.5
    """
    # Sums of floats differ in their last digits.
    return float((statistics >= statistics[0] - 1e-9 - 1e-6 * abs(statistics[0])).mean())
