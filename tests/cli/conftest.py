"""Stores to run commands on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_support import Offmap, in_folder
from cli_traffic import write_eval_set, write_log


@pytest.fixture
def offmap(tmp_path: Path) -> Offmap:
    return in_folder(tmp_path)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Offmap:
    """A store with an analysed log, made once. Only for commands that read: see `analysed`."""
    made = in_folder(tmp_path_factory.mktemp("analysed"))
    made.done("ingest", write_log(made.folder / "log.jsonl"))
    made.done("evalset", "import", write_eval_set(made.folder / "evalset.jsonl"), "--name", "shop")
    made.done("analyse", "--eval-set", "shop")
    return made


@pytest.fixture
def analysed(built: Offmap, tmp_path: Path) -> Offmap:
    """A copy of the analysed store, to write into."""
    shutil.copy(built.store, tmp_path / "store.duckdb")
    return in_folder(tmp_path)


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., Path]:
    """Writes records as a JSONL file."""

    def write(*records: object, name: str = "turns.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        return path

    return write
