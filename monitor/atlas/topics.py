"""Topics: communities of the texts that have a subject, with labels and the turns that show each best."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.acts import inherit_topics
from monitor.atlas.affinity import topic_graph
from monitor.atlas.communities import hdbscan_communities, leiden_communities
from monitor.atlas.corpus import Corpus
from monitor.atlas.curation import Decided, Levels, Pin, curate
from monitor.atlas.labels import Label, label_topics, most_central, presentable
from monitor.atlas.network import Network
from monitor.atlas.representation import Meaning
from monitor.settings import AtlasSettings

__all__ = ["Topics", "find_topics", "members", "turn_topics"]


@dataclass(frozen=True, slots=True)
class Topics:
    """Topics on three levels, broad first.

    `of_texts[l]` [n] is each text's topic on level l, numbered from 0, -1 for a text without a subject or, by HDBSCAN, an
    outlier. `labels[l]`, `central[l]` and `parents[l]` have one entry a topic; the broad level's parents are -1. `pins` are the
    topics whose id people decided.
    """

    of_texts: tuple[NDArray[np.int64], ...]
    labels: tuple[Sequence[Label], ...]
    central: tuple[Sequence[tuple[int, ...]], ...]
    parents: tuple[NDArray[np.int64], ...]
    pins: tuple[Pin, ...] = ()


def find_topics(
    network: Network,
    settings: AtlasSettings,
    encode: Callable[[Sequence[str]], NDArray[np.float32]],
    decided: Decided | None = None,
    standing: Levels = (),
) -> Topics:
    """Communities among the texts that have a subject, as people decided of them; the others have none.

    `encode` reads the terms of labels. `standing` are the topics of the texts in the atlas before, to lean on.
    """
    corpus, vectors, has_subject = network.corpus, network.vectors, network.has_subject
    talk = network.graph.talk[has_subject][:, has_subject].tocsr()
    subjects = topic_graph(vectors[has_subject], k=settings.neighbours, talk=talk)
    if settings.clusterer == "hdbscan":
        found = hdbscan_communities(vectors[has_subject], subjects, settings)
    else:
        resolutions = (settings.resolution_broad, settings.resolution_middle, settings.resolution_fine)
        found = leiden_communities(
            subjects,
            resolutions=resolutions,
            seed=settings.seed,
            standing=[level[has_subject] for level in standing],
            pull=settings.steadiness,
        )
    of_texts: Levels = tuple(_spread(level, has_subject) for level in found.levels())
    pins: tuple[Pin, ...] = ()
    if decided is not None and decided.rulings:
        curated = curate(
            of_texts,
            decided.standing,
            decided.rulings,
            subjects=has_subject,
            vectors=vectors,
            neighbours=network.graph.indices.astype(np.int64),
            weights=network.graph.weights(),
        )
        of_texts, pins = curated.of_texts, curated.pins
    weights = corpus.weights
    texts = presentable(corpus.texts)
    meaning = Meaning(vectors, weights, encode)
    return Topics(
        of_texts,
        tuple(label_topics(texts, level, meaning=meaning) for level in of_texts),
        tuple(most_central(vectors, level, weights) for level in of_texts),
        _parents(of_texts),
        pins,
    )


def turn_topics(topics: Topics, corpus: Corpus, is_act: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Topic of every turn [3, t]; acts [t] have their conversation's."""
    own = np.stack([level[corpus.text_of] for level in topics.of_texts])
    # Inherited on the finest level alone, or the levels of one turn could come from different turns.
    rows = np.where(own[-1] >= 0, np.arange(own.shape[1]), -1)
    source = inherit_topics(rows, corpus.conversation, is_act)
    return np.where(source >= 0, own[:, np.maximum(source, 0)], np.where(is_act, -1, own))


def members(topics: NDArray[np.int64], number: int) -> list[NDArray[np.int64]]:
    """Rows of each topic 0..number-1 of one level, ascending."""
    order = np.argsort(topics, kind="stable")
    bounds = np.searchsorted(topics[order], np.arange(number + 1))
    return [order[bounds[topic] : bounds[topic + 1]] for topic in range(number)]


def _spread(level: NDArray[np.int64], has_subject: NDArray[np.bool_]) -> NDArray[np.int64]:
    found = np.full(len(has_subject), -1, np.int64)
    found[has_subject] = level
    return found


def _parents(levels: Levels) -> tuple[NDArray[np.int64], ...]:
    parents = []
    above: NDArray[np.int64] | None = None
    for level in levels:
        number = int(level.max(initial=-1)) + 1
        parent = np.full(number, -1, np.int64)
        if above is not None:
            inside = level >= 0
            parent[level[inside]] = above[inside]
        parents.append(parent)
        above = level
    return tuple(parents)
