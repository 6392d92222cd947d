"""Where novelty is measured: texts and eval items in some directions, each text there once, and the texts' neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, diags

from monitor.atlas.affinity import Directions
from monitor.atlas.neighbours import GrowingGraph, NeighbourGraph, build_graph, nearest
from monitor.coverage.variants import variants

__all__ = ["Space"]

#: Directions that are kept: 64 are better still on CLINC150 and worse on the sample traffic, all 384 the other way round.
_DIRECTIONS = 128


@dataclass(frozen=True, slots=True)
class Space:
    """Texts [u, p] and eval items [m, p] in the main directions of the traffic, where each text is there once: `number` [n]
    says which one a text is a variant of, and `leaders` [u] are those. The graph [u], and talk [u, u] between what they are
    variants of."""

    texts: NDArray[np.float32]
    items: NDArray[np.float32]
    number: NDArray[np.int64]
    leaders: NDArray[np.int64]
    graph: NeighbourGraph
    talk: csr_matrix | None

    @classmethod
    def of(
        cls,
        texts: NDArray[np.float32],
        items: NDArray[np.float32],
        weights: NDArray[np.float64],
        talk: csr_matrix | None,
        *,
        k: int,
    ) -> Space:
        """`weights` [m] is how much of the traffic an item stands for."""
        directions = Directions.of(texts, number=_DIRECTIONS)
        texts, items = directions.project(texts), directions.project(items)
        found = GrowingGraph.of(texts, k=k)
        leader = variants(found.graph, *nearest(items, texts, k=k), weights)
        keep = leader == np.arange(len(leader))
        number = (np.cumsum(keep) - 1)[leader]
        if talk is not None:
            same = csr_matrix(
                (np.ones(len(number)), (number, np.arange(len(number)))), shape=(int(keep.sum()), len(number))
            )
            talk = same @ talk @ same.T
            talk = (talk - diags(talk.diagonal())).tocsr()
            talk.eliminate_zeros()
        return cls(texts[keep], items, number, np.flatnonzero(keep), found.among(keep, k=k).graph, talk)

    def along(self, directions: Directions, texts: NDArray[np.float32], items: NDArray[np.float32], *, k: int) -> Space:
        """The same texts [n, d] and items [m, d] in other directions; what is a variant of what stays."""
        texts = directions.project(texts)[self.leaders]
        return replace(self, texts=texts, items=directions.project(items), graph=build_graph(texts, k=k))
