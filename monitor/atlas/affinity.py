"""What belongs together: the graph that topics are found in, made of the directions in which the texts differ most.

The neighbour graph of `monitor.atlas.neighbours` is in the space of the encoder. Topics and novelty want another: of the
encoder's 384 directions the last hundreds tell wordings apart rather than subjects, and without them each text's neighbours
share its subject more often (docs/decisions/0013 and 0024 have the figures, and what did not help).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from monitor.atlas.neighbours import NeighbourGraph, build_graph
from monitor.atlas.threads import each, one_thread_a_product

__all__ = ["Directions", "main_directions", "principal_axes", "topic_graph"]

#: Directions that are kept. From 48 to 96 much the same; 32 loses subjects, 128 keeps wordings.
_DIRECTIONS = 64

#: Texts that the directions are learnt from; more do not move them.
_LEARNT_FROM = 5_000

#: Texts that a thread reduces at a time.
_BLOCK = 4_096

#: Coordinates are whole multiples of this, so products of two of them are multiples of 2**-22 and their sums exact in
#: float32: cosines do not depend on the order of summation, that is on threads, blocks or the processor.
_GRID = 2.0**-11

#: A topic of a large corpus has more texts than of a small one: neighbours grow as n^0.4 from this many texts on, up to a
#: limit that memory sets.
_GROWS_FROM, _GROWTH, _MOST_NEIGHBOURS = 2_000, 0.4, 40


def topic_graph(vectors: NDArray[np.float32], *, k: int, talk: csr_matrix | None = None) -> NeighbourGraph:
    """The neighbour graph of texts `vectors` [n, d] in their main directions; k neighbours each, more from 2,000 texts on.

    `talk` [n, n] has edges of conversations in whatever unit: each text's weigh as much together as its neighbours do.
    """
    n = len(vectors)
    grown = round(k * max(1.0, (n / _GROWS_FROM) ** _GROWTH))
    graph = build_graph(main_directions(vectors), k=max(k, min(grown, _MOST_NEIGHBOURS)))
    if talk is None or talk.nnz == 0:
        return graph
    total = np.asarray(talk.sum(axis=1)).ravel()
    strength = graph.weights().sum(axis=1)
    scale = np.divide(strength, total, out=np.zeros(n), where=total > 0)
    return NeighbourGraph(graph.indices, graph.cosines, (diags(scale) @ talk).tocsr())


def main_directions(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of unit length [n, 64] in the principal directions of `vectors` [n, d]; as they are where d is no more than that.

    The mean is taken out. A text that is the mean has zeros.
    """
    return Directions.of(vectors, number=_DIRECTIONS).project(vectors)


@dataclass(frozen=True, slots=True)
class Directions:
    """Principal directions [d, p] of vectors with a mean [d]; None where they are all kept, and the mean with them."""

    mean: NDArray[np.float64]
    axes: NDArray[np.float64] | None

    @classmethod
    def of(cls, vectors: NDArray[np.float32], *, number: int) -> Directions:
        """Those in which `vectors` [n, d] differ most."""
        n, d = vectors.shape
        if n == 0 or d <= number:
            return cls(np.zeros(d), None)
        mean, _, axes = principal_axes(vectors)
        return cls(mean, axes[:, -number:])

    def project(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows of unit length [n, p], of `vectors` [n, d] in these directions."""
        if self.axes is None:
            return _on_grid(vectors.astype(np.float64))
        axes, found = self.axes, np.empty((len(vectors), self.axes.shape[1]), np.float32)

        def reduce(number: int) -> None:
            block = slice(number * _BLOCK, (number + 1) * _BLOCK)
            found[block] = _on_grid((vectors[block].astype(np.float64) - self.mean) @ axes)

        each(reduce, -(-len(vectors) // _BLOCK))
        return found


def principal_axes(
    vectors: NDArray[np.float32],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The mean [d] of `vectors` [n, d], their spread (the root of a sum of squares) [d] and the directions [d, d], rising."""
    n = len(vectors)
    sample = vectors[np.linspace(0, n - 1, min(n, _LEARNT_FROM)).astype(np.int64)].astype(np.float64)
    mean = sample.mean(axis=0)
    sample -= mean
    with one_thread_a_product():
        squares, axes = np.linalg.eigh(sample.T @ sample)
    return mean, np.sqrt(np.maximum(squares, 0.0)), axes


def _on_grid(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 1e-9)
    found: NDArray[np.float32] = (np.round(unit / _GRID) * _GRID).astype(np.float32)
    return found
