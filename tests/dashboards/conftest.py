"""A tab that is watched, and stores: one analysed, made once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.cli_support import Offmap, in_folder
from tests.cli.cli_traffic import write_eval_set, write_log
from tests.dashboards.app_support import TABS, Watched


@pytest.fixture(scope="session")
def built_app(tmp_path_factory: pytest.TempPathFactory) -> Offmap:
    made = in_folder(tmp_path_factory.mktemp("app"))
    made.done("ingest", write_log(made.folder / "log.jsonl", conversations=480))
    made.done("evalset", "import", write_eval_set(made.folder / "evalset.jsonl"), "--name", "shop")
    made.done("analyse", "--eval-set", "shop")
    return made


@pytest.fixture
def analysed_app(built_app: Offmap, tmp_path: Path) -> Offmap:
    shutil.copy(built_app.store, tmp_path / "store.duckdb")
    return in_folder(tmp_path)


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """A tab; a console error or a request that leaves the machine fails the test that caused it."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(20_000)
    watched = Watched()
    page.on("console", lambda message: watched.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("request", lambda request: watched.foreign.append(request.url) if _leaves(request.url) else None)
    TABS.append(page)
    yield page
    TABS.remove(page)
    context.close()
    assert watched.errors == []
    assert watched.foreign == []


def _leaves(url: str) -> bool:
    return not url.startswith(("http://127.0.0.1", "data:", "blob:"))
