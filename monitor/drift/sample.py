"""The turns of one window, as a two-sample test is given them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Sample", "thinned"]


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

    def only(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Sample:
        return Sample(self.vectors[rows], self.topics[:, rows], self.conversations[rows])


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
