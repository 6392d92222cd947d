"""The score that a turn's probability of being covered rises with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.coverage.novelty import Novelty

__all__ = ["turn_scores"]

#: Exponents beyond this make every probability 0 or 1.
_LIMIT = 60.0

#: A text that is more novel is never more likely covered: the slope is at most so much below 0, over the spread of novelty.
_LEAST, _TINY = 1e-6, 1e-9

#: Presence counts this much beside novelty in learnt directions, and what a regression on left-out items says of it. They say
#: too little: an item whose kind is left out lies where items were.
_PRESENCE = 1 / 3


def turn_scores(novelty: Novelty) -> NDArray[np.float64]:
    """Log odds of covered against missed, but for a constant, of each text [n]: slope * novelty + presence.

    Where directions were learnt from labels, novelty is that in these (`Novelty.order`). Items cannot tell its slope, as they
    were learnt from: it is the slope of novelty, and what it is multiplied with is spread as novelty is. Presence then counts
    as left-out items say, between nothing and as much as elsewhere.
    """
    missed = novelty.missed[np.isfinite(novelty.missed)]
    covered = novelty.covered[np.isfinite(novelty.covered)]
    slope = float(_slopes(covered[:, None], missed[:, None])[0])
    slope = min(slope, -_LEAST / max(float(np.concatenate([covered, missed]).std()), _TINY))
    if novelty.order is None:
        return slope * novelty.texts + novelty.presence
    slope *= float(novelty.texts.std()) / max(float(novelty.order.std()), _TINY)
    return slope * novelty.order + _weight_of_presence(novelty) * novelty.presence


def _weight_of_presence(novelty: Novelty) -> float:
    if novelty.item_presence is None:
        return 1.0
    covered = np.stack([novelty.covered, novelty.item_presence[0]], axis=1)
    missed = np.stack([novelty.missed[-1], novelty.item_presence[1]], axis=1)
    known = np.isfinite(covered).all(axis=1) & np.isfinite(missed).all(axis=1)
    return float(np.clip(_PRESENCE + _slopes(covered[known], missed[known])[1], 0.0, 1.0)) if known.any() else _PRESENCE


def _slopes(covered: NDArray[np.float64], missed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Slopes [p] of a logistic regression of covered [a, p] (1) against missed [b, p] (0): Newton's, a touch of ridge."""
    x = np.concatenate([covered, missed])
    y = np.concatenate([np.ones(len(covered)), np.zeros(len(missed))])
    weight = np.concatenate([np.full(len(covered), 1 / len(covered)), np.full(len(missed), 1 / len(missed))])
    scale = np.maximum(x.std(axis=0), _TINY)
    design = np.concatenate([np.ones((len(x), 1)), (x - x.mean(axis=0)) / scale], axis=1)
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ beta, -_LIMIT, _LIMIT)))
        gradient = design.T @ (weight * (y - p)) - 1e-3 * beta
        hessian = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-3 * np.eye(len(beta))
        step = np.linalg.solve(hessian, gradient)
        beta = beta + step
        if np.abs(step).max() < 1e-10:
            break
    return np.asarray(beta[1:] / scale, np.float64)
