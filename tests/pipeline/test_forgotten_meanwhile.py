"""Turns that are forgotten while something has them in hand: an analysis, or new turns getting their topics. Nothing of them
comes back, in no table and in no file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from consumers.ingest import ingest_file, utc_now
from monitor import pipeline, watch
from monitor.assignment import Assigner
from monitor.encoding.hashing import HashingEncoder
from monitor.encoding.recipe import USER_TEXT, text_hash
from monitor.evalsets.importer import import_eval_set
from monitor.pipeline import analyse
from monitor.progress import Progress
from monitor.records import Turn
from monitor.store.store import Store
from tests.cli.cli_traffic import write_eval_set
from tests.pipeline.test_topic_decisions import fixed, ingest
from tests.store.templates import Templates, file_name
from tests.store.test_deletion_everywhere import everywhere

#: In texts of `THEIRS` alone, and in so many of them that it comes into labels.
WORD = "quixotrope"
THEIRS = [f"theirs-{number}" for number in range(30)]
_REST = (
    "aquarium fish filter",
    "tank algae bubbles",
    "fish tank filter",
    "aquarium algae bubbles",
    "filter bubbles fish",
)

#: Before these calls of the pipeline, by name: each is in another step, and the last is in the publication.
STEPS = ("build_network", "find_topics", "draw_map", "find_signals", "compare", "_write_report", "_publish")


@pytest.fixture(params=["duckdb", pytest.param("ducklake", marks=pytest.mark.slow)])
def name(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return file_name(request.param, tmp_path)


@pytest.fixture
def store(name: str, tmp_path: Path, templates: Templates) -> Iterator[Store]:
    """A log, and turns that are going to be forgotten."""
    templates.copy_to(name)
    with Store.open(name, threads=2) as opened:
        ingest(opened, tmp_path, seed=3, name="a", conversations=96)
        import_eval_set(opened, write_eval_set(tmp_path / "shop.jsonl"), "shop", utc_now)
        yield opened


def say(store: Store, folder: Path) -> None:
    """Each the second turn of a conversation whose first one stays."""
    lines: list[dict[str, Any]] = []
    for number, turn_id in enumerate(THEIRS):
        about = {"conversation_id": f"talk-{number}", "user_id": f"they-{number}"}
        at = f"2026-03-{3 + number % 8:02}T10:{number:02}"
        lines.append({"turn_id": f"before-{number}", "created_at": f"{at}:00Z", "user_text": "my fish tank", **about})
        text = f"{WORD} {_REST[number % len(_REST)]} {number}"
        lines.append({"turn_id": turn_id, "created_at": f"{at}:30Z", "user_text": text, "feedback_score": -1, **about})
    path = folder / "theirs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    ingest_file(store, path, clock=utc_now)
    path.unlink()


def forget(store: Store) -> None:
    for turn_id in THEIRS:
        store.deletion.forget(turn=turn_id, at=utc_now(), erase=False)
    store.erase_due()


def keys() -> list[int]:
    return [Turn(turn_id=one, user_text="", created_at=utc_now(), conversation_id="").key for one in THEIRS]


def tables_with(store: Store, sought: Sequence[object]) -> set[str]:
    """Tables with one of these in any cell."""
    named = store._database.query("SELECT table_name FROM duckdb_tables() WHERE database_name = 'store'")
    words = [str(one) for one in sought]
    found = set()
    for table in named.column(0).to_pylist():
        text = str(store._database.query(f"SELECT * FROM {table}").to_pylist())
        if any(word in text for word in words):
            found.add(table)
    return found


def run(store: Store) -> pipeline.Analysis:
    return analyse(store, HashingEncoder(), fixed(), eval_sets=["shop"], clock=utc_now)


def before(patch: pytest.MonkeyPatch, step: str, do: Callable[[], None], module: ModuleType = pipeline) -> list[str]:
    """Do something once, before a function of the module is called; what is returned then says so."""
    real, done = getattr(module, step), list[str]()

    def first(*given: Any, **named: Any) -> Any:
        if not done:
            done.append(step)
            do()
        return real(*given, **named)

    patch.setattr(module, step, first)
    return done


class Interrupted(HashingEncoder):
    """Somebody forgets turns while their texts are encoded."""

    def __init__(self, do: Callable[[], None]) -> None:
        self._do, self.done = do, False

    def encode(self, texts: Sequence[str], *, progress: Progress | None = None) -> NDArray[np.float32]:
        if not self.done and any(WORD in text for text in texts):
            self.done = True
            self._do()
        return super().encode(texts, progress=progress)


def test_without_forgetting_they_are_in_every_table(store: Store, tmp_path: Path) -> None:
    """So that the other tests could fail."""
    say(store, tmp_path)
    run(store)
    assert tables_with(store, keys()) >= {
        *("turns", "turn_texts", "turn_languages", "assignments", "lineage_turns", "topics", "layout"),
        *("turn_coverage", "gaps", "signals"),
    }
    assert tables_with(store, [WORD]) == {"turns", "topics", "gaps"}


@pytest.mark.parametrize("step", STEPS)
def test_an_analysis_brings_nothing_back(
    store: Store, name: str, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(store, tmp_path)
    done = before(monkeypatch, step, lambda: forget(store))
    published = run(store)
    assert done and store.runs.current() == published.run
    assert tables_with(store, [*keys(), WORD]) == set()
    assert store.atlases.assignments(published.run.atlas_id).num_rows == store.turns.count()
    store.close()
    assert everywhere(name, WORD) == set()


def test_turns_that_are_forgotten_while_they_are_encoded_bring_nothing_back(store: Store, tmp_path: Path) -> None:
    say(store, tmp_path)
    encoder = Interrupted(lambda: forget(store))
    published = analyse(store, encoder, fixed(), eval_sets=["shop"], clock=utc_now)
    assert encoder.done and store.runs.current() == published.run
    assert tables_with(store, [*keys(), WORD]) == set()
    left = {row["text_hash"] for row in store.vectors.texts(USER_TEXT.name).to_pylist()}
    assert set(store.vectors.hashes(encoder.name, USER_TEXT.name)) == left


def test_new_turns_that_get_their_topics_bring_nothing_back(store: Store, name: str, tmp_path: Path) -> None:
    run(store)
    say(store, tmp_path)
    encoder = Interrupted(lambda: forget(store))
    assigner = Assigner(store, encoder, fixed())
    assert assigner.assign() and encoder.done
    assert tables_with(store, [*keys(), WORD]) == set()
    current = store.runs.current()
    assert current is not None
    assert store.atlases.assignments(current.atlas_id).num_rows == store.turns.count()
    store.close()
    assert everywhere(name, WORD) == set()


@pytest.mark.slow
@pytest.mark.parametrize("forgotten", [False, True])
def test_a_look_tells_nothing_of_them(
    store: Store, tmp_path: Path, forgotten: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is told quotes labels, and a turn of a topic is an example. Without forgetting they are there."""
    say(store, tmp_path)
    if forgotten:
        done = before(monkeypatch, "_decide", lambda: forget(store), watch)
    settings = fixed().with_value("alerts.settle_days", 1, source="test")
    watch.watch(store, HashingEncoder(), settings, eval_sets=["shop"], channels=("slack",), clock=utc_now)
    assert store.alerts.read() and store.drift.read()
    if forgotten:
        assert done and tables_with(store, [*keys(), WORD]) == set()
    else:
        assert tables_with(store, [WORD]) >= {"alerts", "drift_reports"}


