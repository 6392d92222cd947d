"""The export: a slice as JSON lines, and the manifest that says how they came about."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from monitor import __version__
from monitor.disk import flush
from monitor.errors import OffmapError
from monitor.finetune.formats import Example, Message, example_of, format_named
from monitor.finetune.selection import select_turns
from monitor.records import Turn, Window, short_hash
from monitor.redaction import redact, redact_identifier, redaction_of
from monitor.settings import ExportSettings

__all__ = ["Export", "ExportRequest", "export_slice"]


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What to export: `slice_id` is the id of a gap or topic, `query` says how its turns were chosen, `out` is a folder."""

    slice_id: str
    label: str
    query: Mapping[str, Any]
    window: Window
    format: str
    out: Path


@dataclass(frozen=True, slots=True)
class Export:
    """What was written. `counts` has the turns that each filter left; `manifest` is the JSON text of its file."""

    export_id: str
    path: Path
    manifest_path: Path
    count: int
    counts: tuple[tuple[str, int], ...]
    sha256: str
    turn_keys: tuple[int, ...]
    created_at: datetime
    manifest: str


def export_slice(
    request: ExportRequest,
    turns: Sequence[Turn],
    context: Mapping[int, Sequence[Turn]],
    vectors: NDArray[np.float32],
    eval_texts: Collection[str],
    eval_vectors: NDArray[np.float32],
    settings: ExportSettings,
    facts: Mapping[str, Any],
    clock: Callable[[], datetime],
    *,
    failed: Collection[int] = (),
) -> Export:
    """Write `<out>/<slice>.jsonl` and `<slice>.manifest.json`, each whole or not at all; earlier files are replaced.

    `turns` are the slice's, `vectors` [n, d] their user texts'; `context` has by turn key the earlier turns of the
    conversation; `eval_texts` is everything that eval items ask and answer, `eval_vectors` [m, d] are their prompts';
    `failed` are the keys of turns whose reply a negative signal judges. `facts` (atlas id, encoder, eval sets, versions)
    go into the manifest as they are. The same input gives the same lines, byte for byte; the manifest has the time.

    Raises `UsageError` for an unknown format, and `OffmapError` when no example is left or the files cannot be written.
    """
    written_as = format_named(request.format)
    selection = select_turns(
        turns,
        vectors,
        context=context,
        failed=frozenset(failed),
        eval_texts=eval_texts,
        eval_vectors=eval_vectors,
        near_duplicate=settings.near_duplicate,
    )
    chosen = [turns[row] for row in selection.rows.tolist()]
    if not chosen:
        left = ", ".join(f"{name} {count}" for name, count in selection.counts)
        raise OffmapError(
            f"no example of {request.slice_id} is left ({left}), so nothing was written: take a larger slice, or log replies"
        )
    redacted: Counter[str] = Counter()
    lines = []
    for turn in chosen:
        example = example_of(turn, context.get(turn.key, ()))
        lines.append(orjson.dumps(written_as(_redacted(example, redacted) if settings.redact else example)) + b"\n")
    content = b"".join(lines)
    digest = hashlib.sha256(content).hexdigest()
    created_at = clock()
    manifest = {
        **facts,
        "offmap": __version__,
        "slice": request.slice_id,
        "label": redact(request.label),
        "query": request.query,
        "window": {"start": request.window.start, "end": request.window.end},
        "format": request.format,
        "counts": dict(selection.counts),
        "near_duplicate": settings.near_duplicate,
        "examples": len(chosen),
        "sha256": digest,
        "redacted": settings.redact,
        "redactions": dict(sorted(redacted.items())),
        "created_at": created_at,
        "turn_ids": [redact_identifier(turn.turn_id) if settings.redact else turn.turn_id for turn in chosen],
    }
    # Counts stay in the order of the filters, so keys are not sorted.
    described = orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n"
    name = _file_name(request.slice_id)
    path, manifest_path = request.out / f"{name}.jsonl", request.out / f"{name}.manifest.json"
    _write(request.out, {path: content, manifest_path: described})
    return Export(
        export_id="x" + short_hash(request.slice_id, request.format, str(path), digest),
        path=path,
        manifest_path=manifest_path,
        count=len(chosen),
        counts=selection.counts,
        sha256=digest,
        turn_keys=tuple(turn.key for turn in chosen),
        created_at=created_at,
        manifest=described.decode(),
    )


def _redacted(example: Example, counts: Counter[str]) -> Example:
    messages = []
    for message in example.messages:
        redaction = redaction_of(message.content)
        counts.update(redaction.counts)
        messages.append(Message(message.role, redaction.text))
    return Example(tuple(messages))


def _file_name(slice_id: str) -> str:
    """The id where it can be a file's name anywhere; else what can, and a hash that keeps two ids apart."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "-", slice_id)[:80]
    return plain if plain == slice_id and plain else f"{plain or 'slice'}-{short_hash(slice_id, length=8)}"


def _write(folder: Path, files: Mapping[Path, bytes]) -> None:
    """Each file whole or not at all: written beside its place, forced to disk, and then renamed into it."""
    parts = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            for left in folder.glob(f".{path.name}.*.part"):  # by an export that was killed
                left.unlink(missing_ok=True)
        for path, content in files.items():
            with parts[path].open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        for path, part in parts.items():
            part.replace(path)
        flush(folder)
    except OSError as error:
        raise OffmapError(f"cannot write the export to {folder}: {error}; choose another folder with --out") from error
    finally:
        for part in parts.values():
            _discard(part)


def _discard(part: Path) -> None:
    try:
        part.unlink(missing_ok=True)
    except OSError:  # the folder is a file: there is no part
        return
