"""Vectors filed in cells, so that a search reads the cells nearby rather than all vectors.

The idea is that of an inverted file (Jégou, Douze and Schmid, 2011, "Product quantization for nearest neighbor search"):
k-means cuts the space into cells, and what is near to a text lies in its cell or in one of the cells around it. Texts that
ask the same cell are compared with it in one product of matrices, by as many threads as there are processors.

Everything is computed on grids on which float32 adds without rounding: neither the number of threads, nor the blocks, nor the
processor, nor what was filed first can change a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.nearness import (
    NONE,
    NOTHING,
    UNIT,
    Found,
    floors,
    greatest,
    keys_of,
    packed,
    products_of,
    take,
    unpacked,
    where,
)
from monitor.atlas.threads import each, one_thread_a_product

__all__ = ["CellIndex", "Cells", "learn_cells"]

#: Cells are cut in this many principal directions, which are enough to tell what is near and a sixth of the work.
_DIRECTIONS = 64

#: Coordinates in these directions are multiples of this; exact for the same reason.
_GRID = 2.0**-11

#: Vectors in a cell, on average; from how many vectors a cell the cells are learnt, and in how many rounds.
_CELL, _SAMPLE, _ROUNDS = 200, 24, 5

#: The directions are learnt from this many vectors, and vectors are read in blocks of this many.
_LEARNT_FROM, _BLOCK = 5_000, 4_096

#: Cells that the texts of a cell are compared with together; cells that a text is compared with; and cells around its own that
#: these are chosen from.
_TOGETHER, _ALONE, _CHOICE = 6, 40, 96

#: Where the vectors have no more directions than the cells are cut in, what is near to a text lies in fewer cells.
_ALONE_IN_FULL = 18

#: Texts that are compared with a cell at a time: their products with it stay in a processor's cache.
_ASKING = 1_024

#: Of more cells than this (50,000 vectors) a text's neighbours lie in more: these grow as the number of cells to this power.
_GROWS_FROM, _GROWTH = 250, 0.2

#: Cells are crowded when they hold this many times as much as they were made for.
_CROWDED = 3


@dataclass(frozen=True, slots=True)
class Cells:
    """A partition of the space of vectors [d]: `mean` [d], `directions` [d, p], and the cells' `centroids` [c, p]."""

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    centroids: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.centroids)

    def coordinates(self, vectors: NDArray[Any]) -> NDArray[np.float32]:
        """[n, p], multiples of the grid."""
        return _on_grid((vectors.astype(np.float64) - self.mean) @ self.directions)

    def of(self, vectors: NDArray[Any]) -> NDArray[np.int32]:
        """The cell [n] of each vector [n, d]: the one with the nearest centroid, of equals the first."""
        found = np.empty(len(vectors), np.int32)

        def assign(number: int) -> None:
            block = slice(number * _BLOCK, (number + 1) * _BLOCK)
            found[block] = _closest(self.coordinates(vectors[block]), self.centroids)

        each(assign, -(-len(vectors) // _BLOCK))
        return found

    def around(self, coordinates: NDArray[np.float32], number: int) -> NDArray[np.int64]:
        """The cells nearest to `coordinates` [q, p], nearest first: [q, number] or as many as there are."""
        found = np.empty((len(coordinates), min(number, len(self))), np.int64)
        for start in range(0, len(coordinates), _CELL):
            block = slice(start, start + _CELL)
            scores = _scores(coordinates[block], self.centroids)
            found[block] = np.argsort(-scores, axis=1, kind="stable")[:, :number]
        return found


def learn_cells(vectors: NDArray[Any], *, number: int) -> Cells:
    """Cells by k-means from an even sample of the rows [n, d], whose order should say nothing (that of hashes does not)."""
    with one_thread_a_product():
        return _learnt(vectors, number)


def _learnt(vectors: NDArray[Any], number: int) -> Cells:
    n, d = vectors.shape
    sample = vectors[_evenly(n, _LEARNT_FROM)].astype(np.float64)
    mean = sample.mean(axis=0)
    sample -= mean
    directions = np.linalg.eigh(sample.T @ sample)[1][:, -min(d, _DIRECTIONS) :]
    cells = Cells(mean, directions, np.zeros((0, directions.shape[1]), np.float32))
    rows = _evenly(n, _SAMPLE * number)
    points = np.concatenate([cells.coordinates(vectors[rows[at : at + _BLOCK]]) for at in range(0, len(rows), _BLOCK)])
    centroids = points[_evenly(len(points), number)]
    for _ in range(_ROUNDS):
        nearest = np.concatenate(
            [_closest(points[at : at + _BLOCK], centroids) for at in range(0, len(points), _BLOCK)]
        )
        order = np.argsort(nearest, kind="stable")
        inhabited, first = np.unique(nearest[order], return_index=True)
        sums = np.add.reduceat(points[order].astype(np.float64), first, axis=0)
        centroids = centroids.copy()
        centroids[inhabited] = _on_grid(sums / np.bincount(nearest)[inhabited, None])
    return replace(cells, centroids=centroids)


@dataclass(frozen=True, slots=True)
class CellIndex:
    """Vectors on the grid [n, d] by cell and then by row; `rows` [n] are their rows, `starts` [c + 1] where a cell begins."""

    cells: Cells
    filed: NDArray[np.int16]
    rows: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, vectors: NDArray[Any], *, cells: Cells | None = None) -> CellIndex:
        """File unit vectors [n, d], float32 or float16, in memory or mapped from a file: they are read in blocks."""
        n, d = vectors.shape
        cells = cells or learn_cells(vectors, number=max(1, n // _CELL))
        of_row = cells.of(vectors)
        rows = np.argsort(of_row, kind="stable")
        place = np.empty(n, np.int64)
        place[rows] = np.arange(n)
        filed = np.empty((n, d), np.int16)
        for start in range(0, n, _BLOCK):
            block = slice(start, start + _BLOCK)
            filed[place[block]] = _filed(vectors[block])
        starts = np.concatenate([[0], np.cumsum(np.bincount(of_row, minlength=len(cells)))])
        return cls(cells, filed, rows, starts)

    def added(self, vectors: NDArray[Any]) -> CellIndex:
        """The index with vectors [m, d] more, as rows n to n + m. The cells stay, and so does what was filed."""
        more = CellIndex.of(vectors, cells=self.cells)
        sizes = np.diff(self.starts), np.diff(more.starts)
        number = np.arange(len(self.cells))
        order = np.argsort(np.concatenate([np.repeat(number, sizes[0]), np.repeat(number, sizes[1])]), kind="stable")
        return CellIndex(
            self.cells,
            np.concatenate([self.filed, more.filed])[order],
            np.concatenate([self.rows, more.rows + len(self)])[order],
            self.starts + more.starts,
        )

    @property
    def crowded(self) -> bool:
        """Whether so much was added that the cells should be learnt anew."""
        return len(self) > _CROWDED * _CELL * len(self.cells)

    def among(self, keep: NDArray[np.bool_]) -> CellIndex:
        """The index of the rows that are kept [n], renumbered, in the same cells."""
        kept = keep[self.rows]
        before = np.concatenate([[0], np.cumsum(kept)])
        return CellIndex(self.cells, self.filed[kept], (np.cumsum(keep) - 1)[self.rows[kept]], before[self.starts])

    def vectors(self) -> NDArray[np.float32]:
        """The vectors [n, d] by row, rounded to the grid."""
        found = np.empty(self.filed.shape, np.float32)
        found[self.rows] = self.filed
        return found / np.float32(UNIT)

    def neighbours(self, *, k: int, known: Found | None = None, asking: NDArray[np.bool_] | None = None) -> Found:
        """The k rows nearest to each row [n, k], without itself.

        `known` [n, k] is what is known already: then only rows that are `asking` [n] are searched for, and what the others gain
        by these is put in.

        First the texts of a cell are compared with the cells nearest to it, then each text with the cells nearest to itself,
        of which it takes what is nearer than the farthest that it has; and so does the other.
        """
        asking = np.ones(len(self), bool) if asking is None else asking
        return _Search(self, k, known, asking).found()

    def search(self, queries: NDArray[Any], *, k: int) -> Found:
        """The k rows nearest to each of the unit vectors [q, d]. What is found of one does not depend on the others."""
        best = np.full((len(queries), k), NONE, np.int64)
        around = self.cells.around(self.cells.coordinates(queries), _ALONE)

        def search(number: int) -> None:
            places = self.places(around[number].tolist())
            query = _filed(queries[number : number + 1]).astype(np.float32)
            products = np.concatenate([query @ self.of_cell(cell).T for cell in around[number].tolist()], axis=1)
            best[number] = greatest(products, self.rows[places], k)[0]

        each(search, len(queries))
        return unpacked(best)

    def places(self, cells: Sequence[int]) -> NDArray[np.int64]:
        """Where the vectors of the cells are filed."""
        return np.concatenate([np.arange(self.starts[cell], self.starts[cell + 1]) for cell in cells])

    def of_cell(self, cell: int) -> NDArray[np.float32]:
        """The vectors of a cell in units of the grid."""
        return self.filed[self.starts[cell] : self.starts[cell + 1]].astype(np.float32)


class _Search:
    """One search of the rows of an index. Arrays are by the place where a row is filed; `best` [n, k] are packed neighbours."""

    def __init__(self, index: CellIndex, k: int, known: Found | None, asking: NDArray[np.bool_]) -> None:
        self._index = index
        self._new = asking[index.rows]
        self._best = np.full((len(index), k), NONE, np.int64) if known is None else packed(*known)[index.rows]
        grown = max(1.0, len(index.cells) / _GROWS_FROM) ** _GROWTH
        self._alone = round(grown * (_ALONE_IN_FULL if index.filed.shape[1] <= _DIRECTIONS else _ALONE))
        self._around = index.cells.around(index.cells.centroids, round(grown * _CHOICE))

    def found(self) -> Found:
        cells = len(self._index.cells)
        first = each(self._compare_together, cells)
        asking = np.concatenate([places for _, places, _ in first])
        asked = np.concatenate([further for *_, further in first])
        order = np.argsort(asked, kind="stable")
        self._asking = asking[order]
        self._asked = np.concatenate([[0], np.cumsum(np.bincount(asked, minlength=cells))])
        gains = [gain for gain, *_ in first] + each(self._compare_alone, cells)
        take(self._best, np.concatenate([where for where, _ in gains]), np.concatenate([what for _, what in gains]))
        best = np.empty_like(self._best)
        best[self._index.rows] = self._best
        return unpacked(best)

    def _compare_together(self, cell: int) -> tuple[_Gains, NDArray[np.int32], NDArray[np.int32]]:
        """The new texts of a cell with the cells nearest to it: what old ones gain, and which text asks which cell next."""
        index, around = self._index, self._around[cell]
        asking = index.starts[cell] + np.flatnonzero(self._new[index.starts[cell] : index.starts[cell + 1]])
        if not len(asking):
            return _NO_GAINS, np.empty(0, np.int32), np.empty(0, np.int32)
        places = index.places(around[:_TOGETHER].tolist())
        queries = index.filed[asking].astype(np.float32)
        products = queries @ index.filed[places].astype(np.float32).T
        old = ~self._new[places]
        gains = self._theirs(products[:, old], asking, places[old]) if old.any() else _NO_GAINS
        itself = np.flatnonzero(places == asking[0])
        if len(itself):  # or not, where many centroids are the same
            products[np.arange(len(asking)), itself[0] + asking - asking[0]] = NOTHING
        self._best[asking] = greatest(products, index.rows[places], self._best.shape[1])
        own = _scores(index.cells.coordinates(queries / np.float32(UNIT)), index.cells.centroids[around])
        chosen = own >= floors(own, self._alone)
        chosen[:, :_TOGETHER] = False
        which, what = where(chosen)
        return gains, asking[which].astype(np.int32), around[what].astype(np.int32)

    def _compare_alone(self, cell: int) -> _Gains:
        """A cell with the texts that ask it: what both gain."""
        asking = self._asking[self._asked[cell] : self._asked[cell + 1]]
        members = self._index.places([cell])
        if not len(asking) or not len(members):
            return _NO_GAINS
        vectors = self._index.of_cell(cell).T
        gains = [_NO_GAINS]
        for start in range(0, len(asking), _ASKING):
            some = asking[start : start + _ASKING]
            products = self._index.filed[some].astype(np.float32) @ vectors
            gains += [self._ours(products, some, members), self._theirs(products, some, members)]
        return np.concatenate([places for places, _ in gains]), np.concatenate([keys for _, keys in gains])

    def _ours(self, products: NDArray[np.float32], places: NDArray[Any], others: NDArray[Any]) -> _Gains:
        """Of products [a, b] of texts at `places` [a] with `others` [b], what beats the farthest neighbour of the first."""
        which, what = where(products > products_of(self._best[places, -1])[:, None])
        return places[which].astype(np.int32), keys_of(products[which, what], self._index.rows[others[what]])

    def _theirs(self, products: NDArray[np.float32], places: NDArray[Any], others: NDArray[Any]) -> _Gains:
        """And what beats the farthest neighbour of the others."""
        which, what = where(products > products_of(self._best[others, -1]))
        return others[what].astype(np.int32), keys_of(products[which, what], self._index.rows[places[which]])


#: Places, and the packed neighbours that they gain.
_Gains = tuple[NDArray[np.int32], NDArray[np.int64]]
_NO_GAINS: _Gains = (np.empty(0, np.int32), np.empty(0, np.int64))


def _filed(vectors: NDArray[Any]) -> NDArray[np.int16]:
    return np.round(vectors.astype(np.float32) * np.float32(UNIT)).astype(np.int16)


def _on_grid(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = (np.round(rows / _GRID) * _GRID).astype(np.float32)
    return found


def _scores(points: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.float32]:
    """Greater for a nearer centroid [n, c]: half of the squared norm less half of the squared distance."""
    scores: NDArray[np.float32] = points @ centroids.T
    scores -= (centroids * centroids).sum(axis=1) / 2
    return scores


def _closest(points: NDArray[np.float32], centroids: NDArray[np.float32]) -> NDArray[np.int32]:
    nearest: NDArray[np.int32] = _scores(points, centroids).argmax(axis=1).astype(np.int32)
    return nearest


def _evenly(n: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, n - 1, min(n, most)).astype(np.int64)
