"""Turns that rules keep out of the traffic, marked with their rule: table `kept_out`.

The turns stay as they are. Marks are made anew before each analysis, by the rules of that day, and for new turns before they
get a topic; everything that reads traffic leaves marked turns out (`monitor.store.turns.traffic`). So what a published
analysis says, and what is counted beside it, is about the same turns, whatever the rules become.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from monitor.keep_out import Condition, KeepOut
from monitor.records import Window
from monitor.store.database import Database
from monitor.store.rows import KEY

__all__ = ["KeptOut", "RuleCount"]

#: A user or a conversation is an eval run when it said so many different eval items, and mostly those. Everybody says one.
_FEWEST_ITEMS = 5
_MOSTLY = 0.5

_TRIMMED = "trim(turns.user_text, ' \t\n\r')"
_ITEMS = "SELECT DISTINCT trim(prompt, ' \t\n\r') AS text FROM eval_items"

#: A sender is a user, or a conversation: a person who runs evals also asks on their own.
_EVAL_RUNS = f"""
WITH said AS (
    SELECT turn_key, coalesce(tenant, '') AS tenant, user_id, conversation_key, {_TRIMMED} AS text
    FROM turns WHERE {_TRIMMED} IN ({_ITEMS})
), users AS (
    SELECT tenant, user_id, count(*) AS items FROM said WHERE user_id IS NOT NULL
    GROUP BY tenant, user_id HAVING count(DISTINCT text) >= {_FEWEST_ITEMS}
), talks AS (
    SELECT conversation_key, count(*) AS items FROM said
    GROUP BY conversation_key HAVING count(DISTINCT text) >= {_FEWEST_ITEMS}
), running_users AS (
    SELECT u.tenant, u.user_id FROM users u
    JOIN turns ON coalesce(turns.tenant, '') = u.tenant AND turns.user_id = u.user_id
    GROUP BY u.tenant, u.user_id HAVING any_value(u.items) > {_MOSTLY} * count(*)
), running_talks AS (
    SELECT t.conversation_key FROM talks t JOIN turns USING (conversation_key)
    GROUP BY t.conversation_key HAVING any_value(t.items) > {_MOSTLY} * count(*)
)
SELECT turn_key FROM said SEMI JOIN running_users USING (tenant, user_id)
UNION SELECT turn_key FROM said SEMI JOIN running_talks USING (conversation_key)
"""


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many turns a rule keeps out. A turn that fits several counts for the first."""

    rule: str
    turns: int


class KeptOut:
    """Mark turns, and count those that are."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def mark(self, rules: Sequence[KeepOut]) -> None:
        """Mark the turns that the rules keep out, and no others. Turns whose mark stays are not written."""
        if not rules and not self._database.value("SELECT count(*) FROM kept_out"):
            return
        with self._database.transaction(journaled=False):  # made anew by the next analysis
            wanted = self._fitting(rules)
            self._database.execute(
                "DELETE FROM kept_out WHERE NOT EXISTS"
                " (SELECT 1 FROM wanted w WHERE w.turn_key = kept_out.turn_key AND w.rule = kept_out.rule)",
                wanted=wanted,
            )
            self._add(wanted)

    def mark_new(self, rules: Sequence[KeepOut], turns: pa.Table) -> int:
        """Mark those of the given turns (turn_key) that the rules keep out; how many were not marked before."""
        if not rules or not turns.num_rows:
            return 0
        with self._database.transaction(journaled=False):  # made anew by the next analysis
            return self._add(self._fitting(rules, turns.select(["turn_key"])))

    def by_rule(self, window: Window | None = None) -> list[RuleCount]:
        """How many turns of the window each rule keeps out, the most first."""
        joined, parameters = "", list[object]()
        if window is not None:
            joined = " JOIN turns USING (turn_key) WHERE created_at >= ? AND created_at < ?"
            parameters = [window.start, window.end]
        found = self._database.query(
            f"SELECT rule, count(DISTINCT turn_key) AS turns FROM kept_out{joined} GROUP BY rule ORDER BY turns DESC, rule",
            parameters,
        ).to_pylist()
        return [RuleCount(row["rule"], row["turns"]) for row in found]

    def _add(self, wanted: pa.Table) -> int:
        if not wanted.num_rows:
            return 0
        return self._database.execute(
            "INSERT INTO kept_out (turn_key, rule)"
            " SELECT turn_key, rule FROM wanted ANTI JOIN (SELECT turn_key FROM kept_out) USING (turn_key)",
            wanted=wanted,
        )

    def _fitting(self, rules: Sequence[KeepOut], only: pa.Table | None = None) -> pa.Table:
        """turn_key, rule of every turn, or of the given ones, that a rule keeps out."""
        if not rules:
            return pa.table({"turn_key": pa.array([], KEY), "rule": pa.array([], pa.string())})
        tables: dict[str, pa.Table] = {} if only is None else {"asked": only}
        if any(rule.eval_runs for rule in rules):
            tables["eval_runs"] = self._eval_runs(only)
        cases, parameters = [], list[object]()
        for rule in rules:
            parts, values = zip(*map(_fits, rule.conditions), strict=True) if rule.conditions else ((), ())
            here = ["turns.turn_key IN (SELECT turn_key FROM eval_runs)"] if rule.eval_runs else []
            cases.append(f"WHEN {' AND '.join([*parts, *here])} THEN ?")
            parameters += [*(one for group in values for one in group), str(rule)]
        narrowed = "" if only is None else " SEMI JOIN asked USING (turn_key)"
        return self._database.query(
            f"SELECT turn_key, rule FROM (SELECT turn_key, CASE {' '.join(cases)} END AS rule FROM turns{narrowed})"
            " WHERE rule IS NOT NULL",
            parameters,
            **tables,
        )

    def _eval_runs(self, only: pa.Table | None) -> pa.Table:
        """Keys of the turns of eval runs; of none when none of the given turns says an eval item, which is cheap to see."""
        if only is not None:
            some = self._database.query(
                f"SELECT turn_key FROM turns SEMI JOIN asked USING (turn_key) WHERE {_TRIMMED} IN ({_ITEMS}) LIMIT 1",
                asked=only,
            )
            if not some.num_rows:
                return some
        return self._database.query(_EVAL_RUNS)


def _fits(condition: Condition) -> tuple[str, list[object]]:
    """SQL over `turns`, and its parameters."""
    column, before = f"turns.{condition.field}", list[object]()
    if condition.path:
        # A JSON pointer, in which only ~ and / are special.
        column = "json_extract_string(turns.metadata, ?)"
        before = ["".join("/" + part.replace("~", "~0").replace("/", "~1") for part in condition.path)]
    parts, parameters = [], list[object]()
    for pattern in condition.patterns:
        parts.append(f"{column} LIKE ? ESCAPE '\\'" if "*" in pattern else f"{column} = ?")
        parameters += [*before, _like(pattern) if "*" in pattern else pattern]
    return f"({' OR '.join(parts)})", parameters


def _like(pattern: str) -> str:
    """
    >>> _like("eval_100%-*")
    'eval\\\\_100\\\\%-%'
    """
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%")
