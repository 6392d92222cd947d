"""A production of one topic, or of several, without texts: who asked what, and when."""

from __future__ import annotations

from datetime import datetime

import numpy as np
from scipy.sparse import csr_matrix

from monitor.atlas.assembly import Atlas
from monitor.atlas.attributes import Attribute
from monitor.atlas.corpus import Corpus
from monitor.atlas.neighbours import NeighbourGraph
from monitor.atlas.network import Network
from monitor.atlas.timeline import DAY
from monitor.coverage.production import Production
from monitor.store.atlases import TopicRow

WEEKS = 8


def production(
    topics: list[int], conversations: list[int], tenants: list[str], weeks: list[int] | None = None
) -> Production:
    """One turn [t] of each conversation, or several, all of the same text; topics are of the middle level."""
    size = len(topics)
    names = sorted(set(tenants))
    corpus = Corpus(
        keys=np.arange(size, dtype=np.uint64),
        text_of=np.zeros(size, np.int64),
        conversation=np.array(conversations),
        user=np.array(conversations),
        named_user=np.ones(size, bool),
        created=np.array(weeks if weeks is not None else [row % WEEKS for row in range(size)]) * 7 * DAY,
        texts=["a question"],
        hashes=[b"hash"],
        stated_language=[None] * size,
    )
    graph = NeighbourGraph(np.full((1, 1), -1, np.int32), np.zeros((1, 1), np.float32), csr_matrix((1, 1)))
    none = np.zeros(size, bool)
    network = Network(corpus, np.ones((1, 1), np.float32), graph, np.full(1, -1), none, none)
    rows = [
        TopicRow(f"t{number}", 1, None, f"topic {number}", (), 9, 9, 9, 0.1, (), datetime(2026, 3, 2))
        for number in range(max(topics) + 1)
    ]
    of_turns = np.full((3, size), -1)
    of_turns[1] = topics
    atlas = Atlas(rows, of_turns, none, none, none)
    tenant = Attribute(tuple(names), np.array([names.index(one) for one in tenants]))
    return Production(network, atlas, none.copy(), WEEKS * 7 * DAY, attributes={"tenant": tenant})
