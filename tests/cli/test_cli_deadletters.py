"""`offmap deadletters`: list, show, replay, discard."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from datetime import datetime

import pytest
from cli_support import Offmap

from monitor.records import Coordinates, DeadLetter
from monitor.store import Store

RUN = "import sys; from monitor.cli import main; sys.exit(main())"
NOON = datetime(2026, 3, 1, 12)
BAD = (
    '{"user_text": "good"}\n'
    '{"user_text": "cut off\n'
    '{"user_text": "slow", "latency_ms": "fast"}\n'
    '{"user_text": "slow too", "latency_ms": "faster"}\n'
    '{"messages": [{"role": "user", "content": "where is my meter"}]}\n'
)


def ingested(offmap: Offmap) -> Offmap:
    log = offmap.folder / "log.jsonl"
    log.write_text(BAD)
    offmap.done("ingest", log)
    return offmap


def keep(offmap: Offmap, *letters: DeadLetter) -> None:
    with Store.open(str(offmap.store)) as store:
        assert store.dead_letters.append(letters) == len(letters)


def kafka(position: int, payload: bytes, reason: str = "in no known format", **more: object) -> DeadLetter:
    return DeadLetter(Coordinates("kafka:turns", "0", position), reason, payload, NOON, **more)  # type: ignore[arg-type]


def ids(offmap: Offmap, *options: str) -> list[str]:
    return [one["id"] for one in offmap.done("deadletters", "list", "--json", *options).json["dead_letters"]]


def test_each_bad_record_is_listed_with_its_reason(offmap: Offmap) -> None:
    found = ingested(offmap).done("deadletters", "list", "--json").json
    assert found["total"] == 4
    letters = {one["record"]: one for one in found["dead_letters"]}
    assert set(letters) == {2, 3, 4, 5}
    assert "JSON" in letters[2]["reason"] and "latency_ms" in letters[3]["reason"]
    keys = {"id", "source", "partition", "position", "record", "reason", "bytes", "received_at"}
    assert set(letters[2]) == keys

    shown = offmap.done("deadletters", "list").out
    assert "4 records could not be read" in shown and "latency_ms" in shown and letters[2]["id"] in shown
    assert "cut off" not in shown
    assert "the latest 1 are shown" in offmap.done("deadletters", "list", "--limit", "1").out


def test_none_is_said(offmap: Offmap) -> None:
    offmap.done("init")
    assert "no dead letters" in offmap.done("deadletters", "list").out
    assert offmap.done("deadletters", "list", "--json").json == {"total": 0, "dead_letters": []}
    assert offmap.done("deadletters", "list", "--summary", "--json").json == {"total": 0, "reasons": []}
    assert "nothing was replayed" in offmap.done("deadletters", "replay", "--all").out
    assert "0 dead letters" in offmap.done("deadletters", "discard", "--all", "--yes").out


@pytest.mark.slow
def test_letters_are_chosen_by_source_reason_and_time(offmap: Offmap) -> None:
    ingested(offmap)
    keep(
        offmap,
        kafka(7, b"{"),
        DeadLetter(Coordinates("kafka:turns#2", "0", 7), "100% bad_", b"{", NOON),
        DeadLetter(Coordinates("kafka:turns-eu", "0", 7), "latency_ms: negative", b"{", NOON),
    )
    file = offmap.done("deadletters", "list", "--json", "--reason", "JSON").json["dead_letters"][0]["source"]

    def count(*options: str) -> int:
        return int(offmap.done("deadletters", "list", "--json", *options).json["total"])

    assert count("--source", file) == count("--source", file[:13]) == count("--source", file[5:13]) == 4
    assert count("--source", "turns") == 2, "a topic that was made again is one topic"
    assert count("--source", "kafka:turns#2") == count("--source", "turns-eu") == 1
    assert count("--source", "turn") == 0
    assert count("--reason", "LATENCY") == 3
    assert count("--reason", "latency_ms: expected a number, got …") == 2
    assert count("--reason", "100% bad_") == 1 and count("--reason", "%") == 1 and count("--reason", "e_d") == 0
    assert count("--since", "2026-03-01T12:00:01") == 4
    assert count("--since", "2026-03-01", "--source", "turns") == 2
    assert "No dead letter fits" in offmap.done("deadletters", "list", "--reason", "nothing").out


def test_the_summary_counts_by_kind_of_reason(offmap: Offmap) -> None:
    found = ingested(offmap).done("deadletters", "list", "--summary", "--json").json
    assert found["total"] == 4
    assert {one["reason"]: one["letters"] for one in found["reasons"]} == {
        "latency_ms: expected a number, got …": 2,
        "not JSON: unexpected end of data at character …: the record is cut": 1,
        "user_text: missing; it is the one field that a turn needs": 1,
    }
    assert found["reasons"][0]["letters"] == 2 and set(found["reasons"][0]) == {"reason", "letters", "newest"}
    shown = offmap.done("deadletters", "list", "--summary").out
    assert "4 records could not be read, for 3 reasons" in shown and "fast" not in shown


def test_one_letter_is_shown_and_cannot_act(offmap: Offmap) -> None:
    offmap.done("init")
    hostile = '{"user_text": "\x1b[2J\u202egnirts\x07", "x": "\xff'.encode("latin-1", "ignore") + b"\xff\xfe\r\n  end"
    letter = kafka(7, hostile, headers=(("trace\x1b[31m", "u\u202e9"),))
    keep(offmap, letter)
    ran = offmap.done("deadletters", "show", letter.letter_id)
    assert "\x1b" not in ran.out and "\u202e" not in ran.out and "\x07" not in ran.out and "\r" not in ran.out
    for part in (r"\x1b[2J", r"\xff\xfe\r", "\n  end", "offset 7", "in no known format", r"u\u202e9"):
        assert part in ran.out, part
    found = offmap.done("deadletters", "show", letter.letter_id, "--json").json
    assert found["payload"].endswith("\\xff\\xfe\r\n  end") and found["headers"][0][1] == "u\u202e9"

    ran = offmap("deadletters", "show", "dl000000000000")
    assert ran.code == 2 and "dl000000000000" in ran.err


def test_a_good_record_is_laid_out_and_a_long_one_cut(offmap: Offmap) -> None:
    offmap.done("init")
    keep(offmap, kafka(1, b'{"a":{"b":1}}'), kafka(2, b'{"a":"' + b"x" * 300_000 + b'"}'))
    assert '"a": {\n    "b": 1' in offmap.done("deadletters", "show", kafka(1, b"").letter_id).out
    shown = offmap.done("deadletters", "show", kafka(2, b"").letter_id).out
    assert "The first 20,000 of 300,008 characters" in shown and len(shown) < 22_000


def test_what_can_be_read_now_is_stored_and_the_rest_stays(offmap: Offmap) -> None:
    ingested(offmap)
    ran = offmap.done("deadletters", "replay", "--reason", "user_text", "--format", "openai-chat", "--json").json
    assert (ran["read"], ran["turns"], ran["left"], ran["missing"]) == (1, 1, 0, 0)
    ran = offmap.done("deadletters", "replay", "--all", "--json").json
    assert (ran["read"], ran["left"], ran["impossible"]) == (0, 3, 0)
    assert {one["letters"] for one in ran["reasons"]} == {1, 2}
    shown = offmap.done("deadletters", "replay", "--all").out
    assert "0 dead letters could be read now." in shown and "3 stay:" in shown
    assert offmap.done("deadletters", "list", "--json").json["total"] == 3
    assert sorted(line["record"] for line in offmap.done("deadletters", "list", "--json").json["dead_letters"]) == [
        2,
        3,
        4,
    ]


def test_by_ids_twice_is_as_once(offmap: Offmap) -> None:
    offmap.done("init")
    keep(offmap, kafka(1, b'{"user_text": "one"}'), kafka(2, b'{"user_text": "two"}'), kafka(3, b"{"))
    one, bad = kafka(1, b"").letter_id, kafka(3, b"").letter_id
    shown = offmap.done("deadletters", "replay", one, bad).out
    assert "1 dead letter could be read now: 1 new turn." in shown and "1 stays" in shown
    again = offmap("deadletters", "replay", one, bad)
    assert again.code == 0 and "0 dead letters could be read now." in again.out
    assert "1 id names no dead letter (any more)" in again.err
    assert ids(offmap) == [bad, kafka(2, b"").letter_id]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["replay", "discard"])
def test_it_must_be_said_which(offmap: Offmap, command: str) -> None:
    ingested(offmap)
    for options in ((), ("--all", "--reason", "x"), ("dl1", "--all"), ("dl1", "--limit", "3")):
        ran = offmap("deadletters", command, *options)
        assert ran.code == 2 and "--all of them" in ran.err, options
    for options in (("--since", "yesterday"), ("--reason", " "), ("--source", "")):
        ran = offmap("deadletters", command, *options)
        assert ran.code == 2 and options[0] in ran.err
    assert offmap("deadletters", "replay", "--all", "--format", "opneai-chat").code == 2
    assert len(ids(offmap)) == 4


def test_discarded_letters_are_gone(offmap: Offmap) -> None:
    ingested(offmap)
    gone = ids(offmap, "--reason", "JSON")
    ran = offmap.done("deadletters", "discard", *gone, "--yes", "--json").json
    assert ran == {"discarded": 1, "missing": 0, "left": 3}
    assert "Discarded: 1 dead letter; 2 are left." in offmap.done("deadletters", "discard", "--limit", "1", "--yes").out
    assert "Discarded: 2 dead letters; none is left." in offmap.done("deadletters", "discard", "--all", "--yes").out
    again = offmap.done("ingest", offmap.folder / "log.jsonl", "--json").json
    assert again["files"][0]["dead_letters"] == 0, "a log that was read is not read again"


def test_without_a_terminal_discard_needs_yes(offmap: Offmap) -> None:
    ingested(offmap)
    ran = subprocess.run(
        [sys.executable, "-c", RUN, "deadletters", "discard", "--all"],
        env={**os.environ, **offmap.environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2 and "add --yes" in ran.stderr and len(ran.stderr.splitlines()) == 1
    assert len(ids(offmap)) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 4), ("y", 0, 2)])
def test_on_a_terminal_discard_asks(offmap: Offmap, answer: str, code: int, left: int) -> None:
    ingested(offmap)
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "deadletters", "discard", "--reason", "latency_ms"],
        env={**os.environ, **offmap.environment},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(ours, f"{answer}\n".encode())
    _, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code, err
    assert "Discard 2 dead letters for good?" in err and ("nothing was discarded" in err) == (code == 1)
    assert len(ids(offmap)) == left


@pytest.mark.slow
def test_a_replay_that_is_killed_loses_and_doubles_nothing(offmap: Offmap) -> None:
    offmap.done("init")
    many = 3_000
    payloads = [
        b"{ broken" if number % 10 == 0 else json.dumps({"user_text": f"question {number}"}).encode()
        for number in range(many)
    ]
    keep(offmap, *(kafka(number, payload) for number, payload in enumerate(payloads)))
    environment = {**os.environ, **offmap.environment, "OFFMAP_INGEST_BATCH_ROWS": "20"}
    bad, patience, stored = many // 10, 0.3, [0]
    while True:
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, "deadletters", "replay", "--all"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            assert process.wait(patience) == 0
            break
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait(30)
        with Store.open(str(offmap.store)) as store:
            stored.append(store.turns.count())
            assert stored[-1] + store.dead_letters.count() == many
        patience += 0.12
    assert any(0 < count < many - bad for count in stored), "no kill came in the middle"
    with Store.open(str(offmap.store)) as store:
        assert (store.turns.count(), store.dead_letters.count(), store.turns.conflicts()) == (many - bad, bad, 0)
        expected = {f"kafka:turns-0-{number}" for number in range(many) if number % 10}
        assert set(store.turns.read(columns=("turn_id",)).column(0).to_pylist()) == expected
