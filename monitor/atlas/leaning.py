"""A refit leans on the atlas before it: a text leaves its topic where the graph clearly wants it to.

Leiden ends in one of many partitions that are about equally good, and a few new texts send it to another. So each topic that
stands is a node of its own, tied to its texts: what stays together costs nothing, and what leaves gives up its tie. A text
that is new has no tie and goes where its neighbours are, also to a topic of new texts alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bmat, csr_matrix

__all__ = ["leaning"]


def leaning(adjacency: csr_matrix, standing: NDArray[np.int64], *, pull: float) -> csr_matrix:
    """The graph [n + m, n + m] with a node behind the texts for each of the m topics of `standing` [n] (-1: none).

    A text is tied to its topic by `pull` times the weight of all of its edges; 0 ties nothing.

    >>> pair = csr_matrix(np.array([[0.0, 2.0], [2.0, 0.0]]))
    >>> leaning(pair, np.array([-1, 5]), pull=0.5).toarray().tolist()
    [[0.0, 2.0, 0.0], [2.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    known = np.flatnonzero(standing >= 0)
    if not len(known) or pull <= 0:
        return adjacency
    topics, numbers = np.unique(standing[known], return_inverse=True)
    strength = np.asarray(adjacency.sum(axis=1)).ravel()[known]
    ties = csr_matrix((pull * strength, (known, numbers.ravel())), shape=(len(standing), len(topics)))
    tied = bmat([[adjacency, ties], [ties.T, None]], format="csr")
    tied.eliminate_zeros()
    return tied
