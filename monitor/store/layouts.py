"""Where turns lie on the map of an atlas: table `layout`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.store.database import Database
from monitor.store.rows import KEY

__all__ = ["Layouts"]


class Layouts:
    """A map holds some thousand turns, and not all: no more can be told apart on a screen."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def write(self, atlas_id: str, keys: NDArray[np.uint64], places: NDArray[np.float32]) -> None:
        """Places [n, 2] of turns [n]; what was there of this atlas is replaced."""
        rows = pa.table(
            {
                "atlas_id": pa.array([atlas_id] * len(keys), pa.string()),
                "turn_key": pa.array(keys, KEY),
                "x": pa.array(places[:, 0], pa.float32()),
                "y": pa.array(places[:, 1], pa.float32()),
            }
        )
        with self._database.transaction():
            self._database.execute("DELETE FROM layout WHERE atlas_id = ?", [atlas_id])
            self._database.insert("layout", rows)

    def read(self, atlas_id: str) -> pa.Table:
        """turn_key, x, y, ordered by turn_key."""
        return self._database.query(
            "SELECT turn_key, x, y FROM layout WHERE atlas_id = ? ORDER BY turn_key", [atlas_id]
        )
