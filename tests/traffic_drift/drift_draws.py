"""Traffic drawn from a mixture of subjects, with conversations whose turns resemble each other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from monitor.drift.sample import Sample

WIDTH, SUBJECTS = 12, 6
_MIDDLES = np.random.default_rng(5).normal(size=(SUBJECTS + 1, WIDTH))
#: The last subject is the one that is planted; it is nowhere else.
WEIGHTS = np.array([*(1 / np.arange(1, SUBJECTS + 1)), 0.0])


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def draw(
    rng: np.random.Generator, conversations: int, turns: int = 1, weights: NDArray[np.float64] = WEIGHTS
) -> Sample:
    """Conversations of so many turns, all about one subject and nearer to each other than to the rest of it.

    Two levels of topics: pairs of subjects (100 and more), and subjects.
    """
    subject = rng.choice(SUBJECTS + 1, conversations, p=weights / weights.sum())
    talk = np.repeat(np.arange(conversations), turns)
    about = _MIDDLES[subject] + 0.5 * rng.normal(size=(conversations, WIDTH))
    vectors = unit(about[talk] + 0.05 * rng.normal(size=(len(talk), WIDTH)))
    return Sample(vectors, np.stack([100 + subject[talk] // 2, subject[talk]]), talk)


def most_alarms(draws: int, level: float) -> int:
    """More than this many of independent draws come with probability 1 in 1,000 when each has this level at most."""
    return int(binom.ppf(0.999, draws, level))
