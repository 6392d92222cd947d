"""Conversations as the lookout takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

__all__ = ["Conversations"]


@dataclass(frozen=True, slots=True)
class Conversations:
    """Conversations [c] in the order in which they began: where each lies, and whether a reply of it failed.

    `first` are the keys of their first turns with a subject.
    """

    keys: NDArray[np.uint64]
    began: Sequence[datetime]
    first: NDArray[np.uint64]
    novelty: NDArray[np.float64]
    topics: NDArray[np.int64]
    negative: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.keys)
