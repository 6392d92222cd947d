"""Every command on a store that another holds: the same output, the same exit code, the same store afterwards."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
import typer
from cli_support import Offmap, in_folder
from cli_traffic import write_eval_set, write_log

from monitor.cli.app import app
from monitor.records import Coordinates
from monitor.store import Store

UNTIL = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
#: Each command of the app, with arguments. GAP, TOPIC and LETTER stand for ids, UNTIL for a day, DIR for the test's folder.
COMMANDS = [
    ("init",),
    ("ingest", "DIR/more.jsonl"),
    ("ingest", "DIR/more.jsonl", "--json"),
    ("evalset", "import", "DIR/evals.jsonl", "--name", "other"),
    ("evalset", "list"),
    ("evalset", "list", "--json"),
    ("evalset", "show", "shop"),
    ("evalset", "health", "shop"),
    ("evalset", "health", "shop", "--json"),
    ("analyse", "--eval-set", "shop"),
    ("analyse", "--eval-set", "nothing"),
    ("gaps",),
    ("gaps", "--json"),
    ("gap", "GAP"),
    ("gap", "GAP", "--owner", "Ann", "--planned", "https://tracker.example.org/1", "--who", "bob"),
    ("gap", "GAP", "--wont-fix", "not now", "--until", "UNTIL", "--json"),
    ("gap", "nothing"),
    ("gaps", "--all"),
    ("gaps", "--all", "--json"),
    ("gap", "GAP", "--reopen"),
    ("gate", "--eval-set", "shop", "--min-coverage", "0.1"),
    ("gate", "--eval-set", "shop", "--min-coverage", "1", "--json"),
    ("selftest",),
    ("selftest", "--json"),
    ("topics",),
    ("topics", "--json"),
    ("topics", "--lineage"),
    ("topics", "--lineage", "--json"),
    ("topics", "name", "TOPIC", "A name"),
    ("topics", "name", "TOPIC", "Another name", "--json"),
    ("topics", "merge", "TOPIC", "nothing"),
    ("topics", "split", "TOPIC"),
    ("topics", "lock", "TOPIC"),
    ("topics", "unlock", "TOPIC"),
    ("topics", "promote", "TOPIC", "--intent", "late parcels", "--json"),
    ("topics", "undo", "nothing"),
    ("topics", "decisions"),
    ("topics", "decisions", "--json"),
    ("turns", "--topic", "TOPIC"),
    ("turns", "--json"),
    ("signals", "--json"),
    ("drift",),
    ("drift", "--json"),
    ("drift", "--against", "shop"),
    ("lookout",),
    ("lookout", "--accept", "--json"),
    ("keywords",),
    ("trends", "--current", "2026-03-08/2026-03-15"),
    ("trends", "--level", "fine", "--json"),
    ("watchlist",),
    ("watchlist", "--json"),
    ("alerts", "list"),
    ("alerts", "list", "--json"),
    ("alerts", "retry"),
    ("alerts", "test"),
    ("export", "--gap", "GAP", "--out", "DIR/out"),
    ("export", "--gap", "GAP", "--out", "DIR/out", "--json"),
    ("export", "--gap", "nothing", "--out", "DIR/out"),
    ("deadletters", "list"),
    ("deadletters", "list", "--json"),
    ("deadletters", "list", "--summary"),
    ("deadletters", "show", "LETTER"),
    ("deadletters", "show", "LETTER", "--json"),
    ("deadletters", "replay", "LETTER"),
    ("deadletters", "replay", "--all", "--format", "sharegpt", "--json"),
    ("deadletters", "discard", "--reason", "JSON", "--yes"),
    ("deadletters", "discard", "LETTER", "--yes", "--json"),
    ("why", "c1-0"),
    ("why", "c1-0", "--tenant", "eu", "--json"),
    ("why", "nothing"),
    ("mark", "c1-0", "c2-0", "--covered", "--why", "as refunds", "--json"),
    ("mark", "c4-0", "--noise"),
    ("unmark", "c2-0"),
    ("unmark", "c9-0"),
    ("forget", "--user", "u3", "--yes"),
    ("forget", "--turn", "c0-0", "--yes", "--json"),
    ("config", "show", "--json"),
    ("backup", "DIR/backups"),
    ("backup", "DIR/more-backups", "--json"),
]
#: Not compared here, with the reason.
ELSEWHERE = {
    ("serve",): "it is what holds the store (tests/service)",
    ("config", "key"): "it is random, and touches no store",
    ("restore",): "it refuses a store that is held (tests/store/test_backup.py)",
    ("consume",): "it needs a broker (tests/consumers/test_kafka.py)",
    ("replay",): "it takes long; tests/service/test_replay.py runs it on a held store",
    ("doctor",): "it says that the store is shared; below",
}


def names(group: typer.Typer, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for command in group.registered_commands:
        yield (*before, command.name or command.callback.__name__)  # type: ignore[union-attr]
    for inner in group.registered_groups:
        yield from names(inner.typer_instance, (*before, str(inner.name)))  # type: ignore[arg-type]


def test_every_command_is_here() -> None:
    tested = {command[:1] for command in COMMANDS} | {command[:2] for command in COMMANDS} | set(ELSEWHERE)
    assert [name for name in names(app) if name not in tested] == []


def prepared(built: Offmap, folder: Path) -> Offmap:
    folder.mkdir()
    shutil.copy(built.store, folder / "store.duckdb")
    made = in_folder(folder)
    lists = '[{name = "parcels", phrases = ["parcel"]}]'
    made = Offmap(made.folder, {**made.environment, "OFFMAP_ANALYSIS_WATCH_LISTS": lists})
    write_log(folder / "more.jsonl", conversations=20, seed=9)
    with (folder / "more.jsonl").open("a") as more:
        more.write("{ broken\n")
    write_eval_set(folder / "evals.jsonl", each=3, seed=9)
    return made


def letter(log: Path) -> str:
    """The id of the broken record at the end of the log."""
    content = log.read_bytes()
    return Coordinates(f"file:{sha256(content).hexdigest()}", "offmap", content.count(b"\n") - 1).letter_id


def normalised(text: str, folder: Path) -> str:
    """Without what must differ: the folder, the clock, durations, and ids that hold a time."""
    text = text.replace(str(folder), "DIR")
    text = re.sub(r"offmap-\d{8}T\d{6}Z|[\d.,]+ MB|\"bytes\": \d{6,}", "BACKUP", text)
    text = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?Z?", "TIME", text)
    text = re.sub(r"\b\d+(\.\d+)? s\b|\"seconds\": [\d.e-]+", "SECONDS", text)
    return re.sub(
        r"\bal[0-9a-f]{12}\b|\b[dm][0-9a-f]{8}\b|\b[0-9a-f]{64}\b|\"export_id\": \"[^\"]*\"|\bx[0-9a-f]{12}\b",
        "ID",
        text,
    )


@pytest.mark.slow
def test_each_command_does_the_same_on_a_store_that_is_held(built: Offmap, tmp_path: Path) -> None:
    alone, held = prepared(built, tmp_path / "alone"), prepared(built, tmp_path / "held-")
    gap = alone.done("gaps", "--json").json["gaps"][0]
    with Store.open(str(held.store)) as store:
        sharing = store.share(url="http://127.0.0.1:8050")
        assert sharing is not None
        sharing.start()
        for command in COMMANDS:
            results = []
            for offmap in (alone, held):
                places = {
                    "UNTIL": UNTIL,
                    "GAP": gap["id"],
                    "TOPIC": gap["topic"],
                    "LETTER": letter(offmap.folder / "more.jsonl"),
                }
                ran = offmap(*(places.get(part, part.replace("DIR", str(offmap.folder))) for part in command))
                results.append((ran.code, normalised(ran.out, offmap.folder), normalised(ran.err, offmap.folder)))
            assert results[0] == results[1], command
        assert "shared" in held("doctor").out or held("doctor").code == 0
        assert store.turns.count() > 0
        sharing.close()
    with Store.open(str(alone.store)) as one, Store.open(str(held.store)) as other:
        assert one.turns.read(columns=("turn_id", "user_text")) == other.turns.read(columns=("turn_id", "user_text"))
        assert one.eval_sets.summaries()[0].version == other.eval_sets.summaries()[0].version
