"""The published atlas and the decisions in force, as a fit needs them: read from the store, on the texts of a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from monitor.atlas.communities import LEVELS
from monitor.atlas.corpus import Corpus
from monitor.atlas.curation import Decided, Levels, Ruling, Standing
from monitor.store.curation import DecisionRow
from monitor.store.rows import values
from monitor.store.store import Store

__all__ = ["read_decided", "read_standing"]

_SHAPING = ("merge", "split", "lock")


def read_decided(store: Store, corpus: Corpus, decisions: Sequence[DecisionRow]) -> Decided:
    """Of decisions in force those that change topics, with their evidence; texts that the corpus lacks are left out."""
    decisions = [one for one in decisions if one.kind in _SHAPING]
    if not decisions:
        return Decided(Standing(((), (), ()), (np.empty(0, np.int64),) * 3), ())
    find = _Finder(corpus)
    rulings = []
    for one in decisions:
        evidence = store.curation.evidence(one.decision_id)
        rows, parts = find.rows(evidence.turn_keys, evidence.text_hashes), np.array(evidence.parts, np.int64)
        found = tuple(np.unique(rows[(parts == part) & (rows >= 0)]) for part in range(len(one.topics)))
        rulings.append(Ruling(one.kind, one.level, one.topics, found))
    return Decided(_standing(store, find, len(corpus.hashes)), rulings)


def read_standing(
    store: Store, corpus: Corpus, *, encoder: str, parameters: Mapping[str, Any], decisions: Sequence[str]
) -> Levels:
    """Topic of each text [n] in the published atlas on the three levels, -1 for a text that came after its fit; for leaning on.

    Nothing, and so a fresh fit, where the atlas was found in another way (by its encoder or the `parameters` of the atlas), and
    where one of its decisions is no longer in force: what people took back must not stay.
    """
    run = store.runs.current()
    row = None if run is None else store.atlases.load(run.atlas_id)
    if row is None or row.encoder != encoder:
        return ()
    made = orjson.loads(row.parameters)
    if any(made.get(name) != value for name, value in parameters.items()) or not {*made["decisions"]} <= {*decisions}:
        return ()
    return _standing(store, _Finder(corpus), len(corpus.hashes), fitted=True).of_texts


class _Finder:
    """Texts of a corpus by a turn that says them, else by their hash: of near copies one stands for all, and not always the
    same one."""

    def __init__(self, corpus: Corpus) -> None:
        order = np.argsort(corpus.keys, kind="stable")
        self._keys, self._texts = corpus.keys[order], corpus.text_of[order]
        self._row_of = {hash_: row for row, hash_ in enumerate(corpus.hashes)}

    def rows(self, turn_keys: Sequence[int] | NDArray[np.uint64], hashes: Sequence[bytes]) -> NDArray[np.int64]:
        """The text of each, -1 for one that the corpus lacks."""
        keys = np.asarray(turn_keys, np.uint64)
        by_hash = np.array([self._row_of.get(one, -1) for one in hashes], np.int64)
        if not len(keys) or not len(self._keys):
            return by_hash
        place = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return np.where(self._keys[place] == keys, self._texts[place], by_hash)


def _standing(store: Store, find: _Finder, texts: int, *, fitted: bool = False) -> Standing:
    """Topic of each text in the published atlas. A text has one topic there, whoever says it; acts have none of their own.

    `fitted` leaves out turns that came after the fit. They were assigned to what there was, and may be of something new.
    """
    run = store.runs.current()
    levels = [np.full(texts, -1, np.int64) for _ in LEVELS]
    ids: list[list[str]] = [[] for _ in LEVELS]
    if run is not None:
        table = store.atlases.assignments(run.atlas_id)
        table = table.filter(table.column("act").is_null())
        if fitted:  # turns that came later were not compared with intents: theirs is null, and not nan
            table = table.filter(table.column("intent_similarity").is_valid())
        rows = find.rows(table.column("turn_key").to_numpy(), values(table, "text_hash"))
        for level, column in enumerate(LEVELS):
            encoded: Any = table.column(column).combine_chunks().dictionary_encode()
            ids[level] = encoded.dictionary.to_pylist()
            codes = encoded.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
            levels[level][rows[rows >= 0]] = codes[rows >= 0]
    return Standing(tuple(ids), tuple(levels))
