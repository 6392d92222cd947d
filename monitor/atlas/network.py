"""The network that an atlas and every comparison read from: distinct texts, their graph, and which turns count."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.acts import ACTS, KINDS, NOISE, recognise_acts
from monitor.atlas.conversations import with_conversations
from monitor.atlas.corpus import Corpus
from monitor.atlas.duplicates import collapse, merge_duplicates
from monitor.atlas.floods import find_floods
from monitor.atlas.neighbours import GrowingGraph, NeighbourGraph
from monitor.atlas.usage import follow_ups_by_use

__all__ = ["Network", "build_network"]

#: Neighbours that are found beyond those that are wanted, to stand in for near duplicates.
_SPARE = 5


@dataclass(frozen=True, slots=True)
class Network:
    """A corpus whose near duplicates are one text, with the vectors [n, d] and the graph of its texts [n].

    `acts` [n] is each text's dialogue act (position in `KINDS`, -1 for a text with a subject), `flood` [t] the turns of floods,
    `foreign` [t] those in a language that the encoder does not know.
    """

    corpus: Corpus
    vectors: NDArray[np.float32]
    graph: NeighbourGraph
    acts: NDArray[np.int64]
    flood: NDArray[np.bool_]
    foreign: NDArray[np.bool_]

    @property
    def turn_acts(self) -> NDArray[np.int64]:
        """Act of each turn [t]."""
        return self.acts[self.corpus.text_of]

    @property
    def has_subject(self) -> NDArray[np.bool_]:
        """Texts [n] that say what they are about, at least once in a language that the encoder knows."""
        known = np.zeros(len(self.acts), bool)
        known[self.corpus.text_of[~self.foreign]] = True
        return (self.acts < 0) & known

    @property
    def is_noise(self) -> NDArray[np.bool_]:
        """Texts [n] that people marked as noise."""
        return np.asarray(self.acts == KINDS.index(NOISE), np.bool_)

    def same_texts(self, turns: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Of each turn [t], whether it says the text of one of these [t], or a near copy of it."""
        return np.isin(self.corpus.text_of, np.unique(self.corpus.text_of[turns]))

    def with_subjects(self, texts: NDArray[np.int64]) -> Network:
        """The network in which these rows are no acts, and in no unknown language. What is noise stays noise."""
        texts = texts[~self.is_noise[texts]]
        if not len(texts):
            return self
        acts = self.acts.copy()
        acts[texts] = -1
        return replace(self, acts=acts, foreign=self.foreign & ~np.isin(self.corpus.text_of, texts))


def build_network(
    corpus: Corpus,
    vectors: NDArray[np.float32],
    act_vectors: NDArray[np.float32],
    *,
    neighbours: int,
    flood_turns: int,
    follow_ups: str = "conversation",
    foreign: NDArray[np.bool_] | None = None,
    noise: NDArray[np.bool_] | None = None,
) -> Network:
    """Collapse near duplicates, find each text's neighbours, set acts and floods apart, and join what is said together.

    By `follow_ups` = "conversation" a follow-up is an act; by "message" it is a text with a subject like any other. Turns that
    are `foreign` [t] keep their place in the graph, so that their acts are recognised, and join nothing. What the turns say
    that are `noise` [t], near copies included, has no subject.
    """
    # One search for both: who keeps enough neighbours when near duplicates are gone isn't searched for again.
    found = GrowingGraph.of(vectors, k=neighbours + _SPARE)
    leader = collapse(found.graph.first(neighbours), corpus.weights)
    merged, rows = merge_duplicates(corpus, leader)
    graph = found.among(leader == np.arange(len(leader)), k=neighbours).graph
    acts = recognise_acts(merged.texts, vectors[rows], graph, act_vectors)
    flood = find_floods(merged, least_turns=flood_turns)
    follow_up = ACTS.index("followup")
    if follow_ups == "message":
        acts = np.where(acts == follow_up, -1, acts)
    else:
        acts = np.where(follow_ups_by_use(merged, vectors[rows], graph, acts, flood), follow_up, acts)
    if noise is not None:
        acts = acts.copy()
        acts[merged.text_of[noise]] = KINDS.index(NOISE)
    foreign = np.zeros(len(merged), bool) if foreign is None else foreign
    counts = (acts[merged.text_of] < 0) & ~flood & ~foreign
    return Network(merged, vectors[rows], with_conversations(graph, merged, counts), acts, flood, foreign)
