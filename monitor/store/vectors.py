"""Vectors by encoder, recipe and text hash, and which text each turn was encoded as: tables `vectors`, `turn_texts`.

A vector is a BLOB of float16: a third of the bytes and a fifth of the time of `FLOAT[n]`, which DuckLake lacks anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.errors import StoreError
from monitor.records import Window
from monitor.store.database import Database
from monitor.store.rows import KEY, values
from monitor.store.turns import traffic

__all__ = ["Vectors"]


#: Tables that say by which text a turn goes: of near copies one text stands for all.
_BY_TEXT = ("assignments", "decision_turns")


class Vectors:
    """The cache of what has been encoded. A vector never meets one from another encoder or recipe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def missing(self, encoder: str, recipe: str, hashes: Sequence[bytes]) -> list[bytes]:
        """The hashes without a vector, distinct and sorted."""
        found = self._database.query(
            "SELECT text_hash FROM asked ANTI JOIN"
            " (SELECT text_hash FROM vectors WHERE encoder = ? AND recipe = ?) USING (text_hash) ORDER BY text_hash",
            [encoder, recipe],
            asked=_hashes(set(hashes)),
        )
        return [bytes(hash_) for hash_ in values(found, 0)]

    def remaining(self, encoder: str, recipe: str) -> tuple[int, int]:
        """Of the distinct texts that turns were encoded as, with any encoder: how many lack a vector of this one, and all."""
        found = self._database.query(
            "SELECT count(*) FILTER (WHERE v.text_hash IS NULL), count(*) FROM"
            " (SELECT DISTINCT text_hash FROM turn_texts WHERE recipe = ?) t LEFT JOIN"
            " (SELECT DISTINCT text_hash FROM vectors WHERE encoder = ? AND recipe = ?) v ON t.text_hash = v.text_hash",
            [recipe, encoder, recipe],
        )
        return int(values(found, 0)[0]), int(values(found, 1)[0])

    def hashes(self, encoder: str, recipe: str) -> list[bytes]:
        """Every text that has a vector, sorted."""
        found = self._database.query(
            "SELECT text_hash FROM vectors WHERE encoder = ? AND recipe = ? ORDER BY text_hash", [encoder, recipe]
        )
        return [bytes(hash_) for hash_ in values(found, 0)]

    def append(
        self, encoder: str, recipe: str, hashes: Sequence[bytes], vectors: NDArray[np.float32] | NDArray[np.float16]
    ) -> int:
        """Keep the vectors of texts that have none yet; how many those were."""
        if len(hashes) != len(vectors):
            raise ValueError(f"number of vectors ({len(vectors)}) must match number of hashes ({len(hashes)})")
        first = {hash_: position for position, hash_ in reversed(list(enumerate(hashes)))}
        if not first:
            return 0
        half = np.ascontiguousarray(vectors[list(first.values())], dtype=np.float16)
        width = half.shape[1] * half.itemsize
        blobs = pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), len(half), [None, pa.py_buffer(half.data)])
        rows = pa.table({"text_hash": pa.array(list(first), pa.binary()), "vector": blobs})
        with self._database.transaction():
            return self._database.execute(
                "INSERT INTO vectors (encoder, recipe, text_hash, vector) SELECT ?, ?, text_hash, vector FROM new_rows"
                " ANTI JOIN (SELECT text_hash FROM vectors WHERE encoder = ? AND recipe = ?) USING (text_hash)",
                [encoder, recipe, encoder, recipe],
                new_rows=rows,
            )

    def read(self, encoder: str, recipe: str, hashes: Sequence[bytes]) -> NDArray[np.float32]:
        """One row for each hash, in the order asked; a hash may repeat. (0, 0) for no hashes.

        `StoreError` when some have no vector.
        """
        distinct = set(hashes)
        if not distinct:
            return np.zeros((0, 0), dtype=np.float32)
        found = self._database.query(
            "SELECT text_hash, vector FROM vectors SEMI JOIN asked USING (text_hash) WHERE encoder = ? AND recipe = ?",
            [encoder, recipe],
            asked=_hashes(distinct),
        )
        row_of = {hash_: row for row, hash_ in enumerate(values(found, 0))}
        if len(row_of) < len(distinct):
            raise StoreError(
                f"{len(distinct) - len(row_of)} of {len(distinct)} texts have no vector of encoder {encoder!r} and "
                f"recipe {recipe!r}: run `offmap analyse` to encode them"
            )
        order = np.fromiter((row_of[hash_] for hash_ in hashes), dtype=np.int64, count=len(hashes))
        return _matrix(found.column(1))[order].astype(np.float32)

    def note_texts(self, recipe: str, turn_keys: Sequence[int] | NDArray[np.uint64], hashes: Sequence[bytes]) -> None:
        """Remember which text each turn is encoded as. A turn whose text changed lets go of the one before."""
        noted = pa.table(
            {
                "turn_key": pa.array(np.asarray(turn_keys, dtype=np.uint64), KEY),
                "text_hash": pa.array(hashes, pa.binary()),
            }
        )
        with self._database.transaction():
            stale = self._database.query(
                "SELECT t.turn_key, t.text_hash FROM turn_texts t JOIN noted n ON t.turn_key = n.turn_key"
                " WHERE t.recipe = ? AND t.text_hash <> n.text_hash",
                [recipe],
                noted=noted,
            )
            if stale.num_rows:
                self._database.execute(
                    "DELETE FROM turn_texts WHERE recipe = ? AND turn_key IN (SELECT turn_key FROM stale)",
                    [recipe],
                    stale=stale,
                )
            # A turn may have been forgotten while it was encoded: it must not come back, nor its vector stay.
            self._database.execute(
                "INSERT INTO turn_texts (recipe, turn_key, text_hash)"
                " SELECT ?, turn_key, any_value(text_hash) FROM noted SEMI JOIN turns USING (turn_key)"
                " ANTI JOIN (SELECT turn_key FROM turn_texts WHERE recipe = ?) USING (turn_key) GROUP BY turn_key",
                [recipe, recipe],
                noted=noted,
            )
            gone = self._database.query("SELECT text_hash FROM noted ANTI JOIN turns USING (turn_key)", noted=noted)
            unused = set(values(stale, "text_hash")) | set(values(gone, 0))
            self.drop_unused(recipe, unused)

    def texts(self, recipe: str, window: Window | None = None, environments: Sequence[str] | None = None) -> pa.Table:
        """turn_key and text_hash of the window's encoded turns, ordered by turn_key."""
        condition, parameters = traffic(window, environments)
        return self._database.query(
            "SELECT turn_texts.turn_key, text_hash FROM turn_texts JOIN turns USING (turn_key)"
            f" WHERE recipe = ? AND {condition} ORDER BY turn_texts.turn_key",
            [recipe, *parameters],
        )

    def drop_unused(self, recipe: str, hashes: Iterable[bytes]) -> int:
        """Remove those vectors of the recipe whose text no turn uses any more; how many.

        Where such a text stood for its near copies, these stand for themselves from now on.
        """
        asked = _hashes(set(hashes))
        if not asked.num_rows:
            return 0
        with self._database.transaction():
            unused = self._database.query(
                "SELECT text_hash FROM asked ANTI JOIN (SELECT text_hash FROM turn_texts WHERE recipe = ?) USING (text_hash)",
                [recipe],
                asked=asked,
            )
            if not unused.num_rows:
                return 0
            for table in _BY_TEXT:
                self._stand_alone(table, recipe, unused)
            return self._database.execute(
                "DELETE FROM vectors WHERE recipe = ? AND text_hash IN (SELECT text_hash FROM unused)",
                [recipe],
                unused=unused,
            )

    def _stand_alone(self, table: str, recipe: str, unused: pa.Table) -> None:
        """Turns of the table that go by an unused text go by their own."""
        theirs = f"{table}.text_hash IN (SELECT text_hash FROM unused)"
        if not self._database.query(f"SELECT 1 FROM {table} WHERE {theirs} LIMIT 1", unused=unused).num_rows:
            return
        # From the stored table alone: DuckDB fails to hand a key over 2**63 to an Arrow table as a filter.
        self._database.execute(
            f"UPDATE {table} SET text_hash = own.text_hash FROM turn_texts own"
            f" WHERE own.recipe = ? AND own.turn_key = {table}.turn_key AND {theirs}",
            [recipe],
            unused=unused,
        )


def _hashes(hashes: Iterable[bytes]) -> pa.Table:
    return pa.table({"text_hash": pa.array(list(hashes), pa.binary())})


def _matrix(column: pa.ChunkedArray[Any]) -> NDArray[np.float16]:
    """The BLOBs of a column as one matrix, read off Arrow's buffers without a Python object a row."""
    parts = [_block(chunk) for chunk in column.chunks if len(chunk)]
    if len({part.shape[1] for part in parts}) > 1:
        raise StoreError(
            "vectors of one encoder and recipe have different lengths: name another encoder and analyse again"
        )
    return np.concatenate(parts)


def _block(chunk: Any) -> NDArray[np.float16]:
    offset_type = np.int64 if pa.types.is_large_binary(chunk.type) else np.int32
    _, offset_buffer, data = chunk.buffers()
    offsets = np.frombuffer(offset_buffer, dtype=offset_type)[chunk.offset : chunk.offset + len(chunk) + 1]
    widths = np.diff(offsets)
    if not widths[0] or (widths != widths[0]).any():
        raise StoreError(
            "vectors of one encoder and recipe have different lengths: name another encoder and analyse again"
        )
    flat = np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]]
    return flat.view(np.float16).reshape(len(chunk), -1)
