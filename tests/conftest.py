"""What all tests of a process share: the browser, as a second playwright in it does not start, and a PostgreSQL; a store;
and the order of the files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from monitor.store import Store
from tests.store.postgres_support import MISSING, Postgres, binaries, postgres_server
from tests.store.templates import Templates

CHROMIUM = next((path for path in ("/usr/bin/chromium", "/usr/bin/chromium-browser") if Path(path).exists()), None)

# How long an example takes is the machine's business: files run side by side, on machines that are shared.
settings.register_profile("offmap", deadline=None)
settings.load_profile("offmap")

# A worker of pytest-xdist has it, and then tables are as wide as it says.
os.environ.pop("COLUMNS", None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files run side by side (`make test`): those that may take longest begin first, so that none runs alone at the end.

    A worker takes two tests ahead: two files of one long test each (the replays) do not stand side by side.
    """
    patience: dict[Path, float] = {}
    for item in items:
        marker = item.get_closest_marker("timeout")
        patience[item.path] = max(patience.get(item.path, 0.0), float(marker.args[0]) if marker else 0.0)
    items.sort(key=lambda item: -patience[item.path])


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Templates:
    return Templates(tmp_path_factory.mktemp("templates"))


@pytest.fixture
def store(tmp_path: Path, templates: Templates) -> Iterator[Store]:
    templates.copy_to(str(tmp_path / "store.duckdb"))
    with Store.open(str(tmp_path / "store.duckdb"), threads=2) as opened:
        yield opened


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        reason = "no chromium on this machine: apt-get install chromium"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    if binaries() is None:
        if os.environ.get("REQUIRE_POSTGRES"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with postgres_server() as server:
        yield server
