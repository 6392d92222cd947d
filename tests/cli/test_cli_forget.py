"""`offmap forget`."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_support import Offmap

KEYS = {"turns", "events", "vectors", "dead_letters", "later", "exports", "copies", "eval_sets"}
RUN = "import sys; from monitor.cli import main; sys.exit(main())"


def turn_ids(offmap: Offmap) -> set[str]:
    return {line["turn_id"] for line in offmap.done("turns", "--json").lines}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "name", "turns"), [("--turn", "c3-1", 1), ("--conversation", "c3", 2), ("--user", "u3", 8)]
)
def test_a_subject_leaves(analysed: Offmap, option: str, name: str, turns: int) -> None:
    before = turn_ids(analysed)
    ran = analysed.done("forget", option, name, "--yes", "--json").json
    assert set(ran) == KEYS and ran["turns"] == turns
    assert len(before - turn_ids(analysed)) == turns
    again = analysed.done("forget", option, name, "--yes", "--json").json
    assert again["turns"] == 0


def test_a_tenant_narrows_it(analysed: Offmap) -> None:
    assert analysed.done("forget", "--user", "u3", "--tenant", "us", "--yes", "--json").json["turns"] == 0
    assert analysed.done("forget", "--user", "u3", "--tenant", "eu", "--yes", "--json").json["turns"] == 8


def test_without_a_terminal_it_needs_yes(analysed: Offmap) -> None:
    before = turn_ids(analysed)
    environment = {**os.environ, **analysed.environment}
    ran = subprocess.run(
        [sys.executable, "-c", RUN, "forget", "--user", "u3"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 2 and "add --yes" in ran.stderr and len(ran.stderr.splitlines()) == 1
    assert turn_ids(analysed) == before


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, 480), ("", 1, 480), ("y", 0, 472)])
def test_on_a_terminal_it_asks(analysed: Offmap, answer: str, code: int, left: int) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "forget", "--user", "u3"],
        env={**os.environ, **analysed.environment},
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(ours, f"{answer}\n".encode())
    out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code, err
    assert "Forget 8 turns of user u3 for good?" in err
    assert ("nothing was forgotten" in err) == (code == 1) and ("Forgotten: 8 turns" in out) == (code == 0)
    assert len(turn_ids(analysed)) == left


def test_exactly_one_subject(analysed: Offmap) -> None:
    for arguments in ((), ("--user", "u3", "--turn", "c3-1"), ("--user", "")):
        ran = analysed("forget", *arguments, "--yes")
        assert ran.code == 2 and "exactly one of --user, --conversation and --turn" in ran.err


def test_exports_and_copies_that_still_hold_text_are_named(analysed: Offmap) -> None:
    gap = analysed.done("gaps", "--json").json["gaps"][0]["id"]
    export = analysed.done("export", "--gap", gap, "--out", analysed.folder / "out", "--json").json
    exported = json_of(export["manifest"])["turn_ids"][0]
    copy = analysed.store.with_name(f"{analysed.store.name}.before-v3")
    copy.write_bytes(b"an old store")
    ran = analysed.done("forget", "--turn", exported, "--yes")
    assert export["path"] in ran.out and str(copy) in ran.out
    found = analysed.done("forget", "--turn", "c0-0", "--yes", "--json").json
    assert found["copies"] == [str(copy)] and found["exports"] == []


def test_an_id_that_was_redacted_at_ingest_is_found_too(offmap: Offmap, jsonl: Callable[..., Path]) -> None:
    log = jsonl({"user_text": "secret plan of mine", "user_id": "ann@example.org"})
    offmap.done("ingest", log, OFFMAP_INGEST_REDACT="yes")
    ran = offmap.done("forget", "--user", "ann@example.org", "--yes", "--json").json
    assert ran["turns"] == 1
    assert b"secret plan" not in offmap.store.read_bytes()
    # A log that is read again does not bring it back, redacted or not.
    assert offmap.done("ingest", log, "--format", "offmap", "--json").json["turns"] == 0


@pytest.mark.slow
def test_gaps_are_shown_without_the_forgotten_examples(analysed: Offmap) -> None:
    gap = analysed.done("gaps", "--json").json["gaps"][0]
    for example in gap["examples"]:
        analysed.done("forget", "--turn", example["turn_id"], "--yes")
    assert analysed.done("gaps", "--json").json["gaps"][0]["examples"] == []
    assert analysed("gaps").code == analysed("topics").code == 0


def json_of(path: str) -> dict[str, list[str]]:
    import json

    return json.loads(Path(path).read_text())
