"""A word and an id are planted through every way in; when their user is forgotten, no file beside the store has a byte of
them, whatever made the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from monitor.records import Coordinates, DeadLetter, EvalItem, EvalSet, Event
from monitor.store import Store
from monitor.store.alerts import AlertRow, DeliveryRow, SubjectRow
from monitor.store.atlases import LineageRow
from monitor.store.attachment import Attachment
from monitor.store.backup import back_up, restore
from monitor.store.curation import DecisionRow, Evidence
from monitor.store.drift import DriftRow
from monitor.store.exports import OWN, ExportRow
from monitor.store.gap_lives import GapDecisionRow
from monitor.store.topic_names import TopicName
from tests.store.conftest import NOON, make_turn
from tests.store.test_deletion import traces
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
#: In a text, as an id, as the id of a turn and of a conversation: each must be found alone.
WORD, USER, TURN, CONVERSATION = "quixotrope", "wilhelmina-77", "turn-of-hers-1", "talk-of-hers-1"
SECRETS = (WORD, USER, TURN, CONVERSATION)
HERS = [
    make_turn(
        TURN,
        user_id=USER,
        conversation_id=CONVERSATION,
        user_text=f"My {WORD} parcel",
        assistant_text=f"Your {WORD}!",
        system_prompt=f"Serve {USER}",
        metadata={"who": USER},
        tool_calls=[{"name": "find", "arguments": {"q": WORD}}],
    ),
    make_turn("turn-of-hers-2", user_id=USER, conversation_id="shared", user_text=f"{WORD} again"),
]
OTHERS = [
    make_turn("o1", user_id="bob", conversation_id="shared", user_text="and my parcel"),
    make_turn("o2", user_id="cyd", user_text="late parcel"),
]
KEYS = [turn.key for turn in (*HERS, *OTHERS)]
LABEL = f"{WORD}, parcel, late"
DECISION = DecisionRow("", 0, NOON, None, "name", "t", 2, LABEL, f"{WORD} parcels", None, ("t",), "a1")


@pytest.fixture
def filled(name: str) -> str:
    with Store.open(name) as store:
        _traffic(store)
        _letters(store)
        _analysis(store)
        _exports(store, Attachment.parse(name).file.parent)
    return name


def _traffic(store: Store) -> None:
    store.turns.append([*HERS, *OTHERS])
    store.turns.append([make_turn(TURN, user_id=USER, conversation_id=CONVERSATION, user_text=f"other {WORD}")])
    store.events.append([feedback(TURN, -1, feedback_comment=f"bad {WORD}"), feedback("o1", 1)])
    store.events.append(
        [Event(kind="outcome", turn_id="turn-of-hers-2", created_at=NOON, fields={"runtime_error": WORD})]
    )
    hashes = [bytes([number]) * 16 for number in range(4)]
    store.vectors.append("mini", "text", hashes, unit_vectors(4))
    store.vectors.note_texts("text", KEYS, hashes)


def _letters(store: Store) -> None:
    payloads: list[tuple[bytes, tuple[tuple[str, str], ...]]] = [
        (orjson.dumps({"user_id": USER, "user_text": WORD}), ()),
        (orjson.dumps({"body": orjson.dumps({"turn_id": TURN, "feedback_comment": WORD}).decode()}), ()),
        (orjson.dumps({"conversation_id": CONVERSATION, "user_text": WORD})[:-3], ()),
        (WORD.encode(), (("user", USER),)),
        (b'{"user_id": "bob", "page": 1}', ()),
    ]
    store.dead_letters.append(
        [
            DeadLetter(Coordinates("kafka:t", "0", at), "bad", payload, NOON, headers)
            for at, (payload, headers) in enumerate(payloads)
        ]
    )


def _analysis(store: Store) -> None:
    topic = replace(topic_row(representatives=tuple(KEYS)), label=LABEL, keywords=(WORD, "parcel", "late"))
    named = replace(topic, topic_id="named", turns=0, label="late", keywords=("late",), representatives=())
    store.atlases.write(
        atlas_row("a1"), [topic, named], [LineageRow("k1", "born", None, 0.0, tuple(KEYS))], assignments(KEYS)
    )
    store.topic_names.add("a1", [TopicName("named", "small-chat", "", f"{WORD}'s parcels", (KEYS[2],), NOON)])
    store.reports.write_coverage(coverage_row("r1"), [], turn_coverage(KEYS))
    store.reports.write_gaps("r1", [replace(gap_row(examples=tuple(KEYS)), label=LABEL)])
    store.reports.write_signals("r1", signals(KEYS))
    body = {"text": f"{LABEL}: 3 % of it", "facts": [["Users", "3"]], "examples": KEYS}
    store.alerts.raise_alerts(
        [AlertRow("al1", "gap", "g1", NOON, f"Gap: {LABEL}", body, "/gaps")],
        [SubjectRow("gap", "g1", "open", NOON, NOON, NOON, 1.0, 1.0, tuple(KEYS))],
        channels=["slack"],
    )
    terms = [{"term": word, "before": 0.1, "after": 0.2, "contribution": 0.3} for word in (WORD, "parcel")]
    found = {"topics": [{"topic": "t", "label": LABEL}], "terms": terms, "turns": {"reference": 2, "current": 2}}
    said = f"The traffic changed. 9 % of it is about {LABEL}, 1 % before."
    store.drift.write(DriftRow("d1", "a1", NOON, "window", NOON, NOON, NOON, NOON, said, True, 0.01, 0.2, found))
    store.marks.add("noise", KEYS[0], bytes([0]) * 16, why=f"{WORD} is no parcel")
    store.jobs.enqueue("job-why", "why", {"turn": str(KEYS[0])})
    store.jobs.begin("job-drift", "drift", {})
    store.jobs.finish("job-drift", {"id": "d1", "verdict": f"The traffic changed: {LABEL} of before", "effect": 0.2})
    store.curation.add(DECISION, Evidence(KEYS, [bytes([number]) * 16 for number in range(4)], [0, 0, 1, 1]))
    note = GapDecisionRow("", 0, NOON, None, "note", "g1", "t1", None, f"they say {WORD}", None)
    store.gap_lives.decide([note, replace(note, kind="wont_fix", until=LATER)])
    store.eval_sets.save(EvalSet("shop", "1", NOON, (EvalItem(item_id="i1", prompt="late parcel"),)))


def _exports(store: Store, folder: Path) -> None:
    """One of the app, with her turn, an answer to somebody else whose example begins with her words, and one of another."""
    content = [f"My {WORD} parcel", f"{WORD} again; and my parcel", "late parcel"]
    keys = (KEYS[0], KEYS[2], KEYS[3])
    out = folder / OWN / "job-1"
    out.mkdir(parents=True)
    data = b"".join(orjson.dumps({"messages": [{"content": text}]}) + b"\n" for text in content)
    manifest = {
        "label": LABEL,
        "turn_ids": [TURN, "o1", "o2"],
        "examples": 3,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    (out / "g1.jsonl").write_bytes(data)
    text = orjson.dumps(manifest).decode()
    (out / "g1.manifest.json").write_text(text)
    store.exports.record(ExportRow("x1", NOON, str(out / "g1.jsonl"), "openai-chat", text, keys))
    store.exports.record(ExportRow("x2", NOON, "/elsewhere/g1.jsonl", "openai-chat", text, keys))


def everywhere(name: str, secret: str) -> set[str]:
    """Files under the store's folder with the bytes; `traces` reads Parquet files, and the compressed columns are read as
    tables."""
    folder = Attachment.parse(name).file.parent
    found = {str(path) for path in folder.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()}
    return found | traces(name, secret.encode()) | set(_cells(name, secret))


def _cells(name: str, secret: str) -> Iterator[str]:
    with Store.open(name) as store:
        tables = store._database.query("SELECT table_name FROM duckdb_tables() WHERE database_name = 'store'")
        for table in tables.column(0).to_pylist():
            if secret in str(store._database.query(f"SELECT * FROM {table}").to_pylist()):
                yield table


@pytest.mark.slow
def test_a_word_and_an_id_are_gone_from_every_file(filled: str) -> None:
    for secret in SECRETS:
        assert everywhere(filled, secret), f"{secret} was never there, so this test could not fail"
    with Store.open(filled) as store:
        done = store.deletion.forget(user=USER, at=LATER)
        assert (done.turns, done.dead_letters, done.exports) == (2, 4, ("/elsewhere/g1.jsonl",))
    for secret in SECRETS:
        assert everywhere(filled, secret) == set()
    with Store.open(filled) as store:
        assert store._database.query("SELECT * FROM alerts").num_rows == 1
        assert store.alerts.read()[0].title == "Gap: …, parcel, late"
        assert store.alerts.read()[0].content.examples == tuple(KEYS[2:])
        assert store.alerts.subjects("gap")[0].members == tuple(KEYS[2:])
        assert store.alerts.deliveries() == [DeliveryRow("al1", "slack", "due", 0, NOON)]
        assert store.atlases.topics("a1")[0].keywords == ("parcel", "late")
        assert store.atlases.lineage("a1")[0].turns == tuple(KEYS[2:])
        assert store.drift.read()[0].body["topics"][0]["label"] == "…, parcel, late"
        assert [one["term"] for one in store.drift.read()[0].body["terms"]] == ["parcel"]
        assert [turn.turn_id for turn in store.turns.fetch(KEYS)] == ["o1", "o2"]
        assert store.dead_letters.count() == 1
        assert [(job.job_id, job.result) for job in store.jobs.read()] == [("job-drift", {"id": "d1", "effect": 0.2})]


def test_an_export_of_the_app_loses_the_examples(filled: str) -> None:
    with Store.open(filled) as store:
        store.deletion.forget(user=USER, at=LATER)
        kept = {one.export_id: one for one in store.exports.read()}
    # Of the one that is not ours the list alone; of ours also the example that begins with her words.
    assert kept["x2"].turn_keys == (KEYS[2], KEYS[3]) and kept["x1"].turn_keys == (KEYS[3],)
    path = Path(kept["x1"].path)
    assert [orjson.loads(line) for line in path.read_bytes().splitlines()] == [
        {"messages": [{"content": "late parcel"}]}
    ]
    manifest = orjson.loads(path.with_name("g1.manifest.json").read_bytes())
    assert (manifest["examples"], manifest["forgotten"], manifest["turn_ids"]) == (1, 2, ["o2"])
    assert manifest["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_export_that_somebody_changed_is_named(filled: str) -> None:
    path = Attachment.parse(filled).file.parent / OWN / "job-1" / "g1.jsonl"
    path.write_bytes(path.read_bytes()[5:])
    with Store.open(filled) as store:
        assert str(path) in store.deletion.forget(user=USER, at=LATER).exports


def test_an_eval_set_that_asks_the_same_is_named(filled: str) -> None:
    with Store.open(filled) as store:
        assert store.deletion.forget(user="cyd", at=LATER).eval_sets == ("shop",)


def test_a_word_that_others_write_stays_in_labels(filled: str) -> None:
    with Store.open(filled) as store:
        store.deletion.forget(user="bob", at=LATER)
        assert store.atlases.topics("a1")[0].label == LABEL
        store.deletion.forget(user="cyd", at=LATER)  # "late" was hers alone; the parcel is somebody's still
        assert store.atlases.topics("a1")[0].label == f"{WORD}, parcel, …"


def test_what_a_killed_process_spilled_goes_at_the_next_opening(name: str) -> None:
    Store.open(name).close()
    file = Attachment.parse(name).file
    folder = file.with_name(f"{file.name}.tmp")
    folder.mkdir(exist_ok=True)
    (folder / "duckdb_temp_storage_DEFAULT-0.tmp").write_text(WORD)
    (folder / "mine.txt").write_text("no file of DuckDB's")
    Store.open(name).close()
    # Several processes use a catalog in PostgreSQL at once: what lies there may be another's.
    assert (everywhere(name, WORD) == set()) == ("postgres:" not in name) and (folder / "mine.txt").exists()


@pytest.mark.slow
def test_it_is_gone_from_a_backup_that_is_restored(filled: str, tmp_path: Path) -> None:
    with Store.open(filled) as store:
        made = back_up(store, tmp_path / "b", at=NOON).path
        store.deletion.forget(user=USER, at=LATER)
    if filled.startswith("ducklake:"):  # a backup is restored as a DuckDB file, so as another store
        file = Attachment.parse(filled).file
        restored = str(tmp_path / "restored.duckdb")
        done = restore(made, restored, deletions=file.with_name(f"{file.name}.deletions"))
        left = [made]
    else:
        restored = filled
        done = restore(made, restored, replace=True)
        assert done.aside is not None
        left = [made, done.aside]
    assert done.forgotten == 2
    for file in left:  # a backup is whoever's made it, and the store that was there is named by `forget`
        assert file.exists()
        file.unlink()
    for secret in SECRETS:
        assert everywhere(restored, secret) == set()


def test_deletions_of_a_stream_leave_the_disk_together(name: str) -> None:
    moment = [NOON]
    with Store.open(name, clock=lambda: moment[0]) as store:
        store.turns.append([*HERS, *OTHERS])
        for turn in HERS:
            store.deletion.forget(turn=turn.turn_id, at=LATER, erase=False)
        assert store.turns.count() == 2
        assert not store.erase_due(timedelta(hours=1))
        moment[0] += timedelta(hours=1)
        assert store.erase_due(timedelta(hours=1)) and not store.erase_due()
    assert everywhere(name, WORD) == set()
