"""Watch-lists: phrases and patterns that somebody wants to hear of, whoever says them.

A list has a name, and phrases, patterns or both; a turn is on it when its user's message holds one of them. A phrase fits whole
words, whatever their case and the spaces between them. A pattern is a regular expression of RE2, which the store runs in
time that grows with the text and with nothing else: no pattern can hang offmap.

>>> [one] = parse_lists([{"name": "refund", "phrases": ["money back"], "patterns": ["refund(s|ed)?"]}])
>>> one.name, one.phrases, one.patterns
('refund', ('money back',), ('refund(s|ed)?',))
>>> parse_lists([{"name": "refund", "phrase": "money back"}])
Traceback (most recent call last):
...
ValueError: a list of watch-lists; watch-list 1 has the unknown field phrase; did you mean phrases?
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["WatchList", "parse_lists"]

_EXAMPLE = '[{name = "refund", phrases = ["money back"], patterns = ["refund(s|ed)?"]}]'
_FIELDS = ("name", "phrases", "patterns")
#: Of a word: letters, their marks, digits and what joins them, in every script.
_WORD = r"[\pL\pM\pN_]"
_LONGEST = 1_000


@dataclass(frozen=True, slots=True)
class WatchList:
    """One list; `expression` is what RE2 looks for."""

    name: str
    phrases: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def expression(self) -> str:
        """All of it as one regular expression.

        >>> WatchList("x", ("c++ help",)).expression
        '(?is)(?:(?:^|[^\\\\pL\\\\pM\\\\pN_])c\\\\+\\\\+\\\\s+help(?:$|[^\\\\pL\\\\pM\\\\pN_]))'
        """
        fitting = [rf"(?:^|{_no(_WORD)}){_phrase(one)}(?:$|{_no(_WORD)})" for one in self.phrases]
        return _any((*fitting, *self.patterns))

    @property
    def phrase_expression(self) -> str | None:
        """The phrases alone, between a group for what stands before and one for what stands after; None without phrases."""
        if not self.phrases:
            return None
        said = "|".join(_phrase(one) for one in self.phrases)
        return rf"(?is)(^|{_no(_WORD)})({said})($|{_no(_WORD)})"

    @property
    def pattern_expression(self) -> str | None:
        """The patterns alone; None without patterns."""
        return _any(self.patterns) if self.patterns else None


def parse_lists(value: object) -> tuple[WatchList, ...]:
    """Lists from TOML's types, or from a variable's text; `ValueError` says what it must be, and which list is not."""
    if isinstance(value, str):
        value = _read(value)
    if not isinstance(value, list | tuple):
        raise ValueError(f"a list of watch-lists, such as {_EXAMPLE}")
    found = tuple(
        one if isinstance(one, WatchList) else _list(one, f"a list of watch-lists; watch-list {number}")
        for number, one in enumerate(value, 1)
    )
    twice = [name for name, count in Counter(one.name for one in found).items() if count > 1]
    if twice:
        raise ValueError(f"a list of watch-lists with names of their own; two are called {twice[0]!r}")
    return found


def _read(text: str) -> object:
    if not text.strip():
        return ()
    try:
        document = tomllib.loads(f"lists = {text}")
    except tomllib.TOMLDecodeError:
        raise ValueError(f"a list of watch-lists as TOML writes it, such as {_EXAMPLE}") from None
    return document["lists"] if len(document) == 1 else None


def _list(table: object, where: str) -> WatchList:
    if not isinstance(table, Mapping):
        raise ValueError(f"{where} is {table!r}, and is a table such as {_EXAMPLE[1:-1]}")
    for field in table:
        if field not in _FIELDS:
            found = difflib.get_close_matches(str(field), _FIELDS, n=1, cutoff=0.5)
            hint = f"did you mean {found[0]}?" if found else f"there are {', '.join(_FIELDS)}"
            raise ValueError(f"{where} has the unknown field {field}; {hint}")
    name = table.get("name")
    if not isinstance(name, str) or not name.strip():
        raise ValueError(f"{where} has no name")
    phrases, patterns = (_texts(table.get(field, ()), f"{where} has {field}") for field in _FIELDS[1:])
    if not phrases and not patterns:
        raise ValueError(f"{where} ({name}) has neither phrases nor patterns")
    return WatchList(name.strip(), phrases, patterns)


def _texts(value: object, where: str) -> tuple[str, ...]:
    listed = value if isinstance(value, list | tuple) else [value]
    if not all(isinstance(one, str) and one.strip() and len(one) <= _LONGEST for one in listed):
        raise ValueError(f"{where} = {value!r}, and needs texts of at most {_LONGEST:,} characters")
    return tuple(str(one) for one in listed)


def _any(expressions: Sequence[str]) -> str:
    return "(?is)" + "|".join(f"(?:{one})" for one in expressions)


def _phrase(text: str) -> str:
    r"""The phrase's words, with any white space between them."""
    return r"\s+".join(re.sub(r"([^\w\s])", r"\\\1", word) for word in text.split())


def _no(letters: str) -> str:
    return letters.replace("[", "[^", 1)
