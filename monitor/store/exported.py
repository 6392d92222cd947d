"""The files of an export that the app made: examples can be taken out of them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import orjson

from monitor.disk import flush
from monitor.errors import StoreError

__all__ = ["drop_examples", "without_turn_ids"]


def drop_examples(path: Path, manifest: str, rows: Collection[int]) -> str | None:
    """Take these examples (0 is the first) out of the file and its manifest; the new manifest.

    None when the file is not what the manifest describes: then nobody knows which line is whose.
    """
    described: dict[str, Any] = orjson.loads(manifest)
    try:
        content = path.read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content).hexdigest() != described.get("sha256"):
        return None
    dropped = set(rows)
    left = b"".join(line for row, line in enumerate(content.splitlines(keepends=True)) if row not in dropped)
    described = orjson.loads(without_turn_ids(manifest, rows))
    described |= {
        "examples": len(described.get("turn_ids", ())),
        "forgotten": described.get("forgotten", 0) + len(dropped),
        "sha256": hashlib.sha256(left).hexdigest(),
    }
    fresh = orjson.dumps(described, option=orjson.OPT_INDENT_2) + b"\n"
    try:
        # A process that dies in between leaves a file that is not the manifest's, which is then named to the person.
        _put(path, left)
        _put(path.with_name(f"{path.stem}.manifest.json"), fresh)
    except OSError as error:
        raise StoreError(f"the export {path} cannot be written without what is forgotten: {error.strerror}") from error
    return fresh.decode()


def without_turn_ids(manifest: str, rows: Collection[int]) -> str:
    """The manifest without the ids of these examples."""
    described: dict[str, Any] = orjson.loads(manifest or "{}")
    ids, dropped = described.get("turn_ids", []), set(rows)
    if not ids or not dropped:
        return manifest
    described["turn_ids"] = [one for row, one in enumerate(ids) if row not in dropped]
    return orjson.dumps(described, option=orjson.OPT_INDENT_2).decode() + "\n"


def _put(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    flush(part)
    part.replace(path)
    flush(path.parent)
