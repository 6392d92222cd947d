"""What makes gaps more pressing than their size: whether they grow, and how often replies fail there, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.atlas.corpus import numbered
from monitor.atlas.timeline import growth_of, periods
from monitor.coverage.draws import Replicate
from monitor.coverage.gaps import risk_of
from monitor.coverage.interval import Interval, moves
from monitor.coverage.production import Production

__all__ = ["Pressing", "pressing_of"]


@dataclass(frozen=True, slots=True)
class Pressing:
    """Growth and risk of a gap with their intervals; nan where growth is not known."""

    growth: Interval
    risk: Interval


def pressing_of(
    production: Production,
    gaps: Sequence[NDArray[np.int64]],
    figures: Sequence[tuple[float, float]],
    *,
    interval: float,
    replicates: int,
    seed: int,
) -> list[Pressing]:
    """The intervals of gaps, given as rows of their turns with their `figures`: growth (nan where it is not known) and risk.

    A bootstrap over the conversations of all traffic: a replicate draws them, and counts anew what both figures are read from,
    of the gaps and of everything. All that is known of a conversation goes with it, so one of many turns moves what it moves.
    """
    if not gaps:
        return []
    counts, size = _counts(production, gaps)
    draws = np.array(
        [_read(counts @ Replicate.of(seed, number).conversations(size)) for number in range(replicates)]
    ).reshape(replicates, 2, len(gaps))
    growth, risk = (moves(np.array([one[place] for one in figures]), draws[:, place], interval) for place in (0, 1))
    return [Pressing(*pair) for pair in zip(growth, risk, strict=True)]


def _counts(production: Production, gaps: Sequence[NDArray[np.int64]]) -> tuple[csr_matrix, int]:
    """By conversation [4 * (g + 1), c]: turns of the last week, of the four weeks before, of any time, and failed ones; of all
    traffic, then of each gap. And the number of conversations."""
    counted = production.counted
    conversation = numbered(production.corpus.conversation[counted])
    recent, before = periods(production.corpus.created[counted], end=production.end)
    facts = np.stack([recent, before, np.ones(len(counted), bool), production.failed[counted]])
    groups = [np.arange(len(counted)), *(np.searchsorted(counted, rows) for rows in gaps)]
    found = [
        (4 * group + np.nonzero(facts[:, rows])[0], rows[np.nonzero(facts[:, rows])[1]])
        for group, rows in enumerate(groups)
    ]
    row, turn = (np.concatenate([one[side] for one in found]) for side in (0, 1))
    size = int(conversation.max()) + 1
    return csr_matrix((np.ones(len(row)), (row, conversation[turn])), shape=(4 * len(groups), size)), size


def _read(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Growth and risk of each gap [2, g] from what a replicate counts."""
    recent, before, turns, failed = counts.reshape(-1, 4).T
    growth = growth_of(recent[1:], before[1:], recent[0], before[0])
    return np.stack([growth, risk_of(failed[1:], turns[1:], failed[0] / max(turns[0], 1.0))])
