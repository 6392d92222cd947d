"""New turns get a topic of the published atlas at once; the next refit looks at them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from monitor.atlas.acts import ACTS, KINDS, NOISE, example_texts, recognise_acts
from monitor.atlas.assignment import Anchors, Near, assign_texts, nearest_anchors, place_texts
from monitor.atlas.communities import LEVELS
from monitor.atlas.languages import detect
from monitor.atlas.neighbours import NeighbourGraph, build_graph
from monitor.atlas.newcomers import Reach, is_dense, reach_of
from monitor.atlas.usage import MOST_WORDS
from monitor.encoding.cache import encode_missing
from monitor.encoding.encoder import Encoder, remake_encoder
from monitor.encoding.languages import known_languages
from monitor.encoding.recipe import EVAL_PROMPT, USER_TEXT, text_hash
from monitor.settings import Settings
from monitor.store.atlases import ASSIGNMENTS, AtlasRow
from monitor.store.rows import values
from monitor.store.store import Store

__all__ = ["Assigner"]

#: Turns a round: a burst is worked off in rounds of some seconds, and each is stored.
_ROUND = 2_000

#: New texts that are looked at together.
_POOL = 2_000


@dataclass(frozen=True, slots=True)
class _Atlas:
    """The published atlas as anchors, one text a row, and the names of the classes of each level.

    `anchors` are the texts with a subject, with their topics and intent. `by_use` are all texts with their acts (positions in
    `ACTS`, -1 for a subject): the two share their vectors. `on_map` holds the hashes of the texts that its map shows: each is
    on it once. `reach` says how far a new text may lie, and `new` are the vectors of texts that came later and lay too far.
    """

    row: AtlasRow
    anchors: Anchors
    by_use: Anchors
    names: tuple[NDArray[np.object_], ...]
    on_map: set[bytes]
    reach: Reach
    new: dict[bytes, NDArray[np.float32]]


class Assigner:
    """Appends assignments to the published atlas. It keeps the atlas's vectors in memory until another is published.

    Where the settings choose another encoder than the atlas's, the atlas's own is made again and goes on until an analysis
    with the new one is published.
    """

    def __init__(self, store: Store, encoder: Encoder, settings: Settings) -> None:
        self._store, self._chosen, self._settings = store, encoder, settings
        self._atlas: _Atlas | None = None
        self._encoder: Encoder | None = None
        self._dense: bool | None = None  # not known
        self._shares: dict[str, float] = {}  # of the languages: a few new turns alone do not tell what people speak

    @property
    def former(self) -> str:
        """The name of the published atlas's encoder where the settings choose another one; else `""`."""
        atlas = self._atlas
        return atlas.row.encoder if atlas is not None and atlas.row.encoder != self._chosen.name else ""

    @property
    def waits(self) -> bool:
        """Whether new turns wait for the next analysis, because the published atlas's encoder cannot be made any more."""
        return self._atlas is not None and self._encoder is None

    @property
    def dense(self) -> bool:
        """Whether turns that the published atlas has no topic for lie so close together that they are one."""
        if self._dense is None:
            atlas = self._atlas
            self._dense = (
                atlas is not None and bool(atlas.new) and is_dense(np.stack([*atlas.new.values()]), atlas.reach)
            )
        return self._dense

    def assign(self) -> int:
        """Give every turn since the atlas's window began a topic that has none yet; how many they were.

        0 without a published run, and where the atlas's encoder cannot be made any more.
        A turn that lies farther from the atlas's texts than these from one another has none: it is new until the next analysis.
        An answer or a greeting has the topic of the turns around it only where they come in the same round.
        """
        run = self._store.runs.current()
        if run is None:
            return 0
        if self._atlas is None or self._atlas.row.atlas_id != run.atlas_id:
            self._atlas, self._dense = self._read(run.atlas_id), None
            self._encoder = None if self._atlas is None else self._encoder_of(self._atlas.row)
            counts = self._store.languages.counts()
            self._shares = {code: turns / sum(counts.values()) for code, turns in counts.items()}
        if self._atlas is None or self._encoder is None:
            return 0
        done = 0
        self._dense = None
        while batch := self._round(self._atlas, self._encoder, run.window_start):
            done += batch
            if batch < _ROUND:
                break
        return done

    def _encoder_of(self, row: AtlasRow) -> Encoder | None:
        if row.encoder == self._chosen.name:
            return self._chosen
        return remake_encoder(row.encoder, orjson.loads(row.parameters).get("encoder", {}), self._settings.encoder)

    def _known(self, row: AtlasRow) -> frozenset[str] | None:
        """The languages that the atlas's encoder knows; `encoder.languages` is about the one that the settings choose."""
        if row.encoder == self._chosen.name:
            return known_languages(self._settings.encoder)
        parts = orjson.loads(row.parameters).get("encoder", {})
        former = replace(
            self._settings.encoder, kind=parts.get("kind", "onnx"), model=parts.get("model", ""), languages=()
        )
        return known_languages(former)

    def _round(self, atlas: _Atlas, encoder: Encoder, since: Any) -> int:
        turns = self._waiting(atlas, since)
        while self._store.kept_out.mark_new(self._settings.analysis.keep_out, turns):
            turns = self._waiting(atlas, since)
        if not turns.num_rows:
            return 0
        said: list[str] = [USER_TEXT.prepare(text) for text in values(turns, "user_text")]
        by_hash = {text_hash(text): text for text in said}
        encode_missing(self._store, encoder, USER_TEXT, by_hash)
        hashes = list(by_hash)
        vectors = self._store.vectors.read(encoder.name, USER_TEXT.name, hashes)
        row_of = {hash_: row for row, hash_ in enumerate(hashes)}
        texts = np.array([row_of[text_hash(text)] for text in said], np.int64)
        acts = self._acts(encoder, [by_hash[hash_] for hash_ in hashes], vectors, atlas)
        noise = self._store.marks.noise()
        acts[[row for row, hash_ in enumerate(hashes) if hash_ in noise]] = KINDS.index(NOISE)
        k = self._settings.atlas.neighbours
        near = nearest_anchors(vectors, atlas.anchors, k=k)
        classes = assign_texts(vectors, atlas.anchors, k=k, near=near)[:, texts]
        is_act = acts[texts] >= 0
        spoken = detect(
            [by_hash[hash_] for hash_ in hashes],
            texts,
            turns.column("conversation_key").to_numpy(),
            values(turns, "language"),
            shares=self._shares,
        )
        foreign = spoken.outside(self._known(atlas.row)) & ~is_act
        classes[:, foreign] = -1
        far = _is_far(near, atlas.reach)
        is_new = far[texts] & ~is_act & ~foreign
        classes[:3, is_new] = -1
        classes[:3] = _with_conversation(classes[:3], turns.column("conversation_key").to_numpy(), is_act)
        found = [
            [names[one] if one >= 0 else None for one in level.tolist()]
            for names, level in zip(atlas.names, classes, strict=True)
        ]
        rows: dict[str, Any] = {
            "turn_key": turns.column("turn_key"),
            "text_hash": pa.array([hashes[text] for text in texts.tolist()], pa.binary()),
            **{name: pa.array(column, pa.string()) for name, column in zip((*LEVELS, "intent"), found, strict=True)},
            "act": pa.array([KINDS[act] if act >= 0 else None for act in acts[texts].tolist()], pa.string()),
            "flood": pa.array([False] * len(said), pa.bool_()),
            "intent_similarity": pa.nulls(len(said), pa.float32()),
            "foreign_language": pa.array(
                [code if strange else None for code, strange in zip(spoken.codes, foreign.tolist(), strict=True)],
                pa.string(),
            ),
        }
        with self._store.transaction():
            keys: list[int] = values(turns, "turn_key")
            self._store.vectors.note_texts(USER_TEXT.name, keys, [hashes[text] for text in texts.tolist()])
            open_ = np.flatnonzero(~spoken.stated)
            found_in = [spoken.codes[row] for row in open_.tolist()]
            self._store.languages.note(np.array(keys, np.uint64)[open_], found_in, spoken.confidence[open_])
            self._store.atlases.append(atlas.row.atlas_id, pa.table(rows).select(ASSIGNMENTS.names))
            shown = _first_of_each(texts, (classes[1] >= 0) & ~is_act)
            places = place_texts(near, atlas.anchors)[texts[shown]]
            unseen = np.array([hashes[text] not in atlas.on_map for text in texts[shown].tolist()], bool)
            new = np.isfinite(places).all(axis=1) & unseen
            self._store.layouts.append(atlas.row.atlas_id, np.array(keys, np.uint64)[shown[new]], places[new])
        room = max(0, _POOL - len(atlas.new))
        atlas.new.update((hashes[text], vectors[text]) for text in np.unique(texts[is_new]).tolist()[:room])
        atlas.on_map.update(hashes[text] for text in texts[shown[new]].tolist())
        return turns.num_rows

    def _waiting(self, atlas: _Atlas, since: Any) -> pa.Table:
        environments = self._settings.analysis.environments
        return self._store.atlases.unassigned(atlas.row.atlas_id, since, environments=environments, limit=_ROUND)

    def _acts(
        self, encoder: Encoder, texts: Sequence[str], vectors: NDArray[np.float32], atlas: _Atlas
    ) -> NDArray[np.int64]:
        """Acts [n] by the texts themselves, and of short ones by the texts of the atlas near to them."""
        prepared = [EVAL_PROMPT.prepare(text) for text in example_texts()[0]]
        hashes = [text_hash(text) for text in prepared]
        encode_missing(self._store, encoder, EVAL_PROMPT, dict(zip(hashes, prepared, strict=True)))
        examples = self._store.vectors.read(encoder.name, EVAL_PROMPT.name, hashes)
        graph: NeighbourGraph = build_graph(vectors, k=self._settings.atlas.neighbours)
        acts = recognise_acts(texts, vectors, graph, examples)
        if self._settings.analysis.follow_ups == "message":
            return np.where(acts == ACTS.index("followup"), -1, acts)
        short = np.flatnonzero((acts < 0) & np.array([len(text.split()) <= MOST_WORDS for text in texts], bool))
        acts[short] = assign_texts(vectors[short], atlas.by_use, k=self._settings.atlas.neighbours)[0]
        return acts

    def _read(self, atlas_id: str) -> _Atlas | None:
        row = self._store.atlases.load(atlas_id)
        if row is None:
            return None
        table = self._store.atlases.assignments(atlas_id)
        # What cannot be read says nothing at all, and noise says nothing of what is near to it.
        table = table.filter(table.column("foreign_language").is_null())
        table = table.filter(pc.field("act").is_null() | (pc.field("act") != NOISE))
        table = table.take(pa.array(_first_rows(values(table, "text_hash")), pa.int64()))
        is_act = table.column("act").is_valid().to_numpy()
        # An act's topic is that of its conversation, and says nothing of its text: acts stand behind the anchors.
        table = table.take(pa.array(np.argsort(is_act, kind="stable"), pa.int64()))
        table, new = self._without_new(row, table)
        subjects = int(table.column("act").null_count)
        vectors = self._store.vectors.read(row.encoder, row.recipe, values(table, "text_hash"))
        names, classes = [], []
        for column in (*LEVELS, "intent"):
            encoded = table.column(column).slice(0, subjects).combine_chunks().dictionary_encode()
            names.append(np.array(encoded.dictionary.to_pylist(), dtype=object))
            classes.append(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64))
        acts = np.array([ACTS.index(act) if act else -1 for act in values(table, "act")], np.int64)
        on_map = self._store.layouts.of_texts(atlas_id)
        place = dict(
            zip(values(on_map, "text_hash"), zip(values(on_map, "x"), values(on_map, "y"), strict=True), strict=True)
        )
        nowhere = (float("nan"), float("nan"))
        hashes: list[bytes] = values(table, "text_hash")[:subjects]
        places = np.array([place.get(hash_, nowhere) for hash_ in hashes], np.float32).reshape(-1, 2)
        anchors, by_use = Anchors(vectors[:subjects], np.stack(classes), places), Anchors(vectors, acts[None])
        reach = reach_of(anchors.vectors, k=self._settings.atlas.neighbours)
        return _Atlas(row, anchors, by_use, tuple(names), set(place), reach, new)

    def _without_new(self, row: AtlasRow, table: pa.Table) -> tuple[pa.Table, dict[bytes, NDArray[np.float32]]]:
        """What was found too far by a process before this one is new still, and no text to find others by.

        HDBSCAN's outliers have no topic either, and are no news: there nothing is known of before.
        """
        if orjson.loads(row.parameters).get("clusterer") == "hdbscan":
            return table, {}
        without = pc.and_(pc.is_null(table.column(LEVELS[-1])), pc.is_null(table.column("act")))
        hashes: list[bytes] = values(table.filter(without), "text_hash")[:_POOL]
        vectors = self._store.vectors.read(row.encoder, row.recipe, hashes)
        return table.filter(pc.invert(without)), dict(zip(hashes, vectors, strict=True))


