"""The turns that prove what became of a topic: a person reads five of them and believes it, or does not.

Which turns prove an event:

- kept, grew: those that were in the topic and still are. A topic that was known again by where its texts lie has hardly any, so
  it may have none.
- merged, split: those that were in the other topic and are in this one now. A topic into which several merged has such turns of
  each, as each is an event; those of the topic whose id it has are with `kept` or `grew`.
- born: those of the new topic that no topic of the level had: first such as the atlas before did not know, then such as it
  had without a topic. Where old topics had all of them, one from each: none of these is where it came from. Topics that it
  took in have events of their own.
- died: those that were in it: first such as are in another topic now, then such as have none, then such as have left the
  window.

Among those the five are chosen that say most: the nearest to the mean of what is said in them, a text once, and another
conversation rather than the same again. Ties go to the smaller turn key, which is a hash: the order of rows changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.atlas.lineage import Keys
from monitor.store.atlases import LineageRow

__all__ = ["MOST", "Before", "Said", "prove"]

#: Turns that are kept of an event.
MOST = 5

#: Turns that the most central ones are looked for among; keys are hashes, so the smallest are from anywhere.
_LOOKED_AT = 500

_Array = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Before:
    """The atlas before: turn keys of its topics by level and id, and the keys [t] of all turns that it knew, ascending, each
    with the hash of its text."""

    topics: Mapping[int, Mapping[str, Keys]]
    known: _Array
    hashes: NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Said:
    """The turns [t] of this atlas: their keys, the text and the conversation of each by number; and of texts their hashes [n]
    and unit vectors [n, d]."""

    keys: _Array
    text_of: NDArray[np.int64]
    conversation: NDArray[np.int64]
    hashes: Sequence[bytes]
    vectors: NDArray[np.float32]


def prove(
    events: Sequence[LineageRow],
    ids: Mapping[int, Sequence[str]],
    before: Before,
    current: Mapping[int, Sequence[Keys]],
    said: Said,
) -> tuple[LineageRow, ...]:
    """The events with the turns that prove them, at most `MOST` each; which ones is said above.

    `ids[level]` are those of the topics `current[level]`, which hold turn keys of `said`.

    >>> said = Said(np.array([1, 2, 3], np.uint64), np.arange(3), np.arange(3), [b"a", b"b", b"c"], np.eye(3, dtype=np.float32))
    >>> old = Before({0: {"t1": {1, 2}}}, np.array([1, 2], np.uint64), np.array([b"a", b"b"], object))
    >>> prove([LineageRow("t1", "grew", None, 1.0)], {0: ["t1"]}, old, {0: [{1, 2, 3}]}, said)[0].turns
    (1, 2)
    """
    work = _Work(events, ids, before, current, _Rows(said))
    return tuple(replace(event, turns=work.turns(event)) for event in events)


class _Rows:
    """Turns of this atlas by their keys."""

    def __init__(self, said: Said) -> None:
        self.said = said
        self.order = np.argsort(said.keys)
        self.sorted = said.keys[self.order]

    def split(self, keys: _Array) -> tuple[NDArray[np.int64], _Array]:
        """Rows of the keys that this atlas has, and the other keys."""
        here = _among(keys, self.sorted)
        return self.order[np.searchsorted(self.sorted, keys[here])], keys[~here]


class _Work:
    """One refit: what several events ask for is made once."""

    def __init__(
        self,
        events: Sequence[LineageRow],
        ids: Mapping[int, Sequence[str]],
        before: Before,
        current: Mapping[int, Sequence[Keys]],
        rows: _Rows,
    ) -> None:
        self._rows, self._before = rows, before
        self._old = {id_: _keys(keys) for topics in before.topics.values() for id_, keys in topics.items()}
        self._new = {
            id_: _keys(keys) for level, topics in current.items() for id_, keys in zip(ids[level], topics, strict=True)
        }
        self._level = {id_: level for level, listed in ids.items() for id_ in listed}
        self._level |= {id_: level for level, topics in before.topics.items() for id_ in topics}
        self._had = {level: _union([self._old[id_] for id_ in topics]) for level, topics in before.topics.items()}
        self._have = {level: _union([self._new[id_] for id_ in listed]) for level, listed in ids.items()}
        self._sources: dict[str, set[str]] = {}
        for event in events:
            if event.other is not None:
                self._sources.setdefault(event.topic_id, set()).add(event.other)

    def turns(self, event: LineageRow) -> tuple[int, ...]:
        if event.event == "died":
            return self._died(event.topic_id)
        if event.event == "born":
            return self._born(event.topic_id)
        old = self._old.get(event.other or event.topic_id, _NONE)
        new = self._new[event.topic_id]
        return self._chosen([new[_among(new, old)]])

    def _born(self, topic: str) -> tuple[int, ...]:
        new, level = self._new[topic], self._level[topic]
        fresh = ~_among(new, self._before.known)
        had = _among(new, self._had.get(level, _NONE))
        if (alone := self._chosen([new[fresh], new[~fresh & ~had]])) or topic in self._sources:
            return alone
        return self._from_each([new[_among(new, self._old[id_])] for id_ in sorted(self._before.topics.get(level, ()))])

    def _died(self, topic: str) -> tuple[int, ...]:
        old = self._old[topic]
        moved = _among(old, self._have.get(self._level[topic], _NONE))
        here = _among(old, self._rows.sorted)
        return self._chosen([old[moved], old[here & ~moved], old[~here]])

    def _chosen(self, tiers: Sequence[_Array]) -> tuple[int, ...]:
        """At most `MOST` of the keys, those of an earlier tier first."""
        found: list[int] = []
        texts: set[bytes] = set()
        for keys in tiers:
            if len(found) < MOST:
                found += self._of_tier(keys[:_LOOKED_AT], MOST - len(found), texts)
        return tuple(found)

    def _from_each(self, parts: Sequence[_Array]) -> tuple[int, ...]:
        """One of each part, the largest part first, then the next of each."""
        parts = sorted((part for part in parts if len(part)), key=len, reverse=True)[:MOST]
        found: list[int] = []
        texts: set[bytes] = set()
        for _ in range(MOST):
            for part in parts:
                if len(found) < MOST:
                    found += self._of_tier(part[:_LOOKED_AT], 1, texts)
        return tuple(found)

    def _of_tier(self, keys: _Array, most: int, texts: set[bytes]) -> list[int]:
        """Of keys in ascending order; texts that are in `texts` are passed over, and those that are chosen come into it."""
        said = self._rows.said
        rows, gone = self._rows.split(keys)
        rows = rows[np.argsort(-self._closeness(rows), kind="stable")]
        listed = [
            (int(said.keys[row]), said.hashes[said.text_of[row]], int(said.conversation[row])) for row in rows.tolist()
        ]
        # What has left the window has no vector at hand, and no conversation that could be compared.
        hashes = self._before.hashes[np.searchsorted(self._before.known, gone)].tolist()
        listed += [
            (key, hash_, -1 - place) for place, (key, hash_) in enumerate(zip(gone.tolist(), hashes, strict=True))
        ]
        conversations: set[int] = set()
        found: list[int] = []
        for again in (False, True):
            for key, text, conversation in listed:
                if len(found) == most:
                    return found
                if text not in texts and (again or conversation not in conversations):
                    found.append(key)
                    texts.add(text)
                    conversations.add(conversation)
        return found

    def _closeness(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Of each turn's text to the mean of the distinct texts, so that one that is said again and again does not bend it."""
        said = self._rows.said
        texts, place = np.unique(said.text_of[rows], return_inverse=True)
        vectors = said.vectors[texts].astype(np.float64)
        cosines = np.round(vectors @ vectors.mean(axis=0), 6) if len(texts) else np.empty(0)
        found: NDArray[np.float64] = cosines[place.ravel()]
        return found


_NONE = np.empty(0, np.uint64)


def _keys(keys: Keys) -> _Array:
    """In ascending order. They are distinct, and sorting is many times faster than `numpy.unique`, which hashes."""
    return np.sort(keys if isinstance(keys, np.ndarray) else np.fromiter(keys, np.uint64, len(keys)))


def _union(parts: Sequence[_Array]) -> _Array:
    return np.sort(np.concatenate([_NONE, *parts]))


def _among(keys: _Array, those: _Array) -> NDArray[np.bool_]:
    """Which of the keys are in a sorted array."""
    if not len(those):
        return np.zeros(len(keys), bool)
    found: NDArray[np.bool_] = those[np.minimum(np.searchsorted(those, keys), len(those) - 1)] == keys
    return found
