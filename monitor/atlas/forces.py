"""Forces between places in the plane: neighbours attract, all repel, as in t-SNE.

The gradient is that of t-SNE (van der Maaten and Hinton, 2008) with its attraction exaggerated, which draws texts together
into islands as UMAP does (Böhm, Berens and Kobak, "Attraction-repulsion spectrum in neighbor embeddings", 2022). Repulsion
is the gradient of a potential on a grid, by Fourier transforms (the idea of FIt-SNE: Linderman et al., 2019), so an
iteration costs as much as the texts and their edges, not their pairs.

One thread and no BLAS: the same input gives the same places, byte for byte, however many threads the machine has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.sparse import csr_matrix

__all__ = [
    "EXACT_BELOW",
    "Affinities",
    "Anchored",
    "GridRepulsion",
    "Stage",
    "balanced_scale",
    "exact_repulsion",
    "settle",
]

Places = NDArray[np.float32]

#: Up to this many places every pair is computed.
EXACT_BELOW = 100

#: Side of a grid's cell, where the kernel 1 / (1 + d²) has half its height at 1; half of it changes no place visibly.
_CELL = 0.7
#: Cells along the longer side at most: a map with far outliers gets larger cells instead of a larger grid.
_MOST_CELLS = 700

#: How far a place moves at most in one iteration.
_LONGEST_STEP = 5.0
#: No place lies farther from the middle than this many root mean squares (a full disc's rim is at 1.4): what has no edges
#: to the rest would fly away, and the rest be a speck.
_FARTHEST = 2.2
#: The share of the way back that a held topic's mean goes in each iteration.
_HOLD = 0.5


@dataclass(frozen=True, slots=True)
class Stage:
    """Some iterations with one exaggeration of the attraction and one momentum."""

    iterations: int
    exaggeration: float
    momentum: float


@dataclass(frozen=True, slots=True)
class Repulsion:
    """`total` is the sum of 1 / (1 + d²) over ordered pairs, `forces` [n, 2] the sums of (y_i - y_j) / (1 + d²)²."""

    total: float
    forces: Places


@dataclass(frozen=True, slots=True)
class Anchored:
    """Groups whose mean place is to stay: `groups` [n] numbers them, -1 is free; `centres` [m, 2] are their means."""

    groups: NDArray[np.int64]
    centres: Places


class Affinities:
    """How much each text attracts its neighbours: each row of the weights normalised, symmetric, all adding up to 1."""

    def __init__(self, weights: csr_matrix) -> None:
        degree = np.asarray(weights.sum(axis=1)).ravel()
        rows = weights.multiply((1 / np.where(degree > 0, degree, 1))[:, None]).tocsr()
        both = (rows + rows.T).tocsr()
        both.sort_indices()
        total = float(both.data.sum())
        self._values = (both.data / total if total else both.data).astype(np.float32)
        self._columns, self._bounds = both.indices, both.indptr
        self._rows = np.repeat(np.arange(both.shape[0], dtype=np.int32), np.diff(both.indptr))

    def attraction(self, places: Places) -> Places:
        """Sums [n, 2] of p_ij (y_i - y_j) / (1 + d²) over the neighbours of each place."""
        n = len(places)
        x, y = np.ascontiguousarray(places[:, 0]), np.ascontiguousarray(places[:, 1])
        across, along = x[self._rows] - x[self._columns], y[self._rows] - y[self._columns]
        pulls = csr_matrix((self._values / (1 + across**2 + along**2), self._columns, self._bounds), shape=(n, n))
        sums = pulls @ np.concatenate([places, np.ones((n, 1), np.float32)], axis=1)
        return np.asarray(places * sums[:, 2:] - sums[:, :2], np.float32)


def exact_repulsion(places: Places) -> Repulsion:
    away = places[:, None] - places[None]
    near = 1 / (1 + (away**2).sum(axis=2))
    return Repulsion(float(near.sum()) - len(places), (away * (near**2)[:, :, None]).sum(axis=1))


class _Grid:
    """A grid's kernels in Fourier space: 1 / (1 + d²), and its square times the offset along each axis."""

    def __init__(self, cells: int, side: float) -> None:
        self.cells, self.side = cells, side
        steps = np.arange(2 * cells)
        offset = np.where(steps < cells, steps, steps - 2 * cells) * side
        near = 1 / (1 + offset[:, None] ** 2 + offset[None] ** 2)
        fields = (near, near**2 * offset[:, None], near**2 * offset[None])
        # Spreading and reading blur by the spline's transfer function, each once: the kernels are sharpened by as much.
        blur = np.sinc(fft.fftfreq(2 * cells)) ** 6
        sharper = (1 / (blur[:, None] * blur[None, : cells + 1])).astype(np.float32)
        self._kernels = [fft.rfft2(field.astype(np.float32)) * sharper for field in fields]

    def fields(self, mass: Places) -> list[Places]:
        """Each kernel's sum over the masses, at the nodes."""
        wide = (2 * self.cells, 2 * self.cells)
        spectrum = fft.rfft2(mass, wide)
        return [fft.irfft2(spectrum * kernel, wide)[: self.cells, : self.cells].ravel() for kernel in self._kernels]


