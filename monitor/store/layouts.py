"""Where turns lie on the map of an atlas: table `layout`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.store.database import Database
from monitor.store.forgotten import still_there
from monitor.store.rows import KEY

__all__ = ["Layouts"]


class Layouts:
    """A map holds every text that has a topic, once, by the first turn that says it; later turns are added to it.

    Turns that were forgotten while the map was drawn are not on it.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, atlas_id: str, keys: NDArray[np.uint64], places: NDArray[np.float32]) -> None:
        """Places [n, 2] of turns [n]; what was there of this atlas is replaced."""
        with self._database.transaction():
            self._database.execute("DELETE FROM layout WHERE atlas_id = ?", [atlas_id])
            self._database.insert("layout", still_there(self._database, _rows(atlas_id, keys, places)))

    def append(self, atlas_id: str, keys: NDArray[np.uint64], places: NDArray[np.float32]) -> int:
        """Add turns that came after the map was drawn; those that it has already stay where they are. How many were new."""
        with self._database.transaction():
            return self._database.execute(
                "INSERT INTO layout (atlas_id, turn_key, x, y) SELECT atlas_id, turn_key, x, y FROM new_places"
                " ANTI JOIN (SELECT turn_key FROM layout WHERE atlas_id = ?) USING (turn_key)",
                [atlas_id],
                new_places=still_there(self._database, _rows(atlas_id, keys, places)),
            )

    def drawn(self, atlas_id: str) -> bool:
        """Whether any turn lies on the map of the atlas."""
        found = self._database.value(
            "SELECT count(*) FROM (SELECT 1 FROM layout WHERE atlas_id = ? LIMIT 1)", [atlas_id]
        )
        return bool(found)

    def read(self, atlas_id: str) -> pa.Table:
        """turn_key, x, y, ordered by turn_key."""
        return self._database.query(
            "SELECT turn_key, x, y FROM layout WHERE atlas_id = ? ORDER BY turn_key", [atlas_id]
        )

    def of_texts(self, atlas_id: str) -> pa.Table:
        """text_hash, x, y of the texts on the map, in the order of their turns; a text may stand there twice."""
        return self._database.query(
            "SELECT a.text_hash, l.x, l.y FROM layout l"
            " JOIN assignments a ON a.atlas_id = l.atlas_id AND a.turn_key = l.turn_key"
            " WHERE l.atlas_id = ? ORDER BY l.turn_key",
            [atlas_id],
        )


def _rows(atlas_id: str, keys: NDArray[np.uint64], places: NDArray[np.float32]) -> pa.Table:
    return pa.table(
        {
            "atlas_id": pa.array([atlas_id] * len(keys), pa.string()),
            "turn_key": pa.array(keys, KEY),
            "x": pa.array(places[:, 0], pa.float32()),
            "y": pa.array(places[:, 1], pa.float32()),
        }
    )
