"""A store that another process holds, a disk that fills up, settings that DuckDB refuses."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from monitor.errors import SettingError, StoreBusyError
from monitor.store import Store
from tests.store.conftest import make_turn
from tests.store.templates import file_name

HOLD = """
import sys
from monitor.store import Store
with Store.open(sys.argv[1]):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["duckdb", pytest.param("ducklake", marks=pytest.mark.slow)])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Of a store in a file: a server's is held by nobody, and its disk is not ours."""
    return file_name(request.param, tmp_path)


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


@pytest.mark.slow
def test_a_full_disk_keeps_the_transactions_before(tmp_path: Path) -> None:
    # A limit on the size of files is what a full disk looks like to a process: the write fails.
    name = str(tmp_path / "offmap.duckdb")
    filled = subprocess.run(
        [sys.executable, "-c", FILL, name], capture_output=True, text=True, timeout=120, check=False
    )
    assert filled.returncode == 7, filled.stderr
    *counts, message = filled.stdout.splitlines()
    assert re.match(rf"no room left on the disk of the (store|journal) {re.escape(name)}", message)
    kept = int(counts[-1]) if counts else 0
    assert kept > 0
    with Store.open(name) as store:
        assert store.turns.count() == store.offsets.next("file:a", "0") == kept
        assert store.turns.append([make_turn("new")]).inserted == 1


CHECKPOINT = """
import os, resource, sys
from datetime import datetime
from monitor.errors import StoreFullError
from monitor.records import Turn
from monitor.store import Store

def store_next():
    with store.transaction():
        at = store.offsets.next("kafka:a", "0")
        text = os.urandom(20_000).hex()
        store.turns.append([Turn(turn_id=f"t{at}", user_text=text, created_at=datetime(2026, 3, 1), conversation_id="c")])
        store.offsets.advance("kafka:a", "0", expected=at, to=at + 1)

name = sys.argv[1]
store = Store.open(name, threads=2)
store._database.root.execute("SET checkpoint_threshold = '200KB'")
store_next()
size = os.stat(name.removeprefix("ducklake:")).st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100_000, resource.RLIM_INFINITY))
failed = 0
for _ in range(200):
    try:
        store_next()
    except StoreFullError as error:
        failed += 1
        print(error, flush=True)
        if failed == 3:
            break
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for _ in range(5):
    store_next()
print(store.turns.count() == store.offsets.next("kafka:a", "0"), flush=True)
store.close()
"""


@pytest.mark.slow
def test_a_checkpoint_that_a_full_disk_stopped_is_got_over_without_a_restart(name: str) -> None:
    """DuckDB takes nothing more then until the file is attached anew: a service would fail until somebody restarts it."""
    ran = subprocess.run([sys.executable, "-c", CHECKPOINT, name], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    *failures, same = ran.stdout.splitlines()
    assert same == "True" and len(failures) == 3
    # DuckLake takes a transaction back whose checkpoint fails.
    kept = "what was written is kept in its log" if ":" not in name else "nothing of the last transaction was kept"
    assert kept in failures[0]
    with Store.open(name) as store:
        assert store.turns.count() == store.offsets.next("kafka:a", "0") > 5


def test_a_memory_limit_that_is_no_size(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"store\.memory_limit = 'plenty' is no size: write it like 4GB"):
        Store.open(str(tmp_path / "a.duckdb"), memory_limit="plenty")
    Store.open(str(tmp_path / "a.duckdb"), memory_limit="1GB", threads=1).close()


FIRST = """
import resource, sys
from monitor.errors import StoreFullError
from monitor.store import Store

name = sys.argv[1]
for limit in (0, 1_000, 8_192, 12_288, 40_000, 600_000):
    made = f"{name}.{limit}"
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        Store.open(made).close()
        print("opened", flush=True)
    except StoreFullError as error:
        print(error, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with Store.open(made) as store:
        store.offsets.advance("file:a", "0", expected=0, to=1)
    with Store.open(made) as store:
        assert store.offsets.next("file:a", "0") == 1
"""


@pytest.mark.slow
def test_a_disk_that_is_full_from_the_beginning_leaves_no_half_store(name: str) -> None:
    """Wherever the first migration is stopped, also before DuckDB's own headers are written."""
    ran = subprocess.run([sys.executable, "-c", FIRST, name], capture_output=True, text=True, timeout=200)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = ran.stdout.splitlines()
    assert len(said) == 6
    assert all(one.startswith(f"no room left on the disk of the store {name}") for one in said), said
