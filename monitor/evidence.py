"""Which turns stand for a topic: its most central ones and some from anywhere in it, as a whole or in parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from monitor.errors import UsageError
from monitor.store.curation import Evidence
from monitor.store.rows import values
from monitor.wording import clean

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from monitor.store.atlases import TopicRow
    from monitor.store.store import Store

__all__ = ["KEPT", "LEVELS", "MOST_PARTS", "TopicTexts", "joined"]

#: Texts of a topic that are kept to know it again.
KEPT = 200
MOST_PARTS = 20
LEVELS = ("broad", "middle", "fine")
#: Texts of a topic that are looked at for its most central ones.
_LOOKED_AT = 20_000


class TopicTexts:
    """The texts of the topics of one stored atlas."""

    def __init__(self, store: Store, atlas_id: str, topics: Sequence[TopicRow]) -> None:
        self._store, self._atlas_id, self._topics = store, atlas_id, topics

    def _texts(self, topic: TopicRow) -> tuple[pa.Table, NDArray[np.float32]]:
        """Distinct texts of a topic, each with one of its turns, in order of their hash; and their vectors [n, d]."""
        import numpy as np
        import pyarrow as pa

        found = self._store.curation.members(self._atlas_id, LEVELS[topic.level], topic.topic_id)
        first: dict[bytes, int] = {}
        for hash_, key in zip(values(found, "text_hash"), values(found, "turn_key"), strict=True):
            first.setdefault(hash_, key)
        hashes = sorted(first)[:_LOOKED_AT]  # hashes are in no order of meaning
        if not hashes:
            raise UsageError(f"topic {topic.topic_id} has no turns any more: run `offmap analyse` first")
        keys = pa.array([first[one] for one in hashes], pa.uint64())
        table = pa.table({"turn_key": keys, "text_hash": pa.array(hashes, pa.binary())})
        atlas = self._store.atlases.load(self._atlas_id)
        assert atlas is not None
        vectors = self._store.vectors.read(atlas.encoder, atlas.recipe, hashes)
        return table, np.asarray(vectors, np.float32)

    def kept(self, topic: TopicRow, most: int = KEPT, *, central: bool = False) -> Evidence:
        """At most so many of its texts: the most central ones, and unless `central` as many again from anywhere in it."""
        return _chosen(*self._texts(topic), most=most, central=central)

    def by_text(self, topic: TopicRow, number: int) -> list[Evidence]:
        """Of each part of a topic that is divided by what its texts say, the largest first."""
        from monitor.atlas.curation import parts_of

        table, vectors = self._texts(topic)
        part_of = parts_of(vectors, number)
        if int(part_of.max()) < 1:
            raise UsageError(f"topic {topic.topic_id} ({clean(topic.label)}) has one text only, which cannot be split")
        return [
            _chosen(table.filter(_mask(part_of == part)), vectors[part_of == part], most=KEPT // 2)
            for part in range(int(part_of.max()) + 1)
        ]

    def by_child(self, topic: TopicRow, number: int | None) -> list[Evidence]:
        """Evidence of each finer topic, or of so many groups of them that are alike; the largest first."""
        import numpy as np

        from monitor.atlas.curation import parts_of

        children = [one for one in self._topics if one.parent == topic.topic_id]
        if len(children) < 2:
            raise UsageError(
                f"the {LEVELS[topic.level]} topic {topic.topic_id} ({clean(topic.label)}) holds one finer topic only: split "
                f"that one, {children[0].topic_id if children else 'on the fine level'}"
            )
        if len(children) > MOST_PARTS and number is None:
            raise UsageError(
                f"topic {topic.topic_id} holds {len(children)} finer topics: say --parts N, at most {MOST_PARTS}"
            )
        texts = [self._texts(one) for one in children]
        groups = np.arange(len(children))
        if number is not None and number < len(children):
            centres = np.stack([vectors.mean(axis=0) for _, vectors in texts])
            groups = parts_of((centres / np.linalg.norm(centres, axis=1, keepdims=True)).astype(np.float32), number)
        elif number is not None and number > len(children):
            raise UsageError(f"--parts {number}: topic {topic.topic_id} has only {len(children)} finer topics")
        sizes = np.bincount(groups, [one.turns for one in children])
        pieces = []
        for group in np.argsort(-sizes, kind="stable").tolist():
            own = np.flatnonzero(groups == group).tolist()
            each = max(1, KEPT // 2 // len(own))
            pieces.append(_one([_chosen(*texts[child], most=each) for child in own]))
        return pieces


def _mask(chosen: Any) -> Any:
    import pyarrow as pa

    return pa.array(chosen, pa.bool_())


def _chosen(table: pa.Table, vectors: NDArray[np.float32], *, most: int, central: bool = False) -> Evidence:
    """At most so many texts: the most central ones, and unless `central` as many again from anywhere in the topic."""
    import numpy as np

    closeness = np.round(vectors @ vectors.mean(axis=0), 6)
    order = np.argsort(-closeness, kind="stable")
    first = order[: most if central else (most + 1) // 2]
    # Texts stand in the order of their hashes, so the first ones are from anywhere.
    rest = np.setdiff1d(np.arange(len(order)), first)[: 0 if central else most - len(first)]
    rows = table.take(np.concatenate([first, rest]))
    hashes: list[bytes] = values(rows, "text_hash")
    return Evidence(values(rows, "turn_key"), hashes, [0] * len(hashes))


def _one(parts: Sequence[Evidence]) -> Evidence:
    """Several parts as one."""
    keys = [key for part in parts for key in part.turn_keys]
    return Evidence(keys, [hash_ for part in parts for hash_ in part.text_hashes], [0] * len(keys))


def joined(parts: Sequence[Evidence]) -> Evidence:
    """Parts numbered in their order."""
    whole = _one(parts)
    return replace(whole, parts=[number for number, part in enumerate(parts) for _ in part.turn_keys])
