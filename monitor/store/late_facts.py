"""Late facts: what an `outcome` event says about a turn fills the turn's empty fields, whichever of the two comes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import orjson
import pyarrow as pa

from monitor.records import Event, Turn
from monitor.store.database import Database
from monitor.store.rows import KEY
from monitor.store.turns import Turns

__all__ = ["LateFacts"]

#: What a turn is, and not what became of it; and what events have a place of their own for.
_FIXED = frozenset(
    "turn_id user_text created_at conversation_id turn_index tenant user_id feedback_score feedback_comment metadata".split()
)
_FILLED = frozenset(field.name for field in fields(Turn)) - _FIXED


class LateFacts:
    """Joins outcomes with their turns."""

    def __init__(self, database: Database, turns: Turns) -> None:
        self._database, self._turns = database, turns

    def complete(self, turns: Sequence[Turn], events: Sequence[Event]) -> int:
        """Fill empty fields of turns from their outcomes, the latest first; how many turns that changed.

        Call it with what was just stored. A value that a turn has stays.
        """
        # Most streams have no outcomes: then no key is made of anything.
        if not self._database.value("SELECT count(*) FROM (SELECT 1 FROM events WHERE kind = 'outcome' LIMIT 1)"):
            return 0
        facts = self._facts({turn.key for turn in turns} | {one.key for one in events if one.kind == "outcome"})
        if not facts:
            return 0
        completed = []
        for turn in self._turns.fetch(list(facts)):
            new = {name: value for name, value in facts[turn.key].items() if getattr(turn, name) is None}
            if new:
                completed.append(replace(turn, **new))
        return self._turns.append(completed).filled

    def _facts(self, keys: set[int]) -> dict[int, dict[str, Any]]:
        if not keys:
            return {}
        found = self._database.query(
            "SELECT turn_key, fields FROM events SEMI JOIN asked USING (turn_key) WHERE kind = 'outcome'"
            " ORDER BY created_at DESC, event_id DESC",
            asked=pa.table({"turn_key": pa.array(sorted(keys), KEY)}),
        )
        facts: dict[int, dict[str, Any]] = {}
        for row in found.to_pylist():
            said = orjson.loads(row["fields"] or "{}")
            known = facts.setdefault(row["turn_key"], {})
            for name, value in said.items():
                if name in _FILLED and value is not None:
                    known.setdefault(name, value)
        return {key: values for key, values in facts.items() if values}
