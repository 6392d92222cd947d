"""The atlas as it is stored: topics with ids that survive a refit, and what each turn belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.atlas.acts import KINDS
from monitor.atlas.centroids import centroid_cosines
from monitor.atlas.communities import LEVELS
from monitor.atlas.corpus import Corpus
from monitor.atlas.lineage import Alike
from monitor.atlas.pins import PinnedTopic, match_around_pins
from monitor.atlas.proof import Before, Said, prove
from monitor.atlas.shares import topic_shares
from monitor.atlas.timeline import first_seen
from monitor.atlas.topics import Topics, members
from monitor.records import short_hash
from monitor.store.atlases import ASSIGNMENTS, LineageRow, TopicRow
from monitor.store.store import Store

__all__ = ["Atlas", "AtlasDraft", "Space", "TurnFacts", "assemble", "microseconds", "moment", "read_atlas"]


#: Turns that the centroid of a topic is made of; more do not move it.
_FOR_CENTROID = 200


@dataclass(frozen=True, slots=True)
class TurnFacts:
    """What was found of each turn [t]: topic on each level [3, t], act (position in `KINDS`, -1), flood, intent; and the
    language of a turn with a subject that is in one the encoder does not know, None for the others."""

    topics: NDArray[np.int64]
    acts: NDArray[np.int64]
    flood: NDArray[np.bool_]
    intents: Sequence[str | None]
    intent_similarity: NDArray[np.float32]
    foreign: Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Space:
    """What made the vectors [n, d] of the corpus's texts: where they lie can be compared with an atlas of the same alone."""

    encoder: str
    recipe: str
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class AtlasDraft:
    """Rows ready to be stored."""

    topics: Sequence[TopicRow]
    lineage: Sequence[LineageRow]
    assignments: pa.Table


@dataclass(frozen=True, slots=True)
class Atlas:
    """A stored atlas over the turns of a corpus: `of_turns` [3, t] are positions in `topics`, -1 for none."""

    topics: Sequence[TopicRow]
    of_turns: NDArray[np.int64]
    is_act: NDArray[np.bool_]
    flood: NDArray[np.bool_]
    foreign: NDArray[np.bool_]


def assemble(
    corpus: Corpus, topics: Topics, facts: TurnFacts, space: Space, *, atlas_id: str, store: Store, interval: float
) -> AtlasDraft:
    """Give topics their ids, by decisions of people, from the published atlas where they are the same, and make the rows.

    `interval` is the probability that the interval of a share should hold the truth.
    """
    own = np.where(facts.acts >= 0, -1, facts.topics)  # acts follow a topic; they do not make it
    rows = [members(own[level], len(topics.labels[level])) for level in range(3)]
    before, hashes = _published_topics(store)
    published = before.topics
    current = {level: [corpus.keys[member] for member in rows[level]] for level in range(3)}
    # An atlas that is fitted again after another one (the id is of its turns) has other topics to give ids to.
    after = sorted({id_ for level in published.values() for id_ in level})
    lineage = match_around_pins(
        published,
        current,
        _pinned(topics),
        minted=lambda level, number: "t" + short_hash(atlas_id, *after, str(level), str(number), length=8),
        alike=_alike(store, corpus, space, hashes, rows),
        taken=store.atlases.topic_ids(besides=atlas_id),
    )
    said = Said(corpus.keys, corpus.text_of, corpus.conversation, corpus.hashes, space.vectors)
    events = prove(lineage.events, lineage.ids, before, current, said)
    known = np.array([language is None for language in facts.foreign], bool)
    subject = (facts.acts < 0) & known
    first_turn = corpus.first_turn
    found = []
    for level in range(3):
        shares = topic_shares(
            own[level][subject], corpus.conversation[subject], len(topics.labels[level]), interval=interval
        )
        for number, member in enumerate(rows[level]):
            parent = int(topics.parents[level][number])
            found.append(
                TopicRow(
                    topic_id=lineage.ids[level][number],
                    level=level,
                    parent=None if parent < 0 else lineage.ids[level - 1][parent],
                    label=topics.labels[level][number].text,
                    keywords=topics.labels[level][number].keywords,
                    turns=len(member),
                    conversations=len(np.unique(corpus.conversation[member])),
                    users=len(np.unique(corpus.user[member])),
                    share=_number(shares.value[number]) or 0.0,
                    representatives=tuple(int(corpus.keys[first_turn[text]]) for text in topics.central[level][number]),
                    first_seen=moment(first_seen(corpus.created[member], corpus.conversation[member])),
                    share_low=_number(shares.low[number]),
                    share_high=_number(shares.high[number]),
                )
            )
    return AtlasDraft(found, events, _assignments(corpus, facts, lineage.ids))


