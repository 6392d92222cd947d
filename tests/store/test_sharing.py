"""A store that one process holds and others use through it: same statements, same errors, nothing left half done."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from monitor.errors import StoreError, UsageError
from monitor.records import Window
from monitor.store import Store
from monitor.store.sharing import StoreServer
from tests.store.conftest import NOON, make_turn


@pytest.fixture(params=["duckdb", pytest.param("ducklake", marks=pytest.mark.slow)])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Stores that one process holds; a catalog in PostgreSQL is opened by each."""
    return f"{'ducklake:' if request.param == 'ducklake' else ''}{tmp_path / 'offmap.store'}"


@pytest.fixture
def server(store: Store) -> Iterator[StoreServer]:
    shared = store.share(url="http://127.0.0.1:8050")
    assert shared is not None
    shared.start()
    yield shared
    shared.close()


@pytest.fixture
def client(server: StoreServer, name: str) -> Iterator[Store]:
    connected = Store.connect(name)
    assert connected is not None
    with connected:
        yield connected


def test_every_value_arrives_as_it_was(client: Store, store: Store) -> None:
    turns = [make_turn(f"t{n}", metadata={"n": [n, None, "ü"]}, cost_usd=0.1 * n, turn_index=n) for n in range(50)]
    assert client.turns.append(turns).inserted == 50
    for one in (client, store):
        assert one.turns.fetch([turn.key for turn in turns]) == turns
    assert client.turns.span() == store.turns.span()
    assert isinstance(client.turns.span(), Window)
    assert client.shared_by == "http://127.0.0.1:8050" and store.shared_by is None


def test_a_transaction_is_all_or_nothing(client: Store, store: Store) -> None:
    with pytest.raises(ZeroDivisionError), client.transaction():
        client.turns.append([make_turn("lost")])
        assert client.turns.count() == 1
        raise ZeroDivisionError
    assert store.turns.count() == 0
    with client.transaction():
        client.turns.append([make_turn("kept")])
        client.offsets.advance("s", "0", expected=0, to=1)
    assert store.turns.count() == 1 and store.offsets.next("s", "0") == 1


def test_errors_arrive_as_what_they_are(client: Store) -> None:
    with pytest.raises(UsageError, match="no eval set 'x'"):
        client.eval_sets.load("x")
    with pytest.raises(StoreError, match="another process ingests the same source"):
        client.offsets.advance("s", "0", expected=7, to=9)
    with pytest.raises(RuntimeError, match="ParserException"):
        client._database.query("SELEC 1")
    assert client.turns.count() == 0  # the connection still works


def test_the_private_file_is_private_and_goes(store: Store, name: str) -> None:
    shared = store.share()
    assert shared is not None
    shared.start()
    (file,) = Path(name.removeprefix("ducklake:")).parent.glob("*.serve")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    shared.close()
    assert not file.exists()
    assert Store.connect(name) is None


def test_a_stale_file_or_a_wrong_token_is_no_holder(server: StoreServer, name: str) -> None:
    (file,) = Path(name.removeprefix("ducklake:")).parent.glob("*.serve")
    right = file.read_bytes()
    file.write_bytes(right.replace(server.holder.token.hex().encode(), b"00" * 32))
    assert Store.connect(name) is None
    file.write_bytes(b"{ not json")
    assert Store.connect(name) is None
    file.write_bytes(right)
    connected = Store.connect(name)
    assert connected is not None
    connected.close()


def test_who_connects_and_says_nothing_keeps_nobody_waiting(server: StoreServer, name: str) -> None:
    import socket

    with socket.create_connection(server.holder.address):
        connected = Store.connect(name)
        assert connected is not None and connected.turns.count() == 0
        connected.close()


@pytest.mark.slow
def test_a_client_that_stops_in_a_transaction_loses_it(store: Store, name: str) -> None:
    shared = store.share()
    assert shared is not None
    shared._idle = 0.5
    shared.start()
    client = Store.connect(name)
    assert client is not None
    with pytest.raises(StoreError, match="was rolled back"), client.transaction():
        client.turns.append([make_turn("t")])
        time.sleep(1.5)
        client.turns.count()
    store.turns.append([make_turn("after")])  # the writer is free
    assert store.turns.count() == 1
    client.close()
    shared.close()


_KILLED = """
import sys, time
from datetime import datetime
from monitor.records import Turn
from monitor.store import Store
store = Store.connect(sys.argv[1])
with store.transaction():
    store.turns.append([Turn(turn_id="t", user_text="x", created_at=datetime(2026, 3, 1), conversation_id="c")])
    print("inside", flush=True)
    time.sleep(60)
"""


def test_a_client_killed_in_a_transaction_leaves_nothing(server: StoreServer, store: Store, name: str) -> None:
    with subprocess.Popen([sys.executable, "-c", _KILLED, name], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"inside\n"
        os.kill(process.pid, signal.SIGKILL)
    started = time.monotonic()
    store.turns.append([make_turn("after")])
    assert time.monotonic() - started < 3
    assert store.turns.count() == 1


def test_the_holder_ends_while_a_client_works(server: StoreServer, client: Store) -> None:
    started = time.monotonic()
    server.close()
    assert time.monotonic() - started < 5
    with pytest.raises(StoreError, match="ended: run the same command again"):
        client.turns.count()


def test_readers_and_writers_together(server: StoreServer, store: Store, name: str) -> None:
    wrong: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with Store.connect(name) as mine:  # type: ignore[union-attr]
                for step in range(5):
                    mine.turns.append([make_turn(f"{number}-{step}")])
                    assert mine.turns.count() >= step + 1
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and store.turns.count() == 20


def test_a_large_table_both_ways(client: Store, store: Store) -> None:
    rows = pa.table(
        {"source": ["s"] * 300_000, "partition": [str(n) for n in range(300_000)], "position": [1] * 300_000}
    )
    assert client._database.insert("ingest_offsets", rows) == 300_000
    assert client._database.query("SELECT * FROM ingest_offsets").num_rows == 300_000
    assert store.offsets.next("s", "77") == 1


def test_what_is_forgotten_through_the_holder_leaves_the_disk(client: Store, store: Store, name: str) -> None:
    client.turns.append([make_turn("secret", user_text="purple elephant of mine"), make_turn("other")])
    assert client.deletion.forget(turn="secret", at=NOON).turns == 1
    assert store.turns.count() == 1
    store.close()
    for file in Path(name.removeprefix("ducklake:")).parent.rglob("*"):
        assert not file.is_file() or b"purple elephant" not in file.read_bytes()
