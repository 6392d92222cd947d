"""Rules that keep turns out of the traffic: staging, test accounts, the product's own eval runs.

A rule is a table of fields, and keeps out the turns that fit all of them. A value is a text where `*` stands for any text, or
a list of such texts, of which one must fit; `metadata` holds further fields.

>>> rules = parse_rules([{"app": "playground"}, {"user_id": ["eval-*", "ci"], "metadata": {"run": "nightly"}}])
>>> [str(rule) for rule in rules]
['app = "playground"', 'user_id = ["eval-*", "ci"], metadata.run = "nightly"']
>>> parse_rules([{"enviroment": "staging"}])
Traceback (most recent call last):
...
ValueError: a list of rules; rule 1 has the unknown field enviroment; did you mean environment?
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["FIELDS", "Condition", "KeepOut", "parse_rules"]

#: Fields of a turn that a rule may name, beside `metadata` and `eval_runs`.
FIELDS = (
    *("app", "environment", "tenant", "user_id", "conversation_id"),
    *("model", "provider", "prompt_version", "prompt_template"),
)
_EXAMPLE = '[{app = "playground"}, {user_id = "eval-*"}, {eval_runs = true}]'
_BARE = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Condition:
    """One field that must fit one of the patterns; `path` leads to a value inside `metadata`."""

    field: str
    path: tuple[str, ...]
    patterns: tuple[str, ...]

    def __str__(self) -> str:
        name = ".".join([self.field, *(part if _BARE.fullmatch(part) else _quoted(part) for part in self.path)])
        texts = [_quoted(pattern) for pattern in self.patterns]
        return f"{name} = {texts[0] if len(texts) == 1 else '[' + ', '.join(texts) + ']'}"


@dataclass(frozen=True, slots=True)
class KeepOut:
    """One rule; its text is what stands between the braces in `offmap.toml`.

    With `eval_runs` a turn must also be a part of an eval run: it says what an eval item says, and so do most turns of its
    user or its conversation.
    """

    conditions: tuple[Condition, ...]
    eval_runs: bool = False

    def __str__(self) -> str:
        return ", ".join([*map(str, self.conditions), *(["eval_runs = true"] if self.eval_runs else [])])


def parse_rules(value: object) -> tuple[KeepOut, ...]:
    """Rules from TOML's types, or from a variable's text; `ValueError` says what it must be, and which rule is not."""
    if isinstance(value, str):
        value = _read(value)
    if not isinstance(value, list | tuple):
        raise ValueError(f"a list of rules, such as {_EXAMPLE}")
    return tuple(
        rule if isinstance(rule, KeepOut) else _rule(rule, f"a list of rules; rule {number}")
        for number, rule in enumerate(value, 1)
    )


def _read(text: str) -> object:
    if not text.strip():
        return ()
    try:
        document = tomllib.loads(f"rules = {text}")
    except tomllib.TOMLDecodeError:
        raise ValueError(f"a list of rules as TOML writes it, such as {_EXAMPLE}") from None
    return document["rules"] if len(document) == 1 else None


def _rule(table: object, where: str) -> KeepOut:
    if not isinstance(table, Mapping) or not table:
        raise ValueError(f'{where} is {table!r}, and a rule is a table of fields such as {{app = "playground"}}')
    conditions: list[Condition] = []
    eval_runs = False
    for field, value in table.items():
        if field == "eval_runs":
            if value is not True:
                raise ValueError(
                    f"{where} has eval_runs = {value!r}: it can only be true; leave the rule out otherwise"
                )
            eval_runs = True
        elif field == "metadata":
            if not isinstance(value, Mapping) or not value:
                raise ValueError(
                    f'{where} has metadata = {value!r}, and needs its fields, as in {{metadata = {{run = "x"}}}}'
                )
            conditions += _inside(value, (), where)
        elif field in FIELDS:
            conditions.append(Condition(field, (), _patterns(value, f"{where} has {field}")))
        else:
            found = difflib.get_close_matches(str(field), [*FIELDS, "metadata", "eval_runs"], n=1, cutoff=0.5)
            hint = f"did you mean {found[0]}?" if found else f"there are {', '.join(FIELDS)}, metadata, eval_runs"
            raise ValueError(f"{where} has the unknown field {field}; {hint}")
    return KeepOut(tuple(conditions), eval_runs)


def _inside(table: Mapping[str, Any], path: tuple[str, ...], where: str) -> Iterator[Condition]:
    for name, value in table.items():
        here = (*path, str(name))
        if isinstance(value, Mapping) and value:
            yield from _inside(value, here, where)
        else:
            yield Condition("metadata", here, _patterns(value, f"{where} has metadata.{'.'.join(here)}"))


def _patterns(value: object, where: str) -> tuple[str, ...]:
    """Texts to compare with. A number or a flag is compared as JSON writes it."""
    listed = value if isinstance(value, list | tuple) else [value]
    if not listed or not all(isinstance(one, str | int | float) and one != "" for one in listed):
        raise ValueError(f"{where} = {value!r}, and needs a text, or a list of texts of which one must fit")
    return tuple(one if isinstance(one, str) else json.dumps(one) for one in listed)


def _quoted(text: str) -> str:
    # What JSON escapes, TOML's basic strings escape alike; TOML forbids one more control character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
