"""Import of an eval set: a JSONL, JSON or CSV file becomes a named version in the store.

An eval set is written by hand, so a line that cannot be read stops the import; one without a prompt is left out and
said.
"""

from __future__ import annotations

import csv
import difflib
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from monitor.errors import InputError, RecordError, UsageError
from monitor.evalsets.shapes import PROMPT_FIELDS, canonical, read_item, shape_of
from monitor.records import EvalItem, EvalSet, short_hash
from monitor.store import Store

__all__ = ["EvalSetDraft", "ImportedEvalSet", "import_eval_set", "read_items", "version_of"]

_LIKE_PROMPT = ("question", "query", "input", "text", "user_text", "instructions")


@dataclass(frozen=True, slots=True)
class EvalSetDraft:
    """Items of a file, in its order. `duplicates` equal an item before them; `skipped` says which had no prompt."""

    items: tuple[EvalItem, ...]
    duplicates: int
    skipped: tuple[str, ...]

    @property
    def version(self) -> str:
        return version_of(self.items)


@dataclass(frozen=True, slots=True)
class ImportedEvalSet:
    """The eval set as stored. `new` is False when this name already had exactly these items."""

    eval_set: EvalSet
    new: bool
    duplicates: int
    skipped: tuple[str, ...]


def import_eval_set(store: Store, path: Path, name: str, clock: Callable[[], datetime]) -> ImportedEvalSet:
    """Read a file and store it as a version of the eval set `name`."""
    if not name.strip():
        raise UsageError("--name '' is blank: give the eval set a name, such as --name support")
    draft = read_items(path)
    eval_set = EvalSet(name.strip(), draft.version, clock(), draft.items)
    return ImportedEvalSet(eval_set, store.eval_sets.save(eval_set), draft.duplicates, draft.skipped)


def read_items(path: Path) -> EvalSetDraft:
    """The eval items of a file. Raises `InputError` naming the fields or lines when it holds none."""
    items: dict[str, EvalItem] = {}
    duplicates, seen, skipped, fields = 0, 0, [], dict[str, None]()
    for place, record in _records(path):
        seen += 1
        if not isinstance(record, Mapping):
            raise InputError(f"{path}, {place}: an eval item is an object, and this is {type(record).__name__}")
        fields |= dict.fromkeys(record)
        try:
            item = read_item(record)
        except RecordError as error:
            if shape_of(record) is not None and "blank" not in str(error) and "no user message" not in str(error):
                raise InputError(f"{path}, {place}: {error}") from None
            skipped.append(f"{place}: {error}")
            continue
        known = items.setdefault(item.item_id, item)
        if known is not item:
            if known != item:
                raise InputError(
                    f"{path}, {place}: item_id {item.item_id!r} names two different items; give one of them another id"
                )
            duplicates += 1
    if not seen:
        raise InputError(f"{path} holds no eval items: give one JSON object a line with a prompt")
    if not items:
        raise InputError(_without_prompts(path, list(fields), skipped))
    return EvalSetDraft(tuple(items.values()), duplicates, tuple(skipped))


def version_of(items: tuple[EvalItem, ...]) -> str:
    """The version: a hash of the items, whatever their order."""
    return short_hash(*sorted(canonical(item) for item in items))


def _without_prompts(path: Path, fields: list[str], skipped: list[str]) -> str:
    shown = ", ".join(fields[:20]) or "none"
    if any(name in fields for name in PROMPT_FIELDS):
        places = "; ".join(skipped[:5]) + ("; ..." if len(skipped) > 5 else "")
        return f"{path} holds no prompts: {places}"
    near = [
        name for name in fields if name.lower() in ("question", "query", "input", "text", "user_text", "instructions")
    ]
    nearest = difflib.get_close_matches("prompt", fields, n=1, cutoff=0.6) or near
    hint = f"; rename {nearest[0]} to prompt" if nearest else ""
    return (
        f"{path} holds no prompts: an item needs one of {', '.join(PROMPT_FIELDS)}, "
        f"and the fields of these are {shown}{hint}"
    )


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    """Each record with where it stands, in words."""
    text = _read(path)
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if ".csv" in suffixes or ".tsv" in suffixes:
        yield from _csv(path, text, "\t" if ".tsv" in suffixes else ",")
    elif text.lstrip().startswith("["):
        yield from ((f"item {number}", record) for number, record in enumerate(_array(path, text), 1))
    else:
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"line {number}", _json(path, f"line {number}", line)


def _read(path: Path) -> str:
    if path.is_dir():
        raise InputError(f"{path} is a folder: name the file of the eval set")
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
        text = data.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist: check the name") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path} is not UTF-8: byte 0x{error.object[error.start]:02x} at byte {error.start}; "
            f"convert it, for example with `iconv -f latin1 -t utf-8 {path}`"
        ) from None
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not text.strip():
        raise InputError(f"{path} is empty: an eval set needs at least one item")
    return text


def _csv(path: Path, text: str, delimiter: str) -> Iterator[tuple[str, Any]]:
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for row in rows:
            if None in row or None in row.values():
                raise InputError(f"{path}, line {rows.line_num}: the row has more or fewer cells than the header")
            record: dict[str, Any] = {name.strip(): cell for name, cell in row.items() if cell != ""}
            if record.get("messages"):
                record["messages"] = _json(path, f"line {rows.line_num}, column messages", record["messages"])
            if str(record.get("tags", "")).startswith("["):
                record["tags"] = _json(path, f"line {rows.line_num}, column tags", record["tags"])
            # An empty cell is absent, but the error about missing prompts should know its column.
            yield (
                f"line {rows.line_num}",
                {**record, **({"prompt": ""} if "prompt" in row and row["prompt"] == "" else {})},
            )
    except csv.Error as error:
        raise InputError(f"{path}, line {rows.line_num}: not CSV: {error}") from None


def _array(path: Path, text: str) -> list[Any]:
    found = _json(path, "the array", text)
    return found if isinstance(found, list) else [found]


def _json(path: Path, place: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"{path}, {place}: not JSON: {error.msg} (character {error.pos})") from None