def _is_far(near: Near, reach: Reach) -> NDArray[np.bool_]:
    """Texts [q] that lie farther from their nearest than the atlas's own do."""
    if not near.cosines.shape[1]:
        return np.zeros(len(near.cosines), bool)
    found: NDArray[np.bool_] = near.cosines.mean(axis=1) < reach.least
    return found


def _first_rows(hashes: Sequence[bytes]) -> list[int]:
    """The first row of each text."""
    first: dict[bytes, int] = {}
    for number, hash_ in enumerate(hashes):
        first.setdefault(hash_, number)
    return list(first.values())


def _first_of_each(texts: NDArray[np.int64], asked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows of the first turn of each text [t] among those asked for."""
    rows = np.flatnonzero(asked)
    return rows[np.sort(np.unique(texts[rows], return_index=True)[1])]


def _with_conversation(
    classes: NDArray[np.int64], conversations: NDArray[np.uint64], is_act: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Topics [levels, t] where each act has those of the turn with a subject that is nearest in its conversation."""
    found = classes.copy()
    for row in np.flatnonzero(is_act).tolist():
        others = np.flatnonzero((conversations == conversations[row]) & ~is_act)
        found[:, row] = classes[:, others[np.abs(others - row).argmin()]] if len(others) else -1
    return found
