"""Where novelty starts: each text's distance to the nearest eval item, of the whole eval set and of what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.atlas.neighbours import edge_weights

__all__ = ["Starts", "measure_starts"]

#: Texts whose cosines to all items are held at a time.
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Starts:
    """The greatest cosine of each text [n, c] and of each item [m, c] to the items of each cell of a partition."""

    of_texts: NDArray[np.float32]
    of_items: NDArray[np.float32]

    def without(self, held: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Distances of texts [n, f] and items [m, f] to the nearest item of the cells that are held, a column of `held` [c, f]
        each; 2 where none is."""
        return _distances(self.of_texts, held), _distances(self.of_items, held)


def measure_starts(
    texts: NDArray[np.float32],
    items: NDArray[np.float32],
    partitions: Sequence[NDArray[np.int64]],
    *,
    nearer_than: NDArray[np.float32],
) -> tuple[Sequence[Starts], csr_matrix]:
    """Starts for each partition, which gives each item [m] its cell, numbered from 0; and the weights of pairs that are near.

    A pair [m, n] is near when the item is at least as near to the text as `nearer_than` [n] says. The texts are read in
    blocks: the matrix of all cosines is never held.
    """
    among = items @ items.T
    np.fill_diagonal(among, -1.0)
    found: list[list[NDArray[np.float32]]] = [[] for _ in partitions]
    near = []
    for start in range(0, len(texts), _BLOCK):
        cosines = texts[start : start + _BLOCK] @ items.T
        for blocks, cells in zip(found, partitions, strict=True):
            blocks.append(_by_cell(cosines, cells))
        row, item = np.nonzero(cosines >= nearer_than[start : start + _BLOCK, None])
        near.append((item, row + start, cosines[row, item]))
    item, row, cosine = (np.concatenate(parts) for parts in zip(*near, strict=True))
    weights = csr_matrix((edge_weights(cosine), (item, row)), shape=(len(items), len(texts)))
    starts = [
        Starts(np.concatenate(blocks), _by_cell(among, cells)) for blocks, cells in zip(found, partitions, strict=True)
    ]
    return starts, weights


def _by_cell(cosines: NDArray[np.float32], cells: NDArray[np.int64]) -> NDArray[np.float32]:
    """Greatest cosine [rows, c] in each cell, -1 in one without items."""
    order = np.argsort(cells, kind="stable")
    names, starts = np.unique(cells[order], return_index=True)
    found = np.full((len(cosines), int(cells.max()) + 1), -1.0, np.float32)
    found[:, names] = np.maximum.reduceat(cosines[:, order], starts, axis=1)
    return found


def _distances(greatest: NDArray[np.float32], held: NDArray[np.bool_]) -> NDArray[np.float64]:
    columns = [1.0 - greatest[:, column].max(axis=1, initial=-1.0).astype(np.float64) for column in held.T]
    return np.stack(columns, axis=1)
