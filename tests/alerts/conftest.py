"""A store to keep alerts in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.store import Store


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "offmap.duckdb")


@pytest.fixture
def opened(path: str) -> Iterator[Store]:
    with Store.open(path, threads=2) as store:
        yield store