class GridRepulsion:
    """Repulsion as `exact_repulsion`, in time linear in the places: spread over nine nodes each, convolved, and read there.

    Spreading and reading have the same weights and the forces' kernels are odd, so no place pushes itself.
    """

    def __init__(self) -> None:
        self._grid: _Grid | None = None

    def __call__(self, places: Places) -> Repulsion:
        low = places.min(axis=0)
        span = float((places.max(axis=0) - low).max())
        side = max(_CELL, span / _MOST_CELLS)
        cells = int(fft.next_fast_len(max(int(span / side) + 4, 32), real=True))
        if self._grid is None or (self._grid.cells, self._grid.side) != (cells, side):
            self._grid = _Grid(cells, side)
        nodes, weights = _spread((places - low) / np.float32(side) + 1, cells)
        mass = np.bincount(nodes.ravel(), weights.ravel(), cells * cells).reshape(cells, cells).astype(np.float32)
        near, across, along = [(field[nodes] * weights).sum(axis=0) for field in self._grid.fields(mass)]
        return Repulsion(float(near.sum(dtype=np.float64)) - len(places), np.stack([across, along], axis=1))


def _spread(at: Places, cells: int) -> tuple[NDArray[np.int64], Places]:
    """The nine nodes [9, n] around each place in units of cells, and the weights of a quadratic spline there."""
    nearest = np.floor(at + np.float32(0.5)).astype(np.int64)
    rest = at - nearest
    spline = np.stack([0.5 * (0.5 - rest) ** 2, 0.75 - rest**2, 0.5 * (0.5 + rest) ** 2]).astype(np.float32)
    first = (nearest[:, 0] - 1) * cells + nearest[:, 1] - 1
    offsets = (np.arange(3)[:, None] * cells + np.arange(3)[None]).reshape(9, 1)
    return first[None] + offsets, (spline[:, None, :, 0] * spline[None, :, :, 1]).reshape(9, -1)


def settle(start: Places, affinities: Affinities, stages: Sequence[Stage], held: Anchored | None = None) -> Places:
    """Places [n, 2] after all stages, their mean in the middle; the means of the groups in `held` where they are held.

    Gradient descent with momentum; a place's rate grows while it goes on in one direction and falls when it turns. One rate
    for both axes: one for each, as t-SNE has it, aligns islands in rows and columns.
    """
    places, n = start.astype(np.float32), len(start)
    velocity, rate = np.zeros_like(places), np.ones((n, 1), np.float32)
    repel = exact_repulsion if n <= EXACT_BELOW else GridRepulsion()
    sizes = None if held is None else np.bincount(held.groups[held.groups >= 0], minlength=len(held.centres))
    for stage in stages:
        for _ in range(stage.iterations):
            repulsion = repel(places)
            gradient = 4 * (
                np.float32(stage.exaggeration) * affinities.attraction(places)
                - repulsion.forces / np.float32(max(repulsion.total, 1e-6))
            )
            onwards = (gradient * velocity).sum(axis=1, keepdims=True) < 0
            rate = np.maximum(np.where(onwards, rate + np.float32(0.2), rate * np.float32(0.8)), np.float32(0.01))
            step = rate * gradient * np.float32(n / stage.exaggeration)
            length = np.sqrt((step**2).sum(axis=1, keepdims=True))
            step *= np.minimum(1, np.float32(_LONGEST_STEP) / np.maximum(length, np.float32(1e-9)))
            velocity = np.float32(stage.momentum) * velocity - step
            places = places + velocity
            if held is None or sizes is None:
                places = places - places.mean(axis=0, dtype=np.float64).astype(np.float32)
            else:
                places = _pulled_back(places, held, sizes, _HOLD)
            places = _within(places)
    return places if held is None or sizes is None else _pulled_back(places, held, sizes, 1.0)


def _within(places: Places) -> Places:
    squares = (places**2).sum(axis=1, keepdims=True)
    farthest = np.float32(_FARTHEST) * np.sqrt(squares.mean(dtype=np.float64)).astype(np.float32)
    return np.asarray(places * np.minimum(1, farthest / np.sqrt(np.maximum(squares, np.float32(1e-12)))), np.float32)


def _pulled_back(places: Places, held: Anchored, sizes: NDArray[np.int64], part: float) -> Places:
    inside = held.groups >= 0
    groups, count = held.groups[inside], np.maximum(sizes, 1)
    sums = [np.bincount(groups, places[inside, axis], len(sizes)) for axis in range(2)]
    shift = part * (held.centres - np.stack(sums, axis=1) / count[:, None])
    moved = places.copy()
    moved[inside] += shift[groups].astype(np.float32)
    return moved


def balanced_scale(places: Places, affinities: Affinities, exaggeration: float) -> float:
    """The factor at which attraction and repulsion neither swell nor shrink the map: where the loss has no slope along it."""
    n = len(places)
    repel = exact_repulsion if n <= EXACT_BELOW else GridRepulsion()
    radius = float(np.sqrt((places.astype(np.float64) ** 2).sum(axis=1).mean()))
    if not radius:
        return 1.0
    low, high = np.log(0.01 * n**0.5 / radius), np.log(5 * n**0.5 / radius)
    for _ in range(14):
        middle = (low + high) / 2
        at = places * np.float32(np.exp(middle))
        repulsion = repel(at)
        pull = exaggeration * float((at * affinities.attraction(at)).sum(dtype=np.float64))
        push = float((at * repulsion.forces).sum(dtype=np.float64)) / max(repulsion.total, 1e-6)
        low, high = (middle, high) if push > pull else (low, middle)
    return float(np.exp((low + high) / 2))
