"""What the lookout is at: its state and its reference, tables `lookouts` and `lookout_turns`; and what conversations come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pyarrow as pa

from monitor.store.atlases import AtlasRow
from monitor.store.database import Database
from monitor.store.forgotten import still_there
from monitor.store.rows import KEY, shape
from monitor.store.turns import traffic

__all__ = ["REFERENCE", "LookoutRow", "Lookouts"]

#: Before every turn.
_EVER = datetime(1900, 1, 1)

#: Turns of the reference, and the place of each one's topic in the row's `topics`.
REFERENCE = pa.schema([pa.field("turn_key", KEY), pa.field("topic", pa.int64())])

#: Columns whose values begin on some day; a language may be what was found.
_SAID = ("tenant", "model", "prompt_version")

#: An atlas gives near copies the hash of the text that stands for them: what a turn says itself is in `turn_texts`.
#: Floods count: an atlas finds them when it is fitted, and not among the turns that come later.
_CONVERSATIONS = """
WITH coming AS (
    SELECT conversation_key, min(ingested_at) AS came_at, min(created_at) AS began_at FROM turns
    WHERE conversation_key IN (SELECT conversation_key FROM turns WHERE ingested_at > ? AND ingested_at <= ?) AND {traffic}
    GROUP BY conversation_key HAVING min(ingested_at) > ? AND min(ingested_at) <= ? AND min(created_at) >= ?)
SELECT turns.turn_key, turns.conversation_key, turns.created_at, coming.began_at, texts.text_hash,
    coalesce(texts.text_hash IS NOT NULL AND assigned.turn_key IS NOT NULL AND assigned.act IS NULL
        AND assigned.foreign_language IS NULL, false) AS subject,
    assigned.middle
FROM turns JOIN coming USING (conversation_key)
LEFT JOIN (SELECT DISTINCT turn_key, text_hash FROM turn_texts WHERE recipe = ?) AS texts USING (turn_key)
LEFT JOIN (SELECT turn_key, act, foreign_language, middle FROM assignments WHERE atlas_id = ?) AS assigned
    USING (turn_key)
WHERE turns.created_at <= coming.began_at + to_minutes(?) AND {traffic}
ORDER BY coming.began_at, turns.conversation_key, turns.turn_index NULLS LAST, turns.created_at, turns.turn_key
"""


@dataclass(frozen=True, slots=True)
class LookoutRow:
    """Where the lookout stands.

    It compares with a reference that was `pinned_at` of `reference` conversations, and has taken every conversation whose first
    turn was stored up to `after`; the last of them began at `last_at`. It has watched `conversations` `since` the pinning, or
    the last alarm. `evidence` is by family, in months; `state` is `Detector.state`, `edges` are where its bins end.
    `topics` are the ids of the reference's middle topics; `""` stands for none.
    """

    pinned_at: datetime
    encoder: str
    recipe: str
    after: datetime
    last_at: datetime
    since: datetime
    reference: int
    conversations: int
    alarms: int
    edges: tuple[float, ...]
    topics: tuple[str, ...]
    evidence: dict[str, float]
    state: dict[str, Any]


_ROW = shape(LookoutRow)


class Lookouts:
    """One row, replaced as a whole."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self) -> LookoutRow | None:
        found = _ROW.read(self._database.query("SELECT * FROM lookouts"))
        return found[0] if found else None

    def write(self, row: LookoutRow) -> None:
        with self._database.transaction(journaled=False):  # what is lost is read again from where the row before stood
            self._database.execute("DELETE FROM lookouts")
            self._database.insert("lookouts", _ROW.table([row]))

    def pin(self, row: LookoutRow, reference: pa.Table) -> None:
        """Begin with a reference, columns `REFERENCE`."""
        with self._database.transaction(journaled=False):
            self.write(row)
            self._database.execute("DELETE FROM lookout_turns")
            self._database.insert("lookout_turns", still_there(self._database, reference.select(REFERENCE.names)))

    def reference(self, recipe: str) -> pa.Table:
        """turn_key, topic, conversation_key and text_hash of the reference's turns, in the order of their keys."""
        return self._database.query(
            "SELECT turn_key, topic, conversation_key, text_hash FROM lookout_turns JOIN turns USING (turn_key)"
            " JOIN (SELECT DISTINCT turn_key, text_hash FROM turn_texts WHERE recipe = ?) USING (turn_key) ORDER BY turn_key",
            [recipe],
        )

    def accept(self, at: datetime) -> bool:
        """What comes from now on is usual: the next look pins another reference. False when none is pinned.

        The row stays, of no encoder, until then.
        """
        with self._database.transaction():
            row = self.read()
            if row is None:
                return False
            self._database.execute("DELETE FROM lookouts")
            self._database.insert("lookouts", _ROW.table([replace(row, encoder="", since=at)]))
        return True

    def conversations(
        self,
        atlas: AtlasRow,
        *,
        after: datetime | None,
        until: datetime,
        since: datetime | None = None,
        minutes: int,
        environments: Sequence[str],
    ) -> pa.Table:
        """Conversations whose first turn was stored after `after`, up to `until`, and that began `since` then: what was said in
        the first `minutes` of each.

        Columns turn_key, conversation_key, created_at, began_at, text_hash, subject (whether the atlas takes it for one with a
        subject of its own) and middle, by the conversations' beginnings and in the order of each.
        """
        condition, chosen = traffic(None, environments)
        span = [after or _EVER, until]
        parameters = [*span, *chosen, *span, since or _EVER, atlas.recipe, atlas.atlas_id, minutes, *chosen]
        return self._database.query(_CONVERSATIONS.format(traffic=condition), parameters)

    def first_seen(self, attribute: str, value: str, environments: Sequence[str]) -> datetime | None:
        """When the first turn of the traffic with this tenant, model or prompt version came."""
        assert attribute in _SAID
        condition, chosen = traffic(None, environments)
        found: datetime | None = self._database.value(
            f"SELECT min(created_at) FROM turns WHERE {attribute} = ? AND {condition}", [value, *chosen]
        )
        return found

    def feedback(self, keys: Sequence[int]) -> pa.Table:
        """turn_key, feedback_score and created_at of the scores that came later for these turns, the last one last."""
        return self._database.query(
            "SELECT turn_key, feedback_score, created_at FROM events SEMI JOIN asked USING (turn_key)"
            " WHERE kind = 'feedback' AND feedback_score IS NOT NULL ORDER BY created_at, event_id",
            asked=pa.table({"turn_key": pa.array(keys, KEY)}),
        )
