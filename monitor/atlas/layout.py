"""A map: each text near its neighbours of the graph, so that topics are islands; and what stayed lies where it lay."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.atlas.forces import Affinities, Anchored, Places, Stage, balanced_scale, settle
from monitor.atlas.neighbours import NeighbourGraph

__all__ = ["MOST", "Earlier", "lay_out", "mean_places"]

#: Texts that forces are computed for; of more, each other text lies by those among its neighbours.
MOST = 50_000

#: Affinities: edges of each text beyond the strongest ones cost time and change nothing.
_EDGES = 15

# Chosen on CLINC150, tested on BANKING77 (docs/decisions/0014).
_FIRST = (Stage(75, 12.0, 0.5), Stage(125, 4.0, 0.8), Stage(50, 2.5, 0.8))
_AGAIN = (Stage(50, 4.0, 0.8), Stage(50, 2.5, 0.8))
_POLISH = (Stage(20, 2.5, 0.8),)

#: Vectors that the first map's two main directions are taken from, and iterations of taking them.
_SAMPLE, _POWERS = 2_000, 30

#: Texts that start at one place could never part.
_JITTER = 0.01


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the published map says of texts [n].

    `places` [n, 2] are their own places, nan where they had none, and `near` [n, 2] the middles of their topics, nan where
    no topic of theirs was on it. `groups` [n] numbers the fine topics that stayed, -1 for none, and `centres` [m, 2] are
    their middles on that map.
    """

    places: Places
    near: Places
    groups: NDArray[np.int64]
    centres: Places

    def __bool__(self) -> bool:
        return bool(np.isfinite(self.places).any() or np.isfinite(self.near).any())


def lay_out(
    graph: NeighbourGraph,
    vectors: NDArray[np.float32],
    topics: NDArray[np.int64],
    earlier: Earlier | None = None,
    *,
    seed: int = 0,
    most: int = MOST,
) -> Places:
    """Places [n, 2] of texts with their graph, unit vectors [n, d] and fine topics [n]; the same input gives the same map.

    A first map starts from the two main directions of the vectors, has its middle at 0 and a mean square radius of 1. With
    an earlier map it starts from there, topics that stayed are held at their centres, and the result is turned, scaled and
    moved onto the earlier one. Of more than `most` texts a share of each topic stands for the others first.
    """
    n = len(graph)
    if n < 2:
        return np.zeros((n, 2), np.float32) if earlier is None else np.nan_to_num(earlier.places)
    rng = np.random.default_rng(seed)
    weights = graph.directed()
    if n <= most:
        return _laid_out(weights, vectors, earlier, rng)
    rows = _share_of_each(topics, rng, most)
    own = _nearest_of(weights, rows)
    among = csr_matrix(
        (np.ones(int((own >= 0).sum())), (np.flatnonzero(own >= 0), own[own >= 0])), shape=(n, len(rows))
    )
    fewer = _strongest((among.T @ weights @ among).tocsr(), _EDGES)
    some = _laid_out(fewer, vectors[rows], None if earlier is None else _of_rows(earlier, rows), rng)
    places = np.where((own >= 0)[:, None], some[np.maximum(own, 0)], np.nan).astype(np.float32)
    spread = _weighted(weights, places)
    spread[rows] = some
    spread = np.where(np.isfinite(spread), spread, 0).astype(np.float32)
    groups, centres = (
        (np.full(n, -1), np.zeros((0, 2), np.float32)) if not earlier else (earlier.groups, earlier.centres)
    )
    return _laid_out(weights, vectors, Earlier(spread, spread, groups, centres), rng, _POLISH)


def mean_places(indices: NDArray[np.int64], weights: NDArray[np.float64], places: Places) -> Places:
    """Weighted means [q, 2] of the places [n, 2] of each row's neighbours [q, k] (-1 is none); nan where none has a place."""
    q, k = indices.shape
    there = indices >= 0
    rows = np.broadcast_to(np.arange(q)[:, None], (q, k))[there]
    return _weighted(csr_matrix((weights[there], (rows, indices[there])), shape=(q, len(places))), places)


def _weighted(weights: csr_matrix, places: Places) -> Places:
    """Weighted means [q, 2] of the places [n, 2] that are known (not nan), by weights [q, n]; nan where none is."""
    known = _known(places)
    sums = weights @ np.concatenate([np.where(known[:, None], places, 0), known[:, None]], axis=1).astype(np.float64)
    total = np.where(sums[:, 2] > 0, sums[:, 2], np.nan)
    return np.asarray(sums[:, :2] / total[:, None], np.float32)


def _known(places: Places) -> NDArray[np.bool_]:
    return np.isfinite(places[:, 0]) & np.isfinite(places[:, 1])


def _laid_out(
    weights: csr_matrix,
    vectors: NDArray[np.float32],
    earlier: Earlier | None,
    rng: np.random.Generator,
    again: Sequence[Stage] = _AGAIN,
) -> Places:
    affinities = Affinities(weights)
    jitter = rng.normal(scale=_JITTER, size=(len(vectors), 2)).astype(np.float32)
    if not earlier:
        places = settle(_main_directions(vectors, rng) + jitter, affinities, _FIRST)
        radius = float(np.sqrt((places.astype(np.float64) ** 2).sum(axis=1).mean()))
        return (places / np.float32(max(radius, 1e-6))).astype(np.float32)
    start = _start(weights, earlier)
    middle = start.mean(axis=0, dtype=np.float64).astype(np.float32)
    scale = np.float32(balanced_scale(start - middle + jitter, affinities, again[-1].exaggeration))
    held = Anchored(earlier.groups, (earlier.centres - middle) * scale)
    places = settle((start - middle) * scale + jitter, affinities, again, held)
    if len(np.unique(earlier.groups[earlier.groups >= 0])) >= 3:  # they hold the whole map
        return np.asarray(places / scale + middle, np.float32)
    return _aligned(places, earlier, middle, scale)


