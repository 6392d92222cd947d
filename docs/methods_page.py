"""What docs/methods.md owes an engineer: of each method what it means, its formula, its defaults and where they come from, what
it misses, and its source; and settings that exist, with the defaults that they have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from monitor.settings import Settings, describe

__all__ = ["METHODS", "OWED", "incomplete_methods", "methods_problems", "wrong_settings"]

#: The page, from the root of the checkout.
METHODS = "docs/methods.md"

#: The bold heads of the paragraphs that every section has, in this order.
OWED = ("Meaning", "Formula", "Default", "Misses", "Source")


def incomplete_methods(text: str) -> Iterator[str]:
    """Sections (`##`) of the page that lack a paragraph which begins with one of the heads, have two, or another order."""
    for section in re.split(r"^## +", _without_code(text), flags=re.MULTILINE)[1:]:
        name = section.partition("\n")[0].strip()
        heads = [head for head in re.findall(r"^\*\*([^*\n]+)\.\*\* +\S", section, re.MULTILINE) if head in OWED]
        absent = [head for head in OWED if head not in heads]
        yield from (f"{METHODS}: {name}: no paragraph begins with **{head}.**" for head in absent)
        yield from (f"{METHODS}: {name}: two begin with **{head}.**" for head in OWED if heads.count(head) > 1)
        if not absent and len(heads) == len(OWED) and heads != list(OWED):
            yield f"{METHODS}: {name}: the order is {', '.join(OWED)}, and not {', '.join(heads)}"


def wrong_settings(text: str) -> Iterator[str]:
    """Settings that the page names and that do not exist, or whose default is not the one word in brackets behind the name."""
    defaults = {one.name: _shown(one.value) for one in describe(Settings(), {})}
    sections = {name.partition(".")[0] for name in defaults}
    for name, said in re.findall(r"`([a-z_]+\.[a-z_]+)`(?: \(((?:[^\s(),;:]|,(?=\d))+)[),;:])?", text):
        if name not in defaults:
            if name.partition(".")[0] in sections:
                yield f"{METHODS}: there is no setting {name}"
        elif said and not _same(said, defaults[name]):
            yield f"{METHODS}: `{name}` ({said}): its default is {defaults[name]}"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _same(said: str, default: str) -> bool:
    try:
        return float(said.replace(",", "")) == float(default)
    except ValueError:
        return said == default


def _without_code(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def methods_problems(root: Path) -> Iterator[str]:
    """Everything that is wrong with the page."""
    text = (root / METHODS).read_text("utf-8")
    yield from (*incomplete_methods(text), *wrong_settings(text))
