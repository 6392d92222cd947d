"""Dead letters read again: the same as if they had come by their log, once, and what cannot be read stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from ingest_support import NOW, clock, write_lines
from otlp_support import chat, document, said, span

from consumers import decoders
from consumers.batches import Batch, Counts
from consumers.dead_letters import Again, Replayed, replay, why_not
from consumers.decoders import DECODERS, Decoder, Defaults, decoder_named
from consumers.ingest import ingest_file
from consumers.raw import RawRecord, parse_record
from consumers.times import TimesRule
from monitor.records import Coordinates, DeadLetter
from monitor.redaction import redact_identifier, redact_payload
from monitor.store import Store
from monitor.store.dead_letters import Chosen

ALL = Chosen()


def letter(position: int, record: Any, reason: str = "in no known format", **more: Any) -> DeadLetter:
    payload = record if isinstance(record, bytes) else orjson.dumps(record)
    at = Coordinates(more.pop("source", "kafka:turns"), more.pop("partition", "0"), position)
    return DeadLetter(at, reason, payload, more.pop("received_at", NOW), **more)


def by_the_log(letters: list[DeadLetter], decoder: Decoder, folder: Path, *, redact: bool = False) -> list[Any]:
    """The turns of the same records when they are read at once."""
    with Store.open(str(folder / "log.duckdb")) as other:
        for one in letters:
            at, batch = one.coordinates, Batch(0)
            batch.take(parse_record(at.position, one.payload), decoder, at, Defaults(one.received_at), redact=redact)
            batch.store(other)
        return rows(other)


def rows(store: Store) -> list[Any]:
    found = store.turns.read().drop_columns(["ingested_at"]).to_pylist()
    return sorted(found, key=lambda row: str(row["turn_id"]))


def reasons(store: Store) -> dict[int, str]:
    return {one.coordinates.position: one.reason for one in store.dead_letters.read(None)}


def test_a_record_without_id_and_time_is_the_same_as_by_its_log(store: Store, tmp_path: Path) -> None:
    letters = [
        letter(4, {"user_text": "where is my meter"}, received_at=NOW - timedelta(days=3)),
        letter(5, {"user_text": "second", "conversation_id": "c", "turn_index": 2}, partition="1"),
        letter(9, {"user_text": "third", "conversation_id": "c"}, headers=(("trace", "1"),)),
    ]
    store.dead_letters.append(letters)
    done = replay(store, ALL, Again())
    assert done == Replayed(Counts(records=3, turns=3)) and (done.read, done.left) == (3, 0)
    assert store.dead_letters.count() == 0
    assert rows(store) == by_the_log(letters, DECODERS[0], tmp_path)
    assert rows(store)[-1]["turn_id"] == "kafka:turns-0-4" and rows(store)[-1]["created_at"] == NOW - timedelta(days=3)
    assert replay(store, ALL, Again()) == Replayed()


def test_what_stays_has_the_reason_of_today(store: Store) -> None:
    store.dead_letters.append(
        [
            letter(1, {"user_text": "good"}, "old"),
            letter(2, {"user_text": "bad", "latency_ms": "x"}, "old"),
            letter(3, b"{", "old"),
            letter(4, {"other": 1}, "old"),
        ]
    )
    for left in (3, 3):
        done = replay(store, ALL, Again())
        assert done.left == left and sum(done.stay.values()) == 3
        assert reasons(store) == {
            2: "latency_ms: expected a number, got 'x'",
            3: "not JSON: unexpected end of data at character 1: the record is cut",
            4: "in no known format",
        }
    assert "latency_ms: expected a number, got …" in done.stay


def test_a_format_that_was_not_known_then(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dead_letters.append([letter(1, {"messages": [{"role": "user", "content": "hi"}]})])
    assert replay(store, ALL, Again(stream=DECODERS[:1])).left == 1
    assert replay(store, ALL, Again(stream=DECODERS)).counts.turns == 1


def test_a_file_is_read_in_its_format_unless_another_is_named(store: Store, tmp_path: Path) -> None:
    log = write_lines(tmp_path / "log.jsonl", [{"user_text": "a"}, {"messages": [{"role": "user", "content": "hi"}]}])
    assert ingest_file(store, log, clock=clock).counts.dead_letters == 1
    assert replay(store, ALL, Again()).left == 1
    chat = decoder_named("openai-chat")
    assert replay(store, ALL, Again(chosen=chat)).read == 1
    sources = {row["turn_id"] for row in rows(store)}
    assert len({one.partition("-")[0] for one in sources}) == 1, "the id is made of the file and the record"
    # The format of a file that is gone: the first that knows the record.
    store.dead_letters.append([letter(8, {"user_text": "b"}, source="file:abc", partition="gone")])
    assert replay(store, ALL, Again()).read == 1


def test_the_rule_for_times(store: Store) -> None:
    store.dead_letters.append(
        [letter(1, {"user_text": "a"}), letter(2, {"user_text": "b", "created_at": "2026-01-01"})]
    )
    replay(store, ALL, Again(times=TimesRule.parse("at:2026-02-02")))
    assert [f"{row['created_at']:%m-%d}" for row in rows(store)] == ["02-02", "01-01"]


def test_only_the_chosen_are_read(store: Store) -> None:
    store.dead_letters.append([letter(number, {"user_text": f"t{number}"}) for number in range(5)])
    assert replay(store, Chosen(limit=2), Again()).read == 2
    one = store.dead_letters.read()[0]
    assert replay(store, Chosen(ids=(one.letter_id, "dl0")), Again()).read == 1
    assert (store.turns.count(), store.dead_letters.count()) == (3, 2)


def test_events_deletions_and_what_is_stored_already(store: Store) -> None:
    turn = {"turn_id": "t1", "user_text": "a", "user_id": "ann"}
    store.dead_letters.append(
        [
            letter(1, turn),
            letter(2, {"event": "feedback", "turn_id": "t1", "feedback_score": 1}),
            letter(3, turn),
            letter(4, {**turn, "user_text": "other"}),
            letter(5, {**turn, "model": "m"}),
            letter(6, {"messages": [{"role": "system", "content": "x"}]}),
        ]
    )
    done = replay(store, ALL, Again())
    assert done.counts == Counts(records=6, turns=1, repeated=1, conflicts=1, filled=1, events=1, empty=1)
    store.deletion.forget(user="ann", at=NOW + timedelta(days=1))
    store.dead_letters.append([letter(7, turn), letter(8, {"user_text": "b", "turn_id": "t2"})])
    assert replay(store, ALL, Again()).counts == Counts(records=2, turns=1, forgotten=1)
    store.dead_letters.append(
        [letter(9, {"event": "deletion", "turn_id": "t2"}), letter(10, b'{"turn_id": "t2", '), letter(11, b"{")]
    )
    assert replay(store, ALL, Again()).counts.events == 1
    assert store.turns.count() == 0 and set(reasons(store)) == {11}, "what names the deleted turn is gone, too"


def test_what_is_not_whole_is_not_read(store: Store) -> None:
    cut = RawRecord.too_long(1, b'{"user_text": "a"}' + b" " * 70_000)
    letters = [
        letter(1, cut.payload, str(cut.reason)),
        letter(2, b"", "the gzip stream is damaged or cut here: x"),
        letter(3, ["a", "b"], "the row has 2 cells and the header 3"),
        letter(4, {"user_text": "a"}, "something follows the array's closing bracket; it is not read"),
    ]
    store.dead_letters.append(letters)
    done = replay(store, ALL, Again())
    assert (done.read, done.left, sum(done.impossible.values()), done.stay) == (0, 4, 4, {})
    assert store.turns.count() == 0 and reasons(store) == {n + 1: one.reason for n, one in enumerate(letters)}
    assert why_not(letters[0]) == "only its beginning was kept"
    assert why_not(letter(5, b"{", "not JSON")) is None


def test_reasons_of_incomplete_records_are_known_as_the_readers_write_them(store: Store, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("user_text,model\na,b\na,b,c\n")
    array = tmp_path / "array.json"
    array.write_text('[{"conversations": [{"from": "human", "value": "hi"}]}] {"user_text": "x"}')
    for path in (table, array):
        assert ingest_file(store, path, clock=clock).counts.dead_letters == 1
    assert sum(replay(store, ALL, Again()).impossible.values()) == 2


def test_redacted_letters_are_read_as_they_are(store: Store, tmp_path: Path) -> None:
    record = {"user_text": "I am ann@example.org", "user_id": "ann@example.org", "latency_ms": "x"}
    bad = letter(1, redact_payload(orjson.dumps(record)))
    assert redact_identifier("ann@example.org").encode() in bad.payload, "her id is still hers"
    mended = replace(bad, payload=bad.payload.replace(b'"x"', b"1"))
    store.dead_letters.append([mended, letter(2, {"user_text": "no secret"})])
    done = replay(store, ALL, Again(redact=True))
    assert (done.read, done.redacted) == (2, 1)
    found = {row["turn_id"]: row for row in rows(store)}["kafka:turns-0-1"]
    assert (found["user_text"], found["user_id"]) == ("I am [email]", redact_identifier("ann@example.org"))


def test_redaction_of_today_is_done(store: Store, tmp_path: Path) -> None:
    letters = [letter(1, {"user_text": "ann@example.org", "turn_id": "ann@example.org"})]
    store.dead_letters.append(letters)
    replay(store, ALL, Again(redact=True))
    assert rows(store) == by_the_log(letters, DECODERS[0], tmp_path, redact=True)
    assert "ann@" not in str(rows(store))


@pytest.mark.parametrize(
    "record",
    [
        {"user_text": "a", "turn_id": "[email]"},
        {"user_text": "a", "conversation_id": "chat of [phone]"},
        {"event": "feedback", "turn_id": "[email]", "feedback_score": 1},
    ],
)
def test_turns_whose_ids_were_redacted_away_are_not_taken_for_one(store: Store, record: dict[str, Any]) -> None:
    store.dead_letters.append([letter(1, record), letter(2, record)])
    assert replay(store, ALL, Again()).left == 2
    assert "was redacted, so it cannot be told from others" in reasons(store)[1]
    assert store.turns.count() == store.events.read().num_rows == 0
    kept = {**record, **{name: f"{value}-1f2a3b4c" for name, value in record.items() if name.endswith("_id")}}
    store.dead_letters.append([letter(3, kept)])
    assert replay(store, ALL, Again()).read == 1


def test_a_bug_in_a_decoder_costs_one_letter_redacted_or_not(store: Store) -> None:
    class Broken:
        name = "broken"

        def matches(self, record: Any) -> bool:
            return True

        def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Any:
            if "bug" in record:
                raise KeyError("secret")
            return DECODERS[0].decode(record, at, defaults)

    records = ({"bug": 1}, {"bug": "[email]"}, {"user_text": "a"})
    store.dead_letters.append([letter(number, record) for number, record in enumerate(records)])
    done = replay(store, ALL, Again(chosen=Broken()))
    assert (done.read, done.left) == (1, 2)
    assert all("a bug of offmap" in reason and "secret" not in reason for reason in reasons(store).values())


def test_a_batch_is_bounded_by_rows_and_by_bytes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consumers.dead_letters.BATCH_BYTES", 1_000)
    sizes = [10, 10, 10, 10, 3_000, 600, 600, 10]
    store.dead_letters.append([letter(n, {"user_text": "x" * size}) for n, size in enumerate(sizes)])
    parts: list[int] = []
    monkeypatch.setattr(store.dead_letters, "at", _listening(store.dead_letters.at, parts))
    assert replay(store, ALL, Again(), batch_rows=3).read == 8
    assert parts == [3, 1, 1, 1, 2]


def _listening(function: Any, heard: list[int]) -> Any:
    def called(places: Any) -> Any:
        heard.append(places.num_rows)
        return function(places)

    return called


def test_rows_and_letters_are_one_transaction(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dead_letters.append([letter(n, {"user_text": f"t{n}"}) for n in range(4)] + [letter(9, b"{", "old")])

    def broken(*_: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(Batch, "store", broken)
        with pytest.raises(RuntimeError):
            replay(store, ALL, Again())
    assert (store.turns.count(), store.dead_letters.count(), reasons(store)[9]) == (0, 5, "old")
    assert replay(store, ALL, Again()).read == 4


def test_every_decoder_of_today_is_tried() -> None:
    assert Again().stream is decoders.DECODERS


def test_a_record_with_one_bad_trace_is_stored_but_for_it_and_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = document(
        span("1" * 16, chat([said("user", "half")]), name=5),
        span("2" * 16, chat([said("user", "whole")]), trace="a" * 32),
    )
    batch, at = Batch(0), Coordinates("kafka:spans", "0", 7)
    batch.take(parse_record(7, orjson.dumps(record)), decoder_named("otel-genai"), at, Defaults(NOW), redact=False)
    assert batch.store(store) == Counts(records=1, turns=1, dead_letters=1)
    [kept] = store.dead_letters.read(None)
    assert orjson.loads(kept.payload) == record and kept.reason.endswith("the other traces of the record are stored")
    still = replay(store, ALL, Again())
    assert (still.read, still.left, store.turns.count()) == (0, 1, 1)
    # A later offmap can read it: what was stored is known, and the rest is added.
    monkeypatch.setattr("consumers.decoders.otlp.check_text", lambda where, value: str(value))
    later = replay(store, ALL, Again())
    assert (later.counts.turns, later.counts.repeated, later.left, store.dead_letters.count()) == (1, 1, 0, 0)
