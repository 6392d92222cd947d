"""Where novelty starts: each text's distance to the nearest eval item, of the whole eval set and of what is left of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.atlas.neighbours import edge_weights
from monitor.coverage.folds import LeftOut

__all__ = ["Starts", "measure_starts"]

#: Texts whose cosines to all items are held at a time.
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Starts:
    """The distance of each text [n, f] and of each item [m, f] to the nearest item that each of f eval sets holds; 2 where
    it holds none."""

    of_texts: NDArray[np.float32]
    of_items: NDArray[np.float32]


def measure_starts(
    texts: NDArray[np.float32],
    items: NDArray[np.float32],
    left_out: Sequence[LeftOut],
    *,
    nearer_than: NDArray[np.float32],
) -> tuple[Sequence[Starts], csr_matrix]:
    """Starts for each of `left_out`, and the weights of pairs that are near.

    A pair [m, n] is near when the item is at least as near to the text as `nearer_than` [n] says. The texts are read in
    blocks: the matrix of all cosines is never held.
    """
    among = items @ items.T
    np.fill_diagonal(among, -1.0)
    found: list[list[NDArray[np.float32]]] = [[] for _ in left_out]
    near = []
    for start in range(0, len(texts), _BLOCK):
        cosines = texts[start : start + _BLOCK] @ items.T
        for blocks, one in zip(found, left_out, strict=True):
            blocks.append(_distances(cosines, one))
        row, item = np.nonzero(cosines >= nearer_than[start : start + _BLOCK, None])
        near.append((item, row + start, cosines[row, item]))
    item, row, cosine = (np.concatenate(parts) for parts in zip(*near, strict=True))
    weights = csr_matrix((edge_weights(cosine), (item, row)), shape=(len(items), len(texts)))
    starts = [
        Starts(np.concatenate(blocks), _distances(among, one)) for blocks, one in zip(found, left_out, strict=True)
    ]
    return starts, weights


def _distances(cosines: NDArray[np.float32], left_out: LeftOut) -> NDArray[np.float32]:
    """1 less the greatest cosine [rows, f] among the items that each eval set holds."""
    nearest = _by_cell(cosines, left_out.cells, len(left_out.held))
    greatest = [nearest[:, held].max(axis=1, initial=-1.0) for held in left_out.held.T]
    return np.stack([np.float32(1.0) - column for column in greatest], axis=1)


def _by_cell(cosines: NDArray[np.float32], cells: NDArray[np.int64], number: int) -> NDArray[np.float32]:
    """Greatest cosine [rows, c] in each of a number of cells, -1 in one without items."""
    order = np.argsort(cells, kind="stable")
    names, starts = np.unique(cells[order], return_index=True)
    found = np.full((len(cosines), number), -1.0, np.float32)
    found[:, names] = np.maximum.reduceat(cosines[:, order], starts, axis=1)
    return found
