"""The language of turns whose log states none, as it was found: table `turn_languages`.

What the log states stands in `turns.language` and always goes before; whoever asks for a language asks for both
(`spoken`). Rows are made anew by each analysis, and for new turns when they get a topic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.store.database import Database
from monitor.store.forgotten import still_there
from monitor.store.rows import KEY

__all__ = ["TurnLanguages", "spoken"]

#: A stated language without its region: "en-US" is asked for as "en".
_STATED = "lower(split_part(replace({table}.language, '_', '-'), '-', 1))"


def spoken(languages: Sequence[str], table: str = "turns") -> tuple[str, list[Any]]:
    """The condition that picks turns in one of the languages, stated or found, and its parameters."""
    asked = [one.replace("_", "-").split("-")[0].lower() for one in languages]
    return (
        f"(list_contains(?::VARCHAR[], {_STATED.format(table=table)}) OR {table}.language IS NULL AND {table}.turn_key IN"
        " (SELECT turn_key FROM turn_languages WHERE list_contains(?::VARCHAR[], language)))",
        [asked, asked],
    )


class TurnLanguages:
    """Note and count languages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(
        self, keys: NDArray[np.uint64], languages: Sequence[str | None], confidence: NDArray[np.floating[Any]]
    ) -> int:
        """What was found of turns, in place of what was found before; None takes that away, and nothing is noted of turns that
        were forgotten meanwhile. How many rows changed."""
        columns: dict[str, Any] = {
            "turn_key": pa.array(keys, KEY),
            "language": pa.array(languages, pa.string()),
            "confidence": pa.array(confidence.astype(np.float32)),
        }
        with self._database.transaction(journaled=False):  # made anew by the next analysis
            found = still_there(self._database, pa.table(columns))
            # Most stay as they are: only what differs is written.
            gone = self._database.execute(
                "DELETE FROM turn_languages WHERE turn_key IN (SELECT turn_key FROM found) AND NOT EXISTS"
                " (SELECT 1 FROM found f WHERE f.turn_key = turn_languages.turn_key AND f.language = turn_languages.language)",
                found=found,
            )
            new = self._database.execute(
                "INSERT INTO turn_languages (turn_key, language, confidence) SELECT turn_key, language, confidence FROM found"
                " ANTI JOIN (SELECT turn_key FROM turn_languages) USING (turn_key) WHERE language IS NOT NULL",
                found=found,
            )
        return gone + new

    def of(self, keys: Sequence[int]) -> dict[int, str]:
        """What was found of the given turns, by key."""
        asked = pa.table({"turn_key": pa.array(list(keys), KEY)})
        rows = self._database.query(
            "SELECT turn_key, language FROM turn_languages SEMI JOIN asked USING (turn_key)", asked=asked
        ).to_pylist()
        return {row["turn_key"]: row["language"] for row in rows}

    def counts(self, limit: int = 1000) -> dict[str, int]:
        """Turns of each language, stated or found, the most first."""
        stated = _STATED.format(table="turns")
        rows = self._database.query(
            "SELECT language, count(*) AS turns FROM ("
            f"SELECT coalesce({stated}, l.language) AS language FROM turns LEFT JOIN turn_languages l USING (turn_key)"
            ") WHERE language IS NOT NULL AND language <> '' GROUP BY language ORDER BY turns DESC, language LIMIT ?",
            [limit],
        ).to_pylist()
        return {row["language"]: row["turns"] for row in rows}
