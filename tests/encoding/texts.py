"""Texts that a log really holds, ordinary and odd, and every encoder to try them on."""

from __future__ import annotations

import tomllib
from pathlib import Path

UTTERANCES = Path(__file__).parents[2] / "sample_data" / "utterances"

#: Each name says what is odd about the text.
ODD = {
    "empty": "",
    "only white space": " \t\n  ",
    "one letter": "a",
    "emoji": "👩‍👩‍👧‍👦 🎉🎉 où est mon colis ?",
    "control characters": "where\x00is\x07my\x1fparcel",
    "half a surrogate pair": "where is \ud83d my parcel",
    "replacement character": "where is � my parcel",
    "right to left": "אין לי חשמל",
    "no spaces": "私の荷物はどこですか",
    "a hundred thousand characters": "where is my parcel " * 5_300,
    "one endless word": "x" * 100_000,
    "many combining marks": "e" + "\u0301" * 500,
    "private use": "\ue000\uf8ff\U0010fffd",
}

#: Pairs that share words, so that an encoder without meaning sees them as well.
NEAR = [
    ("where is my parcel", "where is my parcel now?"),
    ("how do I reset my password", "I want to reset my password"),
    ("cancel my subscription please", "please cancel the subscription"),
    ("the meter shows a wrong reading", "my meter shows the wrong reading"),
]

#: Pairs that share the meaning and hardly a word.
MEANING = [
    ("my bill is far too high", "why was I charged so much this month"),
    ("there is no electricity in the house", "the power is out at home"),
    ("I am moving to a new flat", "we will change our address next week"),
]


def utterances(count: int) -> list[str]:
    """The first of our own sample utterances, from every file in turn; fewer when there are fewer."""
    lists: list[list[str]] = []
    for path in sorted(UTTERANCES.glob("*.toml")):
        lists.append(_texts(tomllib.loads(path.read_text("utf-8"))))
    mixed = [texts[row] for row in range(max(map(len, lists), default=0)) for texts in lists if row < len(texts)]
    return list(dict.fromkeys(mixed))[:count]


def _texts(value: object) -> list[str]:
    """Every text in the lists of a document, whatever its layout."""
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    if isinstance(value, list):
        return [text for part in value for text in ([part] if isinstance(part, str) else _texts(part))]
    return []
