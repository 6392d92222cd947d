"""New turns get a topic of the published atlas at once; the next refit looks at them again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.atlas.acts import ACTS, example_texts, recognise_acts
from monitor.atlas.assignment import Anchors, assign_texts, nearest_anchors, place_texts
from monitor.atlas.communities import LEVELS
from monitor.atlas.neighbours import NeighbourGraph, build_graph
from monitor.encoding.cache import encode_missing
from monitor.encoding.encoder import Encoder
from monitor.encoding.recipe import EVAL_PROMPT, USER_TEXT, text_hash
from monitor.settings import Settings
from monitor.store.atlases import ASSIGNMENTS, AtlasRow
from monitor.store.rows import values
from monitor.store.store import Store

__all__ = ["Assigner"]

#: Turns a round: a burst is worked off in rounds of some seconds, and each is stored.
_ROUND = 2_000


@dataclass(frozen=True, slots=True)
class _Atlas:
    """The published atlas as anchors: one text a row, and the names of the classes of each level.

    `on_map` holds the hashes of the texts that its map shows: each is on it once.
    """

    row: AtlasRow
    anchors: Anchors
    names: tuple[NDArray[np.object_], ...]
    on_map: set[bytes]


class Assigner:
    """Appends assignments to the published atlas. It keeps the atlas's vectors in memory until another is published."""

    def __init__(self, store: Store, encoder: Encoder, settings: Settings) -> None:
        self._store, self._encoder, self._settings = store, encoder, settings
        self._atlas: _Atlas | None = None

    def assign(self) -> int:
        """Give every turn since the atlas's window began a topic that has none yet; how many they were.

        0 without a published run, and when the encoder of the settings is not the atlas's: then a refit is due.
        An answer or a greeting has the topic of the turns around it only where they come in the same round.
        """
        run = self._store.runs.current()
        if run is None:
            return 0
        if self._atlas is None or self._atlas.row.atlas_id != run.atlas_id:
            self._atlas = self._read(run.atlas_id)
        if self._atlas is None or self._atlas.row.encoder != self._encoder.name:
            return 0
        done = 0
        while batch := self._round(self._atlas, run.window_start):
            done += batch
            if batch < _ROUND:
                break
        return done

    def _round(self, atlas: _Atlas, since: Any) -> int:
        turns = self._waiting(atlas, since)
        while self._store.kept_out.mark_new(self._settings.analysis.keep_out, turns):
            turns = self._waiting(atlas, since)
        if not turns.num_rows:
            return 0
        said: list[str] = [USER_TEXT.prepare(text) for text in values(turns, "user_text")]
        by_hash = {text_hash(text): text for text in said}
        encode_missing(self._store, self._encoder, USER_TEXT, by_hash)
        hashes = list(by_hash)
        vectors = self._store.vectors.read(self._encoder.name, USER_TEXT.name, hashes)
        row_of = {hash_: row for row, hash_ in enumerate(hashes)}
        texts = np.array([row_of[text_hash(text)] for text in said], np.int64)
        acts = self._acts([by_hash[hash_] for hash_ in hashes], vectors)
        k = self._settings.atlas.neighbours
        near = nearest_anchors(vectors, atlas.anchors, k=k)
        classes = assign_texts(vectors, atlas.anchors, k=k, near=near)[:, texts]
        is_act = acts[texts] >= 0
        classes[:3] = _with_conversation(classes[:3], turns.column("conversation_key").to_numpy(), is_act)
        found = [
            [names[one] if one >= 0 else None for one in level.tolist()]
            for names, level in zip(atlas.names, classes, strict=True)
        ]
        rows: dict[str, Any] = {
            "turn_key": turns.column("turn_key"),
            "text_hash": pa.array([hashes[text] for text in texts.tolist()], pa.binary()),
            **{name: pa.array(column, pa.string()) for name, column in zip((*LEVELS, "intent"), found, strict=True)},
            "act": pa.array([ACTS[act] if act >= 0 else None for act in acts[texts].tolist()], pa.string()),
            "flood": pa.array([False] * len(said), pa.bool_()),
            "intent_similarity": pa.nulls(len(said), pa.float32()),
        }
        with self._store.transaction():
            keys: list[int] = values(turns, "turn_key")
            self._store.vectors.note_texts(USER_TEXT.name, keys, [hashes[text] for text in texts.tolist()])
            self._store.atlases.append(atlas.row.atlas_id, pa.table(rows).select(ASSIGNMENTS.names))
            shown = _first_of_each(texts, (classes[1] >= 0) & ~is_act)
            places = place_texts(near, atlas.anchors)[texts[shown]]
            unseen = np.array([hashes[text] not in atlas.on_map for text in texts[shown].tolist()], bool)
            new = np.isfinite(places).all(axis=1) & unseen
            self._store.layouts.append(atlas.row.atlas_id, np.array(keys, np.uint64)[shown[new]], places[new])
        atlas.on_map.update(hashes[text] for text in texts[shown[new]].tolist())
        return turns.num_rows

    def _waiting(self, atlas: _Atlas, since: Any) -> pa.Table:
        environments = self._settings.analysis.environments
        return self._store.atlases.unassigned(atlas.row.atlas_id, since, environments=environments, limit=_ROUND)

    def _acts(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> NDArray[np.int64]:
        prepared = [EVAL_PROMPT.prepare(text) for text in example_texts()[0]]
        hashes = [text_hash(text) for text in prepared]
        encode_missing(self._store, self._encoder, EVAL_PROMPT, dict(zip(hashes, prepared, strict=True)))
        examples = self._store.vectors.read(self._encoder.name, EVAL_PROMPT.name, hashes)
        graph: NeighbourGraph = build_graph(vectors, k=self._settings.atlas.neighbours)
        return recognise_acts(texts, vectors, graph, examples)

    def _read(self, atlas_id: str) -> _Atlas | None:
        row = self._store.atlases.load(atlas_id)
        if row is None:
            return None
        table = self._store.atlases.assignments(atlas_id)
        # An act's topic is that of its conversation, and says nothing of its text.
        table = table.filter(table.column("act").is_null())
        hashes: list[bytes] = values(table, "text_hash")
        first = {hash_: number for number, hash_ in reversed(list(enumerate(hashes)))}
        table = table.take(pa.array(first.values(), pa.int64()))
        vectors = self._store.vectors.read(row.encoder, row.recipe, list(first))
        names, classes = [], []
        for column in (*LEVELS, "intent"):
            encoded = table.column(column).combine_chunks().dictionary_encode()
            names.append(np.array(encoded.dictionary.to_pylist(), dtype=object))
            classes.append(encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64))
        on_map = self._store.layouts.of_texts(atlas_id)
        place = dict(
            zip(values(on_map, "text_hash"), zip(values(on_map, "x"), values(on_map, "y"), strict=True), strict=True)
        )
        nowhere = (float("nan"), float("nan"))
        places = np.array([place.get(hash_, nowhere) for hash_ in first], np.float32).reshape(-1, 2)
        return _Atlas(row, Anchors(vectors, np.stack(classes), places), tuple(names), set(place))


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
