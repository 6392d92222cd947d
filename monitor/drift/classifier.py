"""The domain classifier: whether a model can tell the windows apart. On few turns it has the least power of the family."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from monitor.drift.pool import INTERVAL, REPLICATES, DriftResult, Pool, redraws

__all__ = ["classifier"]


def classifier(pool: Pool) -> DriftResult:
    """AUROC by which a logistic regression, trained on half of the conversations, tells the windows of the others apart.

    Conversations of the half that is scored are permuted (classifier two-sample tests: Lopez-Paz and Oquab, 2017). Scoring each
    half by the other would not do: what makes one AUROC large by chance makes the other large too, and no permutation shows it
    (12 % of null windows alarmed at 5 %). The effect is the AUROC less one half.
    """
    from sklearn.linear_model import LogisticRegression

    sides = pool.current[0]
    if not all(pool.sides) or min(sides.sum(), (~sides).sum()) < 4:
        return pool.nothing()
    rng = np.random.default_rng(pool.seed)
    scored = np.zeros(len(sides), bool)
    for side in (sides, ~sides):
        members = rng.permutation(np.flatnonzero(side))
        scored[members[: -(-len(members) // 2)]] = True
    of_turns, label = scored[pool.conversation], sides[pool.conversation]
    model = LogisticRegression(class_weight="balanced", max_iter=200).fit(pool.main[~of_turns], label[~of_turns])
    ranks = np.zeros(len(pool))
    ranks[of_turns] = rankdata(model.decision_function(pool.main[of_turns])) / of_turns.sum()
    sums = np.bincount(pool.conversation, weights=ranks, minlength=len(sides)).astype(np.float64)[scored]
    turns, actual = pool.turns[scored], sides[scored].astype(np.float64)
    rows = np.stack([actual, *(rng.permutation(actual) for _ in range(len(pool.current) - 1))])
    again = np.zeros((REPLICATES, len(actual)))
    for side in (actual > 0, actual == 0):
        members = np.flatnonzero(side)
        again[:, members] = redraws(len(members), rng)
    statistics = _excess(rows, 1 - rows, sums, turns)
    redrawn = _excess(again * actual, again * (1 - actual), sums, turns)
    effect, spread = float(statistics[0]), np.quantile(redrawn - redrawn.mean(), INTERVAL)
    return DriftResult(effect, effect + float(spread[0]), effect + float(spread[1]), statistics, *pool.sides)


def _excess(
    now: NDArray[np.float64], before: NDArray[np.float64], sums: NDArray[np.float64], turns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The difference of mean ranks [b], in turns, which is the AUROC less one half; of weights of the conversations [b, c]."""
    return np.asarray(
        now @ sums / np.maximum(now @ turns, 1e-9) - before @ sums / np.maximum(before @ turns, 1e-9), np.float64
    )
