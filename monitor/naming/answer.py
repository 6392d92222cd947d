"""What is taken of a model's answer: names that are names, and nothing that a message may have talked it into.

A name stands on pages, in alerts and in files, and a person who wrote to the product may have dictated it. So it must be one
short line of letters without an address, without markup and without a secret, and belong to one topic alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from monitor.redaction import redact

__all__ = ["Verdict", "judge", "read_names"]

#: Characters and words of a name.
_LONGEST, _MOST_WORDS = 60, 8
#: Characters of an answer that are looked at: names of a few topics have some hundred.
_MOST = 100_000

#: Some models think aloud first, and some wrap what they say.
_THOUGHT = re.compile(r"\A\s*<think>.*?</think>", re.DOTALL)
_WRAPPED = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL | re.IGNORECASE)

#: What makes an address: a scheme, `www.`, a host with its ending, a mail, a path.
_ADDRESS = re.compile(
    r"//|\bwww\b|\bhttps?\b|\b(?:javascript|data|mailto|file|tel)\s*:|@|\w[.。．]\w{2,}|(?:\d{1,3}\.){3}\d",
    re.IGNORECASE,
)
#: What acts in HTML, Markdown, Slack, a spreadsheet or a terminal.
_MARKUP = re.compile(r"[<>\[\]{}|\\`*_~^#=$\"]|&\w+;|&#")


@dataclass(frozen=True, slots=True)
class Verdict:
    """A topic's name, or None and why it has none."""

    topic_id: str
    name: str | None
    why: str = ""


def read_names(content: str) -> dict[str, list[Any]] | None:
    """What the answer says of each id, however often; None when it is no answer.

    >>> read_names('```json\\n{"names": [{"id": "t1", "name": "Late parcels"}]}\\n```')
    {'t1': ['Late parcels']}
    """
    text = _THOUGHT.sub("", content[:_MOST])
    wrapped = _WRAPPED.match(text)
    try:
        listed = json.loads(wrapped[1] if wrapped else text)["names"]
        found: dict[str, list[Any]] = {}
        for one in listed:
            if isinstance(one["id"], str):
                found.setdefault(one["id"], []).append(one.get("name"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    return found


def judge(
    answer: Mapping[str, Sequence[Any]], asked: Sequence[tuple[str, int]], taken: Set[tuple[int, str]], *, mark: str
) -> list[Verdict]:
    """A verdict on each topic that was asked for, by id and level. `taken` are names by level, in small letters, that others
    have; of two topics that are called the same the first has the name. Ids that were not asked for are passed over."""
    used = set(taken)
    verdicts = []
    for topic_id, level in asked:
        given = answer.get(topic_id, ())
        name, why = _judged(given, mark)
        if name is not None and (level, name.casefold()) in used:
            name, why = None, "another topic is called so"
        if name is not None:
            used.add((level, name.casefold()))
        verdicts.append(Verdict(topic_id, name, why))
    return verdicts


def _judged(given: Sequence[Any], mark: str) -> tuple[str | None, str]:
    if len(given) != 1:
        return None, "named twice" if given else "left out"
    name = given[0].strip(" ") if isinstance(given[0], str) else ""
    if not (1 <= len(name) <= _LONGEST and name.isprintable() and len(name.split()) <= _MOST_WORDS):
        return None, "no short line"
    if not name[0].isalnum() or not any(letter.isalpha() for letter in name):
        return None, "no words"
    if _ADDRESS.search(name) or _MARKUP.search(name) or mark in name:
        return None, "an address or markup"
    if redact(name) != name:
        return None, "a secret"
    return name, ""
