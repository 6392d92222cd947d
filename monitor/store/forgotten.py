"""Turns that are forgotten while somebody has them in hand: what was made of them is not written.

An analysis has its turns in hand for minutes. A deletion in between takes what stands in the tables, and not what is about to
be written: so whatever writes rows of turns asks here, in the transaction that writes. Transactions that write follow one
another, in all processes. So a deletion either was before, and its turns are seen to be gone, or comes after, and finds the
rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.store.database import Database
from monitor.store.rows import KEY, values

__all__ = ["gone", "still_there", "without"]


def gone(database: Database, keys: Iterable[int] | NDArray[np.uint64]) -> frozenset[int]:
    """Those of the turn keys that no stored turn has."""
    asked = pa.table({"turn_key": pa.array(keys if isinstance(keys, np.ndarray) else list(keys), KEY)})
    if not asked.num_rows:
        return frozenset()
    # Asked for what is not there, which is next to nothing. And not as a SEMI JOIN from `asked`: DuckDB fails to hand a key
    # over 2**63 to Arrow as a filter.
    found = database.query("SELECT DISTINCT turn_key FROM asked ANTI JOIN turns USING (turn_key)", asked=asked)
    return frozenset(values(found, 0))


def still_there(database: Database, rows: pa.Table) -> pa.Table:
    """The rows, by their column turn_key, without those of turns that are not stored."""
    return without(rows, gone(database, rows.column("turn_key").to_numpy()))


def without(rows: pa.Table, keys: frozenset[int]) -> pa.Table:
    """The rows, by their column turn_key, without those of the given turns."""
    if not keys:
        return rows
    column = rows.column("turn_key").to_numpy()
    return rows.filter(pa.array(~np.isin(column, np.fromiter(keys, np.uint64, len(keys)))))
