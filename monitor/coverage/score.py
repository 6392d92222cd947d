"""The score that a turn's probability of being covered rises with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.coverage.novelty import Novelty

__all__ = ["turn_scores"]

#: Exponents beyond this make every probability 0 or 1.
_LIMIT = 60.0

#: Where directions are learnt from labels novelty tells more, and presence counts this much of what it does elsewhere.
_PRESENCE_BESIDE_ORDER = 2 / 3


def turn_scores(novelty: Novelty) -> NDArray[np.float64]:
    """Log odds of covered against missed, but for a constant, of each text [n]: slope * novelty + presence.

    Where directions were learnt from labels, novelty is that in these (`Novelty.order`). Items cannot tell its slope, as they
    were learnt from: it is the slope of novelty, and what it is multiplied with is spread as novelty is.
    """
    slope = _slope(novelty)
    if novelty.order is None:
        return slope * novelty.texts + novelty.presence
    slope *= float(novelty.texts.std()) / max(float(novelty.order.std()), 1e-9)
    return slope * novelty.order + _PRESENCE_BESIDE_ORDER * novelty.presence


def _slope(novelty: Novelty) -> float:
    """Slope of a logistic regression of covered (1) against missed (0) on novelty; Newton's method, a touch of ridge.

    Negative: more novel, less likely covered.
    """
    missed = novelty.missed[np.isfinite(novelty.missed)]
    covered = novelty.covered[np.isfinite(novelty.covered)]
    x = np.concatenate([covered, missed])
    y = np.concatenate([np.ones(len(covered)), np.zeros(len(missed))])
    weight = np.concatenate([np.full(len(covered), 1 / len(covered)), np.full(len(missed), 1 / len(missed))])
    centre, scale = x.mean(), max(x.std(), 1e-9)
    design = np.stack([np.ones_like(x), (x - centre) / scale], axis=1)
    beta = np.zeros(2)
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -_LIMIT, _LIMIT)))
        gradient = design.T @ (weight * (y - p)) - 1e-3 * beta
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-3 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    return float(min(beta[1], -1e-6) / scale)
