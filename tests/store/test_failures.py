"""A store that another process holds, a disk that fills up, settings that DuckDB refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from monitor.errors import SettingError, StoreBusyError
from monitor.store import Store
from tests.store.conftest import make_turn

HOLD = """
import sys
from monitor.store import Store
with Store.open(sys.argv[1]):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_held_by_another_process(name: str) -> None:
    with Store.open(name) as store:
        store.turns.append([make_turn()])
    holder = subprocess.Popen([sys.executable, "-c", HOLD, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdin
    assert holder.stdout
    with holder:
        assert holder.stdout.readline() == b"ready\n"
        with pytest.raises(StoreBusyError, match=f"is held by process {holder.pid}") as caught:
            Store.open(name)
        assert name in str(caught.value)
    with Store.open(name) as store:
        assert store.turns.count() == 1


def test_held_by_this_process(name: str) -> None:
    with Store.open(name), pytest.raises(StoreBusyError, match="is held by this process"):
        Store.open(name)


def test_closing_frees_the_file_although_threads_keep_cursors(name: str) -> None:
    store = Store.open(name)
    store.turns.append([make_turn()])  # this thread's cursor lives on
    store.close()
    with Store.open(name) as again:
        assert again.turns.count() == 1


FILL = """
import os, resource, sys
from datetime import datetime
from monitor.errors import StoreFullError
from monitor.records import Turn
from monitor.store import Store

def turn(number):
    text = os.urandom(20_000).hex()
    return Turn(turn_id=f"t{number}", user_text=text, created_at=datetime(2026, 3, 1), conversation_id="c")

store = Store.open(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, 8_000_000))
kept = 0
try:
    for batch in range(20):
        with store.transaction():
            store.turns.append([turn(batch * 30 + number) for number in range(30)])
            store.offsets.advance("file:a", "0", expected=batch * 30, to=batch * 30 + 30)
        kept += 30
        print(kept, flush=True)
except StoreFullError as error:
    print(error, flush=True)
    os._exit(7)
"""


def test_a_full_disk_keeps_the_transactions_before(tmp_path: Path) -> None:
    # A limit on the size of files is what a full disk looks like to a process: the write fails.
    name = str(tmp_path / "offmap.duckdb")
    filled = subprocess.run(
        [sys.executable, "-c", FILL, name], capture_output=True, text=True, timeout=120, check=False
    )
    assert filled.returncode == 7, filled.stderr
    *counts, message = filled.stdout.splitlines()
    assert message.startswith(f"no room left on the disk of the store {name}")
    kept = int(counts[-1]) if counts else 0
    assert kept > 0
    with Store.open(name) as store:
        assert store.turns.count() == store.offsets.next("file:a", "0") == kept
        assert store.turns.append([make_turn("new")]).inserted == 1


def test_a_memory_limit_that_is_no_size(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"store\.memory_limit = 'plenty' is no size: write it like 4GB"):
        Store.open(str(tmp_path / "a.duckdb"), memory_limit="plenty")
    Store.open(str(tmp_path / "a.duckdb"), memory_limit="1GB", threads=1).close()
