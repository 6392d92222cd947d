"""Multinomial logistic regression on unit vectors: which of several classes a vector belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.threads import one_thread_a_product

__all__ = ["Logistic", "fit_logistic"]

#: Weight of the squared coefficients. Of 0.01, 0.03, 0.1, 0.3 and 1 on CLINC150's validation split, 0.01 to 0.1 are equal.
_PENALTY = 0.1

#: More change nothing: 10 examples a class converge in 25, 100 are as accurate after 30 as after 100.
_ITERATIONS = 40


@dataclass(frozen=True, slots=True)
class Logistic:
    """Coefficients [d, c] and offsets [c]. Made by `fit_logistic`."""

    coefficients: NDArray[np.float32]
    offsets: NDArray[np.float32]

    def probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """The probability of each class for each vector [n, d], as [n, c]; a row sums to 1."""
        scores = vectors @ self.coefficients + self.offsets
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        return scores


def fit_logistic(vectors: NDArray[np.float32], classes: NDArray[np.int64]) -> Logistic:
    """Fit to vectors [e, d] with classes [e] numbered from 0, each with at least one vector, by L-BFGS from zero.

    Every class has the same weight in the loss, however many vectors it has: how many examples somebody wrote says
    nothing about how often a thing is said. With 1 to 20 examples a class this is worth 10 points of accuracy.
    """
    from scipy.optimize import minimize

    counts = np.bincount(classes)
    examples, number = len(classes), len(counts)
    if number == 1:
        return Logistic(np.zeros((vectors.shape[1], 1), np.float32), np.zeros(1, np.float32))
    weights = (examples / number / counts[classes]).astype(np.float32)
    mean = vectors.mean(axis=0)
    features = np.hstack([vectors - mean, np.ones((examples, 1), np.float32)]).astype(np.float32)
    rows = np.arange(examples)

    def loss(flat: NDArray[Any]) -> tuple[float, NDArray[np.float64]]:
        """Weighted cross-entropy and penalty, and the gradient; the offsets, in the last row, are free of it."""
        parameters = flat.reshape(-1, number).astype(np.float32)
        scores = features @ parameters
        scores -= scores.max(axis=1, keepdims=True)
        own = scores[rows, classes]
        np.exp(scores, out=scores)
        total = scores.sum(axis=1)
        scores /= total[:, None]
        scores[rows, classes] -= 1
        gradient = features.T @ (scores * weights[:, None])
        gradient[:-1] += _PENALTY * parameters[:-1]
        value = (weights * (np.log(total) - own)).sum(dtype=np.float64)
        penalty = _PENALTY / 2 * np.square(parameters[:-1]).sum(dtype=np.float64)
        return float(value + penalty), gradient.ravel().astype(np.float64)

    start = np.zeros(features.shape[1] * number)
    with one_thread_a_product():
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": _ITERATIONS, "ftol": 1e-5})
    parameters = found.x.reshape(-1, number).astype(np.float32)
    coefficients = parameters[:-1]
    return Logistic(coefficients, parameters[-1] - mean @ coefficients)
