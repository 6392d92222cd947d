"""Forget: every table, the replay of the log, and the bytes on the disk."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet
import pytest

from monitor.errors import UsageError
from monitor.records import Coordinates, DeadLetter, Event
from monitor.store import Store
from monitor.store.atlases import LineageRow
from monitor.store.attachment import Attachment
from monitor.store.deletion import Forgotten
from monitor.store.exports import ExportRow
from monitor.store.turns import Appended
from tests.store.conftest import NOON, make_turn
from tests.store.postgres_support import catalog_dump
from tests.store.test_runs import (
    assignments,
    atlas_row,
    coverage_row,
    gap_row,
    signals,
    topic_row,
    turn_coverage,
)
from tests.store.test_tables import feedback, unit_vectors

LATER = NOON + timedelta(days=10)
TURNS = [
    make_turn("t0", user_id="ann", conversation_id="c0", user_text="HIDEME one", assistant_text="~HIDEME"),
    make_turn("t1", user_id="ann", conversation_id="c1", user_text="same text"),
    make_turn("t2", user_id="bob", conversation_id="c0", user_text="same text"),
    make_turn("t3", user_id="ann", conversation_id="c3", tenant="eu"),
]
KEYS = [turn.key for turn in TURNS]
PROVEN = [LineageRow("k1", "grew", None, 0.5, (KEYS[0], KEYS[2])), LineageRow("k2", "died", None, 0.0, (KEYS[1],))]


def fill(store: Store) -> None:
    store.turns.append([*TURNS, replace(TURNS[0], model="a"), replace(TURNS[0], model="b")])
    store.events.append([feedback("t0", -1, feedback_comment="HIDEME comment"), feedback("t2", 1)])
    hashes = [b"0" * 16, b"s" * 16, b"s" * 16, b"3" * 16]
    store.vectors.append("mini", "text", hashes, unit_vectors(4))
    store.vectors.append("mini", "eval", hashes[:1], unit_vectors(1))
    store.vectors.note_texts("text", KEYS, hashes)
    payloads = [b'{"user_id": "ann", "x": "HIDEME"', b'{"user_id": "bob"', b""]
    store.dead_letters.append(
        [DeadLetter(Coordinates("f", "0", position), "bad", data, NOON) for position, data in enumerate(payloads)]
    )
    rows = assignments(KEYS[:3])
    store.atlases.write(atlas_row("a1"), [topic_row(representatives=tuple(KEYS))], PROVEN, rows)
    store.reports.write_coverage(coverage_row("r1"), [], turn_coverage(KEYS[:3]))
    store.reports.write_gaps("r1", [gap_row(examples=(KEYS[2], KEYS[0]))])
    store.reports.write_signals("r1", signals(KEYS[:3]))
    store.exports.record(ExportRow("x1", NOON, "out/one", "openai-chat", "{}", (KEYS[0], KEYS[2])))
    store.exports.record(ExportRow("x2", NOON, "out/two", "openai-chat", "{}", (KEYS[2],)))


def test_a_user_is_gone_from_every_table(store: Store) -> None:
    fill(store)
    forgotten = store.deletion.forget(user="ann", at=LATER)
    # t1's text is also t2's, so its vector stays; the eval item's vector has its own recipe.
    # The second export has bob's turn, of a conversation that ann began: its example may begin with her words.
    assert forgotten == Forgotten(turns=3, events=1, vectors=2, dead_letters=1, exports=("out/one", "out/two"))
    assert {one.path: one.turn_keys for one in store.exports.read()} == {"out/one": (KEYS[2],), "out/two": (KEYS[2],)}
    assert store.turns.fetch(KEYS) == [TURNS[2]]
    assert store.turns.conflicts() == 0
    assert store.events.read().column("turn_id").to_pylist() == ["t2"]
    assert store.vectors.texts("text").column("turn_key").to_pylist() == [KEYS[2]]
    hashes = [b"0" * 16, b"s" * 16, b"3" * 16]
    assert store.vectors.missing("mini", "text", hashes) == [b"0" * 16, b"3" * 16]
    assert store.vectors.missing("mini", "eval", hashes[:1]) == []
    assert [letter.payload for letter in store.dead_letters.read()] == [b"", b'{"user_id": "bob"']
    assert store.atlases.assignments("a1").column("turn_key").to_pylist() == [KEYS[2]]
    assert store.atlases.topics("a1")[0].representatives == (KEYS[2],)
    assert [one.turns for one in store.atlases.lineage("a1")] == [(KEYS[2],), ()]
    assert store.reports.turn_coverage("r1").column("turn_key").to_pylist() == [KEYS[2]]
    assert store.reports.signals("r1").column("turn_key").to_pylist() == [KEYS[2]]
    assert store.reports.gaps("r1")[0].examples == (KEYS[2],)


def test_no_table_with_turn_keys_was_overlooked(store: Store) -> None:
    """A table that a later migration adds must be taught to forget."""
    fill(store)
    store.deletion.forget(user="ann", at=LATER)
    columns = store._database.query(
        "SELECT table_name FROM duckdb_columns() WHERE database_name = 'store' AND column_name = 'turn_key'"
    )
    gone = [KEYS[0], KEYS[1], KEYS[3]]
    for table in columns.column(0).to_pylist():
        found = store._database.query(f"SELECT turn_key FROM {table}").column(0).to_pylist()
        assert not set(found) & set(gone), table


def test_a_replay_does_not_bring_it_back(store: Store) -> None:
    store.turns.append(TURNS)
    store.deletion.forget(user="ann", at=LATER)
    unseen = make_turn("t9", user_id="ann")  # was never here, and is older than the deletion
    events = [feedback("t0", 1), feedback("t9", 1)]
    assert store.events.append(events) == 1  # nobody knows yet whose t9 is
    assert store.turns.append([*TURNS, unseen]) == Appended(forgotten=4, repeated=1)
    assert store.events.read().num_rows == 0
    assert store.events.append(events) == 0
    back = make_turn("t10", user_id="ann", created_at=LATER + timedelta(seconds=1))
    assert store.turns.append([back]) == Appended(inserted=1)
    assert store.deletion.forget(user="ann", at=LATER) == Forgotten(0, 0, 0, 0, (), later=1)


def test_conversations_turns_and_tenants(store: Store) -> None:
    store.turns.append(TURNS)
    store.events.append([feedback("t1", 1), feedback("t7", 1)])
    assert store.deletion.forget(user="ann", tenant="", at=LATER).turns == 2
    assert [turn.turn_id for turn in store.turns.fetch(KEYS)] == ["t2", "t3"]
    assert store.turns.append(TURNS) == Appended(forgotten=2, repeated=2)
    assert store.deletion.forget(conversation="c0", at=LATER).turns == 1
    assert store.deletion.forget(turn="t3", tenant="us", at=LATER).turns == 0
    assert store.deletion.forget(turn="t3", tenant="eu", at=LATER).turns == 1
    assert store.deletion.forget(turn="t7", at=LATER).events == 1  # the event came before its turn
    assert store.turns.append([*TURNS, make_turn("t7")]) == Appended(forgotten=5)


@pytest.mark.parametrize("given", [{}, {"user": "a", "turn": "b"}, {"user": ""}])
def test_one_subject_at_a_time(store: Store, given: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="exactly one of"):
        store.deletion.forget(at=NOON, **given)


@pytest.mark.parametrize("payload", [b'"u": "J\xc3\xb6rg/1"', rb'"u": "J\u00f6rg/1"', b"\x0aJ\xc3\xb6rg/1\x12"])
def test_ids_in_dead_letters_however_written(store: Store, payload: bytes) -> None:
    store.dead_letters.append([DeadLetter(Coordinates("f", "0", 1), "bad", payload, NOON)])
    assert store.deletion.forget(user="Jörg/1", at=LATER).dead_letters == 1


@pytest.mark.parametrize(
    "header", [("user", "Jörg/1"), ("Jörg/1", "x"), ("baggage", r'{"u":"J\u00f6rg/1"}'), ("b", 'u="Jörg/1",k=2')]
)
def test_ids_in_the_headers_of_dead_letters(store: Store, header: tuple[str, str]) -> None:
    for position, headers in enumerate([(("trace", "1"), header), (("user", "Jörg/12"),), ()]):
        store.dead_letters.append([DeadLetter(Coordinates("f", "0", position), "bad", b"{", NOON, headers)])
    assert store.deletion.forget(user="Jörg/1", at=LATER).dead_letters == 1
    assert {letter.coordinates.position for letter in store.dead_letters.read()} == {1, 2}


def test_nothing_is_forgotten_by_a_transaction_that_fails(store: Store) -> None:
    store.turns.append(TURNS)
    with pytest.raises(RuntimeError), store.transaction():
        store.deletion.forget(user="ann", at=LATER)
        raise RuntimeError
    assert store.turns.append(TURNS) == Appended(repeated=4)
    assert store._database.value("SELECT count(*) FROM erasures") == 0


def traces(name: str, text: bytes) -> set[str]:
    """The files of a closed store that hold these bytes, Parquet files uncompressed, and its catalog."""
    attachment = Attachment.parse(name)
    file = attachment.file
    found = {path.name for path in file.parent.iterdir() if path.is_file() and text in path.read_bytes()}
    for path in file.parent.rglob("*.parquet"):
        if text.decode() in str(pyarrow.parquet.read_table(path).to_pydict()):
            found.add(path.name)
    if attachment.server and text.decode() in catalog_dump(attachment.server):
        found.add("the catalog")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("fillers", [0, 3000])
def test_the_bytes_leave_the_disk(name: str, fillers: int) -> None:
    with Store.open(name) as store:
        fill(store)
        store.turns.append([make_turn(f"filler-{number}") for number in range(fillers)])
    assert traces(name, b"HIDEME")
    with Store.open(name) as store:
        store.deletion.forget(user="ann", at=LATER)
        assert store.turns.count() == fillers + 1
    assert traces(name, b"HIDEME") == set()
    if not fillers:  # among many rows DuckDB compresses texts, and raw bytes say nothing about those that stay
        assert traces(name, b"same text")
    with Store.open(name) as store:  # and the smallest and largest of what is gone, when all is gone
        store.deletion.forget(user="bob", at=LATER)
        assert store._database.value("SELECT count(*) FROM erasures") == 0
        assert store.turns.append([make_turn("new")]) == Appended(inserted=1)
        assert store.turns.read(columns=["user_text"]).num_rows == fillers + 1
    assert traces(name, b"same text") == set()
    assert not list(Attachment.parse(name).file.parent.glob("*.rewritten*"))


def test_text_that_only_the_log_held(name: str) -> None:
    with Store.open(name) as store:
        fill(store)
        store.deletion.forget(user="ann", at=LATER)  # nothing was checkpointed in between
    assert traces(name, b"HIDEME") == set()


def test_the_store_stays_locked_and_usable_after_it_was_rewritten(name: str) -> None:
    with Store.open(name) as store:
        store.turns.append(TURNS)
        store.deletion.forget(user="ann", at=LATER)
        opened = [sys.executable, "-c", "import sys; from monitor.store import Store; Store.open(sys.argv[1])", name]
        second = subprocess.run(opened, capture_output=True, text=True, timeout=60, check=False)
        assert ("StoreBusyError" in second.stderr) != store.many_processes, second
        assert store.turns.append([make_turn("t5")]).inserted == 1
    with Store.open(name) as store:
        assert store.turns.count() == 2


def test_threads_go_on_while_the_store_is_rewritten(name: str) -> None:
    stop, failures, reads = threading.Event(), [], []

    with Store.open(name) as store:
        store.turns.append(TURNS)

        def read() -> None:
            while not stop.is_set():
                try:
                    with store.transaction():
                        reads.append(store.turns.count())
                        store.turns.append([make_turn(f"{threading.get_ident()}-{len(reads)}")])
                    store.turns.read(columns=["turn_id"])
                except Exception as error:
                    failures.append(error)
                    return

        threads = [threading.Thread(target=read) for _ in range(2)]
        for thread in threads:
            thread.start()
        for user in ("ann", "bob"):
            store.deletion.forget(user=user, at=LATER)
        stop.set()
        for thread in threads:
            thread.join()
        assert failures == []
        assert len(reads) > 0


@pytest.mark.parametrize("name", ["duckdb", pytest.param("ducklake", marks=pytest.mark.slow)], indirect=True)
def test_an_erasure_that_failed_is_done_at_the_next_opening(name: str) -> None:
    file = Attachment.parse(name).file
    with Store.open(name) as store:
        fill(store)
        obstacle = file.with_name(f"{file.name}.rewritten")
        obstacle.mkdir()
        with pytest.raises(OSError):
            store.deletion.forget(user="ann", at=LATER)
        assert store.turns.count() == 1  # deleted all the same
    assert traces(name, b"HIDEME")
    obstacle.rmdir()
    Store.open(name).close()
    assert traces(name, b"HIDEME") == set()


def test_an_event_of_deletion_in_a_transaction_of_the_ingest_loop(store: Store) -> None:
    event = Event(kind="deletion", turn_id="t0", created_at=LATER)
    with store.transaction():
        store.turns.append(TURNS)
        assert store.deletion.forget(turn=event.turn_id, at=event.created_at).turns == 1
        store.offsets.advance("topic", "0", expected=0, to=5)
    assert store.turns.count() == 3
