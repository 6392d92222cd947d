"""What the consumers' tests share: a clock, places, fixtures, and files made on the spot."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from monitor.records import Coordinates

NOW = datetime(2026, 3, 10, 12, 0)
FIXTURES = Path(__file__).parents[1] / "fixtures"
SCHEMA = Path(__file__).parents[2] / "consumers" / "turn.schema.json"


def clock() -> datetime:
    return NOW


def at(position: int, source: str = "file:0123456789abcdef") -> Coordinates:
    return Coordinates(source, "offmap", position)


def schema() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(SCHEMA.read_text("utf-8"))
    return document


def fixture_lines(name: str) -> list[bytes]:
    return [line for line in (FIXTURES / name).read_bytes().splitlines() if line.strip()]


def write_lines(path: Path, records: list[Any]) -> Path:
    """JSONL of records; bytes are written as they are."""
    lines = [record if isinstance(record, bytes) else orjson.dumps(record) for record in records]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path
