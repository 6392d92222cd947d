"""What else is known of turns: tenant, language, model and prompt version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.records import Window
from monitor.store.rows import values
from monitor.store.store import Store

__all__ = ["ATTRIBUTES", "Attribute", "attributes_of", "read_attributes"]

#: The columns by which traffic can be split, the language also where it was found.
ATTRIBUTES = ("tenant", "language", "model", "prompt_version")


@dataclass(frozen=True, slots=True)
class Attribute:
    """Values in order, and each turn's place among them [t], -1 for none."""

    values: tuple[str, ...]
    of_turns: NDArray[np.int64]


def read_attributes(
    store: Store, keys: NDArray[np.uint64], *, window: Window | None, environments: Sequence[str] | None = None
) -> Mapping[str, Attribute]:
    """Of the turns with these keys, in their order; attributes that no turn has are left out. Nothing is known of a turn that
    was forgotten meanwhile."""
    turns = store.turns.read(window, environments=environments, columns=("turn_key", *ATTRIBUTES))
    stored = turns.column("turn_key").to_numpy().astype(np.uint64)
    if not len(stored):
        return {}
    at = np.minimum(np.searchsorted(stored, keys), len(stored) - 1)
    return attributes_of(store, turns, np.where(stored[at] == keys, at, -1), keys)


def attributes_of(
    store: Store, turns: pa.Table, of_turns: NDArray[np.int64], keys: NDArray[np.uint64]
) -> dict[str, Attribute]:
    """Of the turns with these keys [t], which are the rows `of_turns` [t] (-1 for none) of a table with these columns."""
    found = {}
    for name in ATTRIBUTES:
        column: list[str | None] = values(turns, name)
        said = [column[row] if row >= 0 else None for row in of_turns.tolist()]
        if name == "language":
            said = _languages(store, said, keys)
        names = sorted({one for one in said if one})
        if names:
            place = {one: number for number, one in enumerate(names)}
            found[name] = Attribute(tuple(names), np.fromiter((place.get(one or "", -1) for one in said), np.int64))
    return found


def _languages(store: Store, stated: Sequence[str | None], keys: NDArray[np.uint64]) -> list[str | None]:
    """Languages without their region, as stated, or as found where the log says nothing."""
    silent = [key for key, one in zip(keys.tolist(), stated, strict=True) if not one]
    detected = store.languages.of(silent) if silent else {}
    return [
        one.replace("_", "-").split("-")[0].lower() if one else detected.get(key)
        for key, one in zip(keys.tolist(), stated, strict=True)
    ]
