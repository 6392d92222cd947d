"""The domain classifier: whether a model can tell the windows apart. On few turns it has the least power of the family."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from monitor.drift.pool import DriftResult, Pool

__all__ = ["classifier"]

_REPLICATES = 200


def classifier(pool: Pool) -> DriftResult:
    """AUROC by which a logistic regression, trained on half of the conversations, tells the windows of the others apart.

    Conversations of the half that is scored are permuted (classifier two-sample tests: Lopez-Paz and Oquab, 2017). The effect
    is the AUROC less one half.
    """
    from sklearn.linear_model import LogisticRegression

    sides = pool.current[0]
    if not all(pool.sides) or min(sides.sum(), (~sides).sum()) < 4:
        return pool.nothing()
    rng = np.random.default_rng(pool.seed)
    half = np.zeros(len(sides), np.int64)
    for side in (sides, ~sides):
        rows = rng.permutation(np.flatnonzero(side))
        half[rows[: len(rows) // 2]] = 1
    label = sides[pool.conversation]
    ranks = np.zeros(len(pool))
    for one in (0, 1):
        scored = half[pool.conversation] == one
        model = LogisticRegression(class_weight="balanced", max_iter=200).fit(pool.main[~scored], label[~scored])
        ranks[scored] = rankdata(model.decision_function(pool.main[scored]))
    sums = np.bincount(pool.conversation, weights=ranks, minlength=len(sides)).astype(np.float64)
    rows = np.stack([sides, *(_permuted(sides, half, rng) for _ in range(len(pool.current) - 1))])
    statistics = _auroc(rows.astype(float), np.ones_like(sums), sums, half, pool)
    again = np.zeros((_REPLICATES, len(sides)))
    for side in (sides, ~sides):
        members = np.flatnonzero(side)
        again[:, members] = rng.multinomial(len(members), np.full(len(members), 1 / len(members)), size=_REPLICATES)
    drawn = np.concatenate([_auroc(sides[None].astype(float), one, sums, half, pool) for one in again])
    spread = np.quantile(drawn - drawn.mean(), (0.05, 0.95))
    effect = float(statistics[0]) - 0.5
    return DriftResult(effect, effect + float(spread[0]), effect + float(spread[1]), statistics, *pool.sides)


def _permuted(sides: NDArray[np.bool_], half: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    found = sides.copy()
    for one in (0, 1):
        rows = np.flatnonzero(half == one)
        found[rows] = rng.permutation(sides[rows])
    return found


def _auroc(
    current: NDArray[np.float64],
    counts: NDArray[Any],
    ranks: NDArray[np.float64],
    half: NDArray[Any],
    pool: Pool,
) -> NDArray[np.float64]:
    """Mean over the halves [b] of the difference of mean ranks, which is the AUROC less one half, in turns."""
    found = np.zeros(len(current))
    for one in (0, 1):
        inside = (half == one) * counts
        turns = inside * pool.turns
        now, before = current @ turns, (1 - current) @ turns
        gap = (current @ (inside * ranks)) / np.maximum(now, 1) - ((1 - current) @ (inside * ranks)) / np.maximum(
            before, 1
        )
        found += gap / max(float(pool.turns[half == one].sum()), 1.0) / 2
    return found + 0.5
