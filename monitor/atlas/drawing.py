"""The map of a fitted atlas: every text with a topic, by its first turn, from where the published map had it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.atlas.assembly import Atlas, read_atlas
from monitor.atlas.communities import LEVELS
from monitor.atlas.corpus import Corpus
from monitor.atlas.forces import Places
from monitor.atlas.layout import Earlier, lay_out
from monitor.atlas.network import Network
from monitor.store.store import Store

__all__ = ["draw_map"]

_NOWHERE = np.full(2, np.nan, np.float32)


def draw_map(store: Store, network: Network, atlas_id: str, *, seed: int) -> None:
    """Lay out the stored atlas and store its map; acts and floods are not on it."""
    atlas, corpus = read_atlas(store, atlas_id, network.corpus), network.corpus
    first = corpus.first_turn
    shown = (atlas.of_turns[1][first] >= 0) & ~atlas.is_act[first] & ~atlas.flood[first]
    earlier = _earlier(store, atlas_id, atlas, corpus, shown)
    fine = atlas.of_turns[-1][first][shown]
    places = lay_out(network.graph.among(shown), network.vectors[shown], fine, earlier, seed=seed)
    store.layouts.write(atlas_id, corpus.keys[first[shown]], places)


def _earlier(store: Store, atlas_id: str, atlas: Atlas, corpus: Corpus, shown: NDArray[np.bool_]) -> Earlier | None:
    """What the published map says of the shown texts, by the turns that say them and by the topics that stayed."""
    run = store.runs.current()
    if run is None or run.atlas_id == atlas_id:
        return None
    layout, turns = store.layouts.read(run.atlas_id), store.atlases.assignments(run.atlas_id)
    keys = turns.column("turn_key").to_numpy()
    at, there = _rows(keys, layout.column("turn_key").to_numpy())
    if not there.any():
        return None
    at, places = at[there], np.stack([layout.column(axis).to_numpy() for axis in "xy"], axis=1)[there]
    own = _of_texts(_of_turns(turns, at, places), keys, corpus)[shown]
    first = corpus.first_turn[shown]
    near = np.full_like(own, np.nan)
    for level in reversed(range(len(LEVELS))):
        centres = _centres(turns.column(LEVELS[level]), at, places)
        # By position among the topics of the new atlas, and a last row for texts without a topic, which are at -1.
        known = [centres.get(topic.topic_id) for topic in atlas.topics]
        of_topic = np.array([_NOWHERE if one is None else one for one in [*known, None]], np.float32)
        topics = atlas.of_turns[level][first]
        near = np.where(np.isfinite(near), near, of_topic[topics])
        if level == len(LEVELS) - 1:
            groups, middles = np.where(np.isfinite(of_topic[topics, 0]), topics, -1), np.nan_to_num(of_topic)
    return Earlier(own, near, groups, middles)


def _rows(keys: NDArray[np.uint64], asked: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Where each asked key stands among the sorted keys, and whether it does."""
    if not len(keys):
        return np.zeros(len(asked), np.int64), np.zeros(len(asked), bool)
    at = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
    return at, keys[at] == asked


def _of_turns(turns: pa.Table, at: NDArray[np.int64], places: Places) -> Places:
    """Place of every turn [t]: that of its text, which stands on the map by its first turn; nan without one."""
    encoded = turns.column("text_hash").combine_chunks().dictionary_encode()
    text = encoded.indices.to_numpy(zero_copy_only=False)
    of_text = np.full((len(encoded.dictionary), 2), np.nan, np.float32)
    of_text[text[at][::-1]] = places[::-1]  # of two turns with one text the first one's
    return np.asarray(of_text[text])


def _of_texts(of_turns: Places, keys: NDArray[np.uint64], corpus: Corpus) -> Places:
    """Place of each text of the corpus [n]: the mean of its turns' places, nan where none has one."""
    at, there = _rows(keys, corpus.keys)
    known = there & np.isfinite(of_turns[at]).all(axis=1)
    text = corpus.text_of[known]
    count = np.bincount(text, minlength=len(corpus.texts)).astype(np.float64)
    sums = [np.bincount(text, of_turns[at[known], axis], len(corpus.texts)) for axis in range(2)]
    return np.asarray(np.stack(sums, axis=1) / np.where(count > 0, count, np.nan)[:, None], np.float32)


def _centres(column: Any, at: NDArray[np.int64], places: Places) -> dict[str, Places]:
    """The middle of each topic on the map, by id."""
    encoded = column.combine_chunks().dictionary_encode()
    names: list[str] = encoded.dictionary.to_pylist()
    number = encoded.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)[at]
    count = np.bincount(number, minlength=len(names) + 1)
    sums = np.stack([np.bincount(number, places[:, axis], len(names) + 1) for axis in range(2)], axis=1)
    return {name: (sums[row] / count[row]).astype(np.float32) for row, name in enumerate(names) if count[row]}
