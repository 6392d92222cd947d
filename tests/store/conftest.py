"""A store of each kind, for the contract suite."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from monitor.records import Turn
from monitor.store import Store
from tests.store.postgres_support import Postgres
from tests.store.templates import Templates, file_name

NOON = datetime(2026, 3, 1, 12)


@pytest.fixture(params=["duckdb", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("ducklake", "postgres"))])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The name of a store that does not exist yet."""
    if request.param == "postgres":
        server: Postgres = request.getfixturevalue("postgres")
        return server.new_store(tmp_path)
    return file_name(request.param, tmp_path)


@pytest.fixture
def store(name: str, templates: Templates, request: pytest.FixtureRequest) -> Iterator[Store]:
    """An empty store of this name."""
    templates.copy_to(name, request.getfixturevalue("postgres") if "dbname=" in name else None)
    with Store.open(name, threads=2) as opened:
        yield opened


def make_turn(turn_id: str = "t1", **fields: object) -> Turn:
    values: dict[str, object] = {
        "turn_id": turn_id,
        "user_text": f"text of {turn_id}",
        "created_at": NOON,
        "conversation_id": f"conversation of {turn_id}",
    }
    return Turn(**{**values, **fields})  # type: ignore[arg-type]
