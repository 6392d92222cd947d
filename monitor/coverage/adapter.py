"""Directions in which eval items of one label lie near to one another, and those of different labels far apart.

Supervised contrastive learning (Khosla and others, 2020) of a linear map, a few steps from the main directions of the traffic.
It knows the items' labels, so what it says of the items themselves is worth nothing: items that are left out would look nearer
to their label than turns do. The turns are put in order by it, and the coverage of the traffic is read without it
(docs/decisions/0033).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.affinity import Directions, principal_axes
from monitor.atlas.threads import one_thread_a_product

__all__ = ["contrast", "learn_directions"]

#: Directions that are learnt, as many as novelty has without labels.
_DIRECTIONS = 128

#: A direction's coordinates are divided by this power of their spread: what is learnt is not of the foremost directions alone,
#: in which products differ from one another more than the subjects of one product do.
_EVENED = 0.5

#: Steps of Adam, and how far one goes: this part of the length of where it began, however wide the encoder is. From 12 steps
#: to 30, and four times as many half as long, much the same; beyond, what no label names is forgotten.
_STEPS, _STEP = 20, 0.034
_FIRST_MOMENT, _SECOND_MOMENT, _TINY = 0.9, 0.999, 1e-8

#: Cosines are divided by this before they are compared.
_TEMPERATURE = 0.1

#: Labels of two items at least that something is learnt from: of two or three, all that does not tell these apart is forgotten.
_LEAST_LABELS = 8

#: Items that are compared with one another in a step.
_TOGETHER = 1_500

#: A vector that has no length in the directions has no cosine either.
_NO_LENGTH = 1e-6


def learn_directions(
    texts: NDArray[np.float32], items: NDArray[np.float32], labels: Sequence[str | None]
) -> Directions | None:
    """Directions learnt from eval items [m, d] and their labels [m], begun at the main directions of the texts [n, d].

    None where there is too little to learn from: fewer than 8 labels with two items. Items without a label take no part.
    """
    labelled = np.array([bool(label) for label in labels], bool)
    kinds = np.unique([label for label in labels if label], return_inverse=True)[1].ravel()
    if (np.bincount(kinds) >= 2).sum() < _LEAST_LABELS or len(texts) < 2:
        return None
    with one_thread_a_product():
        mean, spread, axes = principal_axes(texts)
        spread, axes = spread[::-1], axes[:, ::-1]
        scale = np.maximum(spread / max(float(spread[0]), 1e-12), 1e-6) ** _EVENED
        basis = axes / scale
        started = np.zeros((len(scale), min(_DIRECTIONS, len(scale))), np.float32)
        np.fill_diagonal(started, scale)
        coordinates = (items[labelled].astype(np.float64) - mean) @ basis
        return Directions(mean, basis @ _descend(_unit(coordinates), kinds, started).astype(np.float64))


def contrast(
    items: NDArray[np.float32], kinds: NDArray[np.int64], directions: NDArray[np.float32]
) -> tuple[float, NDArray[np.float32]]:
    """The supervised contrastive loss of items [m, d] in directions [d, p], and its gradient [d, p].

    The mean, over the items of a kind [m] with others, of -log(softmax of the cosine over the temperature among all other
    items), the mean over those others. Zero where no kind has two items.
    """
    image = items @ directions
    length = np.linalg.norm(image, axis=1, keepdims=True)
    inverse = np.divide(1.0, length, out=np.zeros_like(length), where=length > _NO_LENGTH)
    unit = image * inverse
    others = np.bincount(kinds)[kinds] - 1
    anchors = max(int((others > 0).sum()), 1)
    weight = ((others > 0) / anchors).astype(unit.dtype)[:, None]
    # The mean of the others of each item's kind, from the sum over the kind: no second matrix of pairs.
    sums = np.zeros((int(kinds.max(initial=0)) + 1, unit.shape[1]), unit.dtype)
    np.add.at(sums, kinds, unit)
    alike = (sums[kinds] - unit) / np.maximum(others, 1).astype(unit.dtype)[:, None]
    pairs = unit @ unit.T
    pairs -= 1
    pairs /= _TEMPERATURE
    np.exp(pairs, out=pairs)
    np.fill_diagonal(pairs, 0.0)
    total = np.maximum(pairs.sum(axis=1, keepdims=True), _TINY)
    entropy = np.log(total) + (1 - (unit * alike).sum(axis=1, keepdims=True)) / _TEMPERATURE
    share = weight / total
    of_unit = (share * (pairs @ unit) + pairs @ (share * unit) - 2 * weight * alike) / _TEMPERATURE
    of_image = (of_unit - (of_unit * unit).sum(axis=1, keepdims=True) * unit) * inverse
    return float((weight * entropy).sum()), items.T @ of_image


def _descend(
    items: NDArray[np.float32], kinds: NDArray[np.int64], directions: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The directions after so many steps of Adam (Kingma and Ba, 2015), each on all items or on some of every kind."""
    rng = np.random.default_rng(0)
    first, second = np.zeros_like(directions), np.zeros_like(directions)
    length = np.float32(_STEP * np.linalg.norm(directions) / np.sqrt(directions.size))
    for step in range(1, _STEPS + 1):
        some = _some(kinds, rng)
        gradient = contrast(items[some], kinds[some], directions)[1]
        first = _FIRST_MOMENT * first + (1 - _FIRST_MOMENT) * gradient
        second = _SECOND_MOMENT * second + (1 - _SECOND_MOMENT) * gradient**2
        mean, root = first / (1 - _FIRST_MOMENT**step), np.sqrt(second / (1 - _SECOND_MOMENT**step))
        directions = directions - length * mean / (root + np.float32(_TINY))
    return directions


def _some(kinds: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Numbers of at most 1,500 items: all, or as many pairs of one kind drawn at random as there is room for."""
    if len(kinds) <= _TOGETHER:
        return np.arange(len(kinds))
    order = rng.permutation(len(kinds))
    order = order[np.argsort(kinds[order], kind="stable")]
    begins = np.flatnonzero(np.diff(kinds[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
    pair = np.cumsum(place % 2 == 0) - 1
    drawn = rng.permutation(int(pair[-1]) + 1)[pair]
    return np.asarray(order[np.argsort(drawn, kind="stable")][:_TOGETHER], np.int64)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-9), np.float32)
