"""What is made of many turns and outlives each of them: lists of examples, and labels, which are made of people's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from monitor.store.database import Database
from monitor.store.rows import values

__all__ = ["LostWords", "Remains"]

#: Rows that list turn keys in JSON: table, its id columns, the column.
_LISTS = (
    ("topics", ("atlas_id", "topic_id"), "representatives"),
    ("gaps", ("report_id", "gap_id"), "examples"),
    ("alert_subjects", ("kind", "subject"), "members"),
    ("alerts", ("alert_id",), "body"),
)
#: Where labels are, alone or inside of something.
_LABELS = (
    ("topics", ("atlas_id", "topic_id"), "label"),
    ("gaps", ("report_id", "gap_id"), "label"),
    ("alerts", ("alert_id",), "title"),
    ("alerts", ("alert_id",), "body"),
    ("drift_reports", ("report_id",), "verdict"),
    ("drift_reports", ("report_id",), "body"),
    ("exports", ("export_id",), "manifest"),
    ("decisions", ("decision_id",), "label"),
    ("decisions", ("decision_id",), "name"),
    # Of a gap: reasons and notes may quote what was said. Owners and tickets quote nothing.
    ("gap_decisions", ("decision_id",), "words"),
    ("marks", ("mark_id",), "why"),
)
_JSON = {"body", "manifest"}
#: What a job's page reads, and is no sentence: ids, and where a file is.
_NO_SENTENCES = {"id", "run", "path"}

_WORD = re.compile(r"\w[\w'’-]*\w")
#: A model writes "Ann's parcel" where "ann" was said.
_PART = re.compile(r"\w{2,}")
#: Texts that are looked through for a word before all are: most words are in there.
_SAMPLE, _MOST = 20_000, 50_000
#: What stands in a label where a forgotten word stood.
_GAP = "…"


@dataclass(frozen=True, slots=True)
class LostWords:
    """Words that nobody wrote any more; None for no word."""

    pattern: re.Pattern[str] | None

    def among(self, phrase: str) -> bool:
        return self.pattern is not None and self.pattern.search(phrase) is not None

    def out_of(self, phrase: str) -> str:
        """The phrase with a gap for each."""
        return phrase if self.pattern is None else self.pattern.sub(_GAP, phrase)


class Remains:
    """Takes turns, and words that nobody else wrote, out of what stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def forget_keys(self, gone: Set[int]) -> None:
        """Out of every list of turn keys. A model's name that was made from one of their texts goes as a whole: it may say in
        other words what they said."""
        if not gone:
            return
        for row in self._database.query("SELECT job_id, parameters FROM jobs WHERE kind = 'why'").to_pylist():
            if int(orjson.loads(row["parameters"])["turn"]) in gone:
                self._database.execute("DELETE FROM jobs WHERE job_id = ?", [row["job_id"]])
        rows = self._database.query("SELECT atlas_id, topic_id, examples FROM topic_names").to_pylist()
        self._unname(
            {(row["atlas_id"], row["topic_id"]) for row in rows if not gone.isdisjoint(orjson.loads(row["examples"]))}
        )
        for table, ids, column in _LISTS:
            self._change(table, ids, column, lambda text: _without_keys(text, gone))
        self._change("jobs", ("job_id",), "result", _without_sentences)

    def forget_words(self, texts: Iterable[str]) -> None:
        """A word of these texts that no turn has any more leaves the labels, and what quotes a label. Call it when the
        texts' turns are deleted."""
        listed = list(texts)
        said = {word for text in listed for word in _words(text)}
        if not said:
            return
        self._forget_parts({part for text in listed for part in _parts(text)})
        labels, keywords = self._labels(), self._keywords()
        lost = self._lost(said & {word for phrase in labels | keywords for word in _words(phrase)})
        if not lost:
            return
        pattern = _pattern(lost)
        self._unname(self._made_of(pattern))
        self._change("topics", ("atlas_id", "topic_id"), "keywords", lambda text: _without_keywords(text, pattern))
        self._change("drift_reports", ("report_id",), "body", lambda text: _without_terms(text, pattern))
        changed = {label: new for label in labels if (new := pattern.sub(_GAP, label)) != label}
        for table, ids, column in _LABELS:
            self._change(table, ids, column, partial(_renamed, changed=changed, json=column in _JSON))

    def lost_words(self, phrases: Iterable[str], texts: Iterable[str]) -> LostWords:
        """Words of these texts that no turn has any more, among those of the phrases. Call it when their turns are deleted, for
        what was made of them before and is not stored yet."""
        said = {word for text in texts for word in _words(text)}
        lost = self._lost(said & {word for phrase in phrases for word in _words(phrase)}) if said else set()
        return LostWords(_pattern(lost) if lost else None)

    def _forget_parts(self, said: set[str]) -> None:
        """A model's name that holds one of these, which no turn has any more, goes."""
        rows = self._database.query(
            "SELECT atlas_id, topic_id, name FROM topic_names WHERE name IS NOT NULL"
        ).to_pylist()
        lost = self._lost(said & {part for row in rows for part in _parts(row["name"])})
        self._unname({(row["atlas_id"], row["topic_id"]) for row in rows if lost & _parts(row["name"])})

    def _made_of(self, pattern: re.Pattern[str]) -> set[tuple[str, str]]:
        """Topics, by atlas and id, whose label or keywords hold it: a model saw them."""
        rows = self._database.query("SELECT atlas_id, topic_id, label, keywords FROM topics").to_pylist()
        return {
            (row["atlas_id"], row["topic_id"])
            for row in rows
            if pattern.search(row["label"] or "") or any(map(pattern.search, orjson.loads(row["keywords"] or "[]")))
        }

    def _unname(self, topics: set[tuple[str, str]]) -> None:
        """Take a model's names from topics, by atlas and id; what quotes one says the label that was found instead. The model
        is asked again when the topics are named the next time."""
        if not topics:
            return
        rows = self._database.query(
            "SELECT n.atlas_id, n.topic_id, n.name, t.label FROM topic_names n"
            " LEFT JOIN topics t ON t.atlas_id = n.atlas_id AND t.topic_id = n.topic_id"
        ).to_pylist()
        gone = [row for row in rows if (row["atlas_id"], row["topic_id"]) in topics]
        for row in gone:
            self._database.execute(
                "DELETE FROM topic_names WHERE atlas_id = ? AND topic_id = ?", [row["atlas_id"], row["topic_id"]]
            )
        changed = {row["name"]: row["label"] or _GAP for row in gone if row["name"]}
        if not changed:
            return
        for table, ids, column in _LABELS:
            if table not in ("topics", "marks") and (table, column) != (
                "decisions",
                "name",
            ):  # there it is no quotation
                self._change(table, ids, column, partial(_renamed, changed=changed, json=column in _JSON))

    def _change(self, table: str, ids: tuple[str, ...], column: str, change: Callable[[str], str]) -> None:
        rows = self._database.query(f"SELECT {', '.join(ids)}, {column} FROM {table} WHERE {column} IS NOT NULL")
        for row in rows.to_pylist():
            if (text := change(row[column])) != row[column]:
                self._database.execute(
                    f"UPDATE {table} SET {column} = ? WHERE {' AND '.join(f'{name} = ?' for name in ids)}",
                    [text, *(row[name] for name in ids)],
                )

    def _labels(self) -> set[str]:
        """As they stand anywhere."""
        found: set[str] = set()
        for table in ("topics", "gaps", "decisions"):
            found.update(self._column(table, "label"))
        found.update(self._column("decisions", "name"))
        found.update(self._column("gap_decisions", "words"))
        found.update(self._column("marks", "why"))
        # "Gap: a label". What stands before is our own.
        found.update(title.partition(": ")[2] for title in self._column("alerts", "title"))
        for text in self._column("drift_reports", "body"):
            found.update(row["label"] for row in orjson.loads(text).get("topics", ()) if row.get("label"))
        found.update(str(orjson.loads(text).get("label", "")) for text in self._column("exports", "manifest"))
        return found - {""}

    def _keywords(self) -> set[str]:
        """Words that stand alone: those of topics, and those that carry a change."""
        found = {word for text in self._column("topics", "keywords") for word in orjson.loads(text)}
        reports = self._column("drift_reports", "body")
        return found | {row["term"] for text in reports for row in orjson.loads(text).get("terms", ())}

    def _column(self, table: str, column: str) -> list[str]:
        return values(self._database.query(f"SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL"), 0)

    def _lost(self, words: set[str]) -> set[str]:
        """Those that are in no turn."""
        if not words:
            return set()
        some = self._database.query(f"SELECT user_text FROM turns LIMIT {_SAMPLE}")
        left = words - {word for text in values(some, 0) for word in _words(text)}
        if left:
            # Of more texts than this that hold a word inside another none is worth to be looked for.
            rest = self._database.query(
                f"SELECT user_text FROM turns WHERE regexp_matches(lower(user_text), ?) LIMIT {_MOST}",
                ["|".join(re.escape(word) for word in sorted(left))],
            )
            left -= {word for text in values(rest, 0) for word in _words(text)}
        return left