def read_atlas(store: Store, atlas_id: str, corpus: Corpus) -> Atlas:
    """The stored atlas, its assignments in the order of the corpus.

    Turns that it has not (they were forgotten since the corpus was read) have no topic, and count as a flood: for nothing.
    """
    topics = store.atlases.topics(atlas_id)
    position = {topic.topic_id: number for number, topic in enumerate(topics)}
    table = store.atlases.assignments(atlas_id)
    keys = table.column("turn_key").to_numpy()
    order = np.searchsorted(keys, corpus.keys)
    there = keys[np.minimum(order, len(keys) - 1)] == corpus.keys if len(keys) else np.zeros(len(corpus), bool)
    # A last row stands for what is not there.
    order = np.where(there, order, len(keys))
    levels = []
    for column in LEVELS:
        encoded = table.column(column).combine_chunks().dictionary_encode()
        names: list[Any] = encoded.dictionary.to_pylist()
        numbers = np.array([position[name] for name in names] + [-1], np.int64)
        codes = encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
        levels.append(np.append(numbers[codes], -1)[order])
    is_act = np.append(table.column("act").is_valid().to_numpy(), False)[order]
    flood = np.append(table.column("flood").to_numpy(), True)[order]
    foreign = np.append(table.column("foreign_language").is_valid().to_numpy(), False)[order]
    return Atlas(topics, np.stack(levels), is_act, flood, foreign)


def moment(microseconds: int) -> datetime:
    """Naive UTC of microseconds since 1970."""
    return datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None) + timedelta(microseconds=int(microseconds))


def microseconds(when: datetime) -> int:
    """Microseconds since 1970 of naive UTC: the reverse of `moment`."""
    return (when - moment(0)) // timedelta(microseconds=1)


def _number(value: np.float64) -> float | None:
    return float(value) if np.isfinite(value) else None


def _pinned(topics: Topics) -> dict[int, list[PinnedTopic]]:
    """The topics whose id people decided, by level and number."""
    found: dict[int, list[PinnedTopic]] = {}
    for pin in topics.pins:
        number = int(topics.of_texts[pin.level][pin.text])
        found.setdefault(pin.level, []).append(PinnedTopic(number, pin.topic_id, pin.absorbed))
    return found


def _published_topics(store: Store) -> tuple[Before, dict[str, NDArray[np.object_]]]:
    """The published atlas, and text hashes of each topic; acts are in no topic."""
    run = store.runs.current()
    if run is None:
        return Before({}, np.empty(0, np.uint64), np.empty(0, object)), {}
    table = store.atlases.assignments(run.atlas_id)
    known = table.column("turn_key").to_numpy()
    said = np.array(table.column("text_hash").to_pylist(), object)
    of_subject = table.column("act").is_null()
    table, hashes = table.filter(of_subject), said[of_subject.to_numpy()]
    found: dict[int, dict[str, NDArray[np.uint64]]] = {}
    texts: dict[str, NDArray[np.object_]] = {}
    for level, column in enumerate(LEVELS):
        keys = table.column("turn_key").to_numpy()
        encoded = table.column(column).combine_chunks().dictionary_encode()
        names: list[Any] = encoded.dictionary.to_pylist()
        codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        groups = members(codes.astype(np.int64), len(names))
        found[level] = {name: keys[rows] for name, rows in zip(names, groups, strict=True)}
        texts |= {name: hashes[rows] for name, rows in zip(names, groups, strict=True)}
    return Before(found, known, said), texts


def _alike(
    store: Store,
    corpus: Corpus,
    space: Space,
    hashes: Mapping[str, NDArray[np.object_]],
    rows: Sequence[Sequence[NDArray[np.int64]]],
) -> Alike | None:
    """Where the topics of the published atlas lie and those of this one; None where another encoder made the former."""
    run = store.runs.current()
    published = None if run is None else store.atlases.load(run.atlas_id)
    if published is None or (published.encoder, published.recipe) != (space.encoder, space.recipe):
        return None

    def cosines(level: int, olds: Sequence[str], news: Sequence[int]) -> NDArray[np.float64]:
        wanted = [sorted(set(_some(hashes[old]).tolist())) for old in olds]
        flat = list(dict.fromkeys(hash_ for one in wanted for hash_ in one))
        # What was deleted since has no vector any more.
        gone = set(store.vectors.missing(space.encoder, space.recipe, flat))
        flat = [hash_ for hash_ in flat if hash_ not in gone]
        if not flat:
            return np.zeros((len(olds), len(news)))
        row_of = {hash_: row for row, hash_ in enumerate(flat)}
        vectors = store.vectors.read(space.encoder, space.recipe, flat)
        of_old = [vectors[[row_of[hash_] for hash_ in one if hash_ in row_of]] for one in wanted]
        of_new = [space.vectors[np.unique(corpus.text_of[_some(rows[level][new])])] for new in news]
        return centroid_cosines(of_old, of_new)

    return cosines


def _some(rows: NDArray[Any]) -> NDArray[Any]:
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), _FOR_CENTROID)).astype(np.int64)]


def _assignments(corpus: Corpus, facts: TurnFacts, ids: dict[int, list[str]]) -> pa.Table:
    columns = {
        name: pa.array(
            [ids[level][number] if number >= 0 else None for number in facts.topics[level].tolist()], pa.string()
        )
        for level, name in enumerate(LEVELS)
    }
    return pa.table(
        {
            "turn_key": pa.array(corpus.keys, pa.uint64()),
            "text_hash": pa.array([corpus.hashes[text] for text in corpus.text_of.tolist()], pa.binary()),
            **columns,
            "act": pa.array([KINDS[act] if act >= 0 else None for act in facts.acts.tolist()], pa.string()),
            "flood": pa.array(facts.flood, pa.bool_()),
            "intent": pa.array(facts.intents, pa.string()),
            "intent_similarity": pa.array(facts.intent_similarity, pa.float32()),
            "foreign_language": pa.array(facts.foreign, pa.string()),
        }
    ).select(ASSIGNMENTS.names)