def _start(weights: csr_matrix, earlier: Earlier) -> Places:
    """Where each text lay; else the mean of its neighbours that lay somewhere; else the middle of its topic; else of all."""
    start = earlier.places.copy()
    for _ in range(3):
        unknown = ~_known(start)
        if not unknown.any():
            return start
        start[unknown] = _weighted(weights[unknown], start)
    for fallback in (earlier.near, np.nanmean(np.where(np.isfinite(start), start, earlier.near), axis=0)[None]):
        start = np.where(np.isfinite(start), start, fallback)
    return start.astype(np.float32)


def _aligned(places: Places, earlier: Earlier, middle: Places, scale: np.float32) -> Places:
    """Turned, scaled and moved onto the earlier map (Procrustes), by what stayed: texts, or else the middles of topics."""
    target = earlier.places
    known = _known(target)
    if known.sum() < 3:
        target, known = earlier.near, _known(earlier.near)
    if not known.any():
        return np.asarray(places / scale + middle, np.float32)
    here, there = places[known].astype(np.float64), target[known].astype(np.float64)
    here_middle, there_middle = here.mean(axis=0), there.mean(axis=0)
    # As complex numbers a turn with a scale is one factor. Sums, not a decomposition: no BLAS, and no mirror images.
    a, b = (here - here_middle) @ [1, 1j], (there - there_middle) @ [1, 1j]
    size = float((np.abs(a) ** 2).sum())
    factor = complex((np.conj(a) * b).sum() / size) if size else 0j
    if abs(factor) * float(scale) < 0.1:  # what stayed says nothing of directions
        return np.asarray(places / scale + middle, np.float32)
    turned = (places.astype(np.float64) - here_middle) @ np.array(
        [[factor.real, factor.imag], [-factor.imag, factor.real]]
    )
    return np.asarray(turned + there_middle, np.float32)


def _main_directions(vectors: NDArray[np.float32], rng: np.random.Generator) -> Places:
    """The two main directions of a sample of the vectors, by subspace iteration; the places' standard deviation is 1.

    A start need not be exact, but the same to the byte: `einsum` sums in one order, which BLAS with its threads does not.
    """
    centred = (vectors - vectors.mean(axis=0)).astype(np.float64)
    sample = centred[:: max(1, len(vectors) // _SAMPLE)]
    basis = _orthonormal(rng.normal(size=(vectors.shape[1], 2)))
    for _ in range(_POWERS):
        basis = _orthonormal(np.einsum("nd,nk->dk", sample, np.einsum("nd,dk->nk", sample, basis)))
    flat = np.einsum("nd,dk->nk", centred, basis)
    return np.asarray(flat / max(float(flat.std()), 1e-6), np.float32)


def _orthonormal(basis: NDArray[np.float64]) -> NDArray[np.float64]:
    first = basis[:, 0] / max(float(np.sqrt((basis[:, 0] ** 2).sum())), 1e-12)
    second = basis[:, 1] - first * (first * basis[:, 1]).sum()
    return np.stack([first, second / max(float(np.sqrt((second**2).sum())), 1e-12)], axis=1)


def _share_of_each(topics: NDArray[np.int64], rng: np.random.Generator, most: int) -> NDArray[np.int64]:
    """Rows [m] of topics [n]: every topic keeps its share, and at least three of its texts."""
    order = np.lexsort((rng.permutation(len(topics)), topics))
    _, first, counts = np.unique(topics[order], return_index=True, return_counts=True)
    kept = np.minimum(counts, np.maximum(3, np.round(counts * most / len(topics)).astype(np.int64)))
    rank = np.arange(len(topics)) - np.repeat(first, counts)
    return np.sort(order[rank < np.repeat(kept, counts)])


def _nearest_of(weights: csr_matrix, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Which of the rows [m] stands for each text [n]: itself, or that of its strongest neighbour that has one; -1 for none."""
    n = weights.shape[0]
    own = np.full(n, -1, np.int64)
    own[rows] = np.arange(len(rows))
    edges = weights.tocoo()
    order = np.lexsort((edges.col, -edges.data, edges.row))
    here, there = edges.row[order], edges.col[order]
    for _ in range(20):
        open_ = (own[here] < 0) & (own[there] >= 0)
        if not open_.any():
            break
        found, first = np.unique(here[open_], return_index=True)
        own[found] = own[there[open_][first]]
    return own


def _strongest(weights: csr_matrix, most: int) -> csr_matrix:
    """The strongest edges of each row, without those to itself."""
    edges = weights.tocoo()
    kept = edges.row != edges.col
    here, there, value = edges.row[kept], edges.col[kept], edges.data[kept]
    order = np.lexsort((there, -value, here))
    here, there, value = here[order], there[order], value[order]
    rank = np.arange(len(here)) - np.searchsorted(here, here)
    top = rank < most
    return csr_matrix((value[top], (here[top], there[top])), shape=weights.shape)


def _of_rows(earlier: Earlier, rows: NDArray[np.int64]) -> Earlier:
    return Earlier(earlier.places[rows], earlier.near[rows], earlier.groups[rows], earlier.centres)