def _pattern(lost: Set[str]) -> re.Pattern[str]:
    """Each of the words as a whole."""
    return re.compile(r"(?<![\w'’-])(?:" + "|".join(map(re.escape, sorted(lost))) + r")(?![\w'’-])", re.IGNORECASE)


def _words(text: str) -> Iterator[str]:
    return (word.lower() for word in _WORD.findall(text))


def _parts(text: str) -> set[str]:
    return {part.lower() for part in _PART.findall(text)}


def _without_keys(text: str, gone: Set[int]) -> str:
    found: Any = orjson.loads(text)
    listed = found.get("examples", []) if isinstance(found, dict) else found
    kept = [key for key in listed if key not in gone]
    if len(kept) == len(listed):
        return text
    return orjson.dumps({**found, "examples": kept} if isinstance(found, dict) else kept).decode()


def _without_sentences(text: str) -> str:
    """What is kept of a job without the verdicts that earlier versions kept: they quote labels, perhaps of topics that no
    table has any more. Pages read none."""
    found = orjson.loads(text)
    kept = {name: value for name, value in found.items() if not isinstance(value, str) or name in _NO_SENTENCES}
    return text if len(kept) == len(found) else orjson.dumps(kept).decode()


def _without_keywords(text: str, lost: re.Pattern[str]) -> str:
    found = orjson.loads(text)
    kept = [word for word in found if not lost.search(word)]
    return text if len(kept) == len(found) else orjson.dumps(kept).decode()


def _without_terms(text: str, lost: re.Pattern[str]) -> str:
    """A comparison without the words; what they carried is that of all other words then."""
    found = orjson.loads(text)
    terms = found.get("terms", [])
    kept = [row for row in terms if not lost.search(row["term"])]
    return text if len(kept) == len(terms) else orjson.dumps({**found, "terms": kept}).decode()


def _renamed(text: str, changed: Mapping[str, str], *, json: bool) -> str:
    """The text with the labels replaced, the longest first; in JSON in its texts, and never in a name of ours."""
    if not json:
        for label in sorted(changed, key=len, reverse=True):
            # Escaped: a label is text, and no template.
            text = re.sub(rf"(?<!\w){re.escape(label)}(?!\w)", changed[label].replace("\\", r"\\"), text)
        return text
    before = orjson.loads(text)
    after = _mapped(before, lambda one: _renamed(one, changed, json=False))
    return text if after == before else orjson.dumps(after).decode()


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(one, change) for one in value]
    return {name: _mapped(one, change) for name, one in value.items()} if isinstance(value, dict) else value
