"""The side of production in a comparison with eval items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.assembly import Atlas
from monitor.atlas.attributes import Attribute
from monitor.atlas.corpus import Corpus
from monitor.atlas.network import Network

__all__ = ["Production"]


@dataclass(frozen=True, slots=True)
class Production:
    """The side of production in a comparison: the network of its texts, and its atlas.

    `failed` [t] says that a negative signal followed the turn's reply; `end` is the window's, in microseconds since 1970;
    `marked` [t] are turns of which people say that they are covered, None for none; `attributes` are those of the turns.
    """

    network: Network
    atlas: Atlas
    failed: NDArray[np.bool_]
    end: int
    marked: NDArray[np.bool_] | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    @property
    def corpus(self) -> Corpus:
        return self.network.corpus

    @property
    def counted(self) -> NDArray[np.int64]:
        """Rows of the turns that count: those with a subject, in a language that the encoder knows, that are no flood and
        no noise."""
        noise = self.network.is_noise[self.corpus.text_of]  # it may be marked since the atlas was made
        return np.flatnonzero(~self.atlas.is_act & ~self.atlas.flood & ~self.atlas.foreign & ~noise)

    @property
    def surely_covered(self) -> NDArray[np.bool_]:
        """Turns [t] of which people say that they are covered."""
        return np.zeros(len(self.corpus), bool) if self.marked is None else self.marked

    def text_topics(self, level: int) -> NDArray[np.int64]:
        """The topic of each text [n] of the network on a level, as a position among the atlas's topics; -1 for none."""
        found = np.full(len(self.network.vectors), -1, np.int64)
        own = ~self.atlas.is_act & ~self.atlas.foreign
        found[self.corpus.text_of[own]] = self.atlas.of_turns[level][own]
        return found