@pytest.mark.parametrize("step", ["find_topics", None])
def test_near_copies_of_a_forgotten_text_stand_for_themselves(
    store: Store, tmp_path: Path, step: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One text stands for all of them. When its turn is forgotten, meanwhile or later, no hash of it stays, and new turns get
    their topics."""
    said = ("my bicycle squeaks a lot today", "My bicycle squeaks a lot today!", "my bicycle squeaks a lot today??")
    turns = [
        Turn(
            turn_id=f"copy-{number}", user_text=text, created_at=datetime(2026, 3, 5), conversation_id=f"copy-{number}"
        )
        for number, text in enumerate(said)
    ]
    store.turns.append(turns)
    first = {turn.key: text_hash(USER_TEXT.prepare(turn.user_text)) for turn in turns}
    assert len(set(first.values())) > 1

    def hashes() -> dict[int, bytes]:
        current = store.runs.current()
        assert current is not None
        rows = store.atlases.assignments(current.atlas_id).to_pylist()
        return {row["turn_key"]: row["text_hash"] for row in rows if row["turn_key"] in first}

    run(store)
    (leader,) = set(hashes().values())  # the same again: the analysis is a function of its turns
    theirs = [turn for turn in turns if first[turn.key] == leader]

    def forget_leader() -> None:
        for turn in theirs:
            store.deletion.forget(turn=turn.turn_id, at=utc_now(), erase=False)

    if step is None:
        forget_leader()
    else:
        ingest(store, tmp_path, seed=7, name="c", conversations=6)
        assert before(monkeypatch, step, forget_leader) == []
        assert not run(store).reused
    assert hashes() == {key: hash_ for key, hash_ in first.items() if hash_ != leader}
    ingest(store, tmp_path, seed=9, name="b", conversations=5)
    assert Assigner(store, HashingEncoder(), fixed()).assign() == 10
