"""While the store is written anew readers go on and writers wait; a disk without room for it is told before."""

from __future__ import annotations

import threading
from collections import namedtuple
from pathlib import Path

import pytest

from monitor.errors import StoreFullError
from monitor.store import Store
from monitor.store.attachment import Attachment
from monitor.store.erasure import Erasure
from tests.store.conftest import make_turn
from tests.store.test_deletion import LATER, TURNS, fill, traces

_Usage = namedtuple("_Usage", ["total", "used", "free"])


@pytest.fixture
def name(tmp_path: Path) -> str:
    return str(tmp_path / "offmap.duckdb")


def test_readers_go_on_and_writers_wait(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copying, go_on, wrote = threading.Event(), threading.Event(), threading.Event()
    copy = Erasure._copy

    def held(self: Erasure, fresh: Path) -> None:
        copying.set()
        assert go_on.wait(60)
        copy(self, fresh)

    with Store.open(name) as store:
        store.turns.append(TURNS)
        monkeypatch.setattr(Erasure, "_copy", held)

        def write() -> None:
            store.turns.append([make_turn("t9")])
            wrote.set()

        forgetting = threading.Thread(target=store.deletion.forget, kwargs={"user": "ann", "at": LATER})
        writing = threading.Thread(target=write)
        forgetting.start()
        assert copying.wait(60)
        assert store.turns.count() == 1  # in this thread, at once: the deletion is committed
        writing.start()
        assert not wrote.wait(0.5)
        assert store.turns.count() == 1
        go_on.set()
        forgetting.join()
        assert wrote.wait(60)
        writing.join()
        assert {turn.turn_id for turn in store.turns.fetch([TURNS[2].key, make_turn("t9").key])} == {"t2", "t9"}
    with Store.open(name) as store:
        assert store.turns.count() == 2


def test_a_disk_without_room_is_told_before_it_is_full(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(name) as store:
        fill(store)
        with monkeypatch.context() as patched:
            patched.setattr("monitor.store.erasure.shutil.disk_usage", lambda _: _Usage(1, 1, 1_000))
            with pytest.raises(StoreFullError, match=r"the rows are deleted, but .* free \d+ MB, then run any offmap"):
                store.deletion.forget(user="ann", at=LATER)
        assert store.turns.count() == 1
        assert store.turns.append([make_turn("t9")]).inserted == 1  # ingest has the room that is left
        assert not Attachment.parse(name).file.with_name("offmap.duckdb.rewritten").exists()
        store._database.checkpoint()
    assert traces(name, b"HIDEME")
    Store.open(name).close()
    assert traces(name, b"HIDEME") == set()


def test_two_deletions_at_once_write_the_store_anew_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[Path] = []
    copy = Erasure._copy
    with Store.open(name) as store:
        store.turns.append(TURNS)
        monkeypatch.setattr(Erasure, "_copy", lambda self, fresh: (copies.append(fresh), copy(self, fresh)))
        with store.transaction():
            store.deletion.forget(user="ann", at=LATER)
            store.deletion.forget(user="bob", at=LATER)
        store._database.erase()  # what another thread would have waited to do
        assert len(copies) == 1
