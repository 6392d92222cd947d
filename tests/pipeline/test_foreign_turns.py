"""German turns among English ones, and an encoder that knows English: shown, filtered, and in no gap, coverage or drift."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from consumers.ingest import ingest_file
from monitor.assignment import Assigner
from monitor.atlas.assembly import read_atlas
from monitor.drift.comparison import compare_windows
from monitor.drift.look import read_look
from monitor.encoding.hashing import HashingEncoder
from monitor.encoding.recipe import USER_TEXT
from monitor.pipeline import analyse
from monitor.records import EvalItem, EvalSet, Turn
from monitor.settings import Settings, load
from monitor.store.statistics import Filter
from monitor.store.store import Store
from tests.cli.cli_support import Offmap, in_folder

START = datetime(2026, 3, 2, 8)
SUBJECTS = {
    "parcel": ("where is my {} parcel", "nobody brought the {} parcel to my door", "track the {} parcel please"),
    "invoice": ("please send me the {} invoice", "the {} invoice has the wrong tax number", "who pays the {} invoice"),
    "password": ("I forgot the {} password of my account", "how do I reset my {} password", "my {} password is refused"),
    "garden": ("how often should I water the {} garden", "which hedge suits a {} garden", "why is the {} lawn yellow"),
}  # fmt: skip
WORDS = "old new big small second other green last first lost wooden broken missing heavy blue".split()
GERMAN = (
    "wann wird meine {} Lieferung endlich zugestellt und wer bringt sie",
    "ich möchte die {} Bestellung noch heute stornieren, geht das",
    "warum steht auf der {} Rechnung ein falscher Betrag",
    "können Sie mir die {} Anleitung auf Deutsch schicken",
)
ADJECTIVES = "alte neue große kleine zweite andere grüne letzte erste verlorene kaputte fehlende schwere blaue".split()


def write_log(path: Path, *, english: int = 400, german: int = 40) -> Path:
    """Every conversation has one turn; two of the German ones state it, and one of the English says an odd word."""
    rng = random.Random(1)
    texts = []
    for number in range(english):
        form = rng.choice(SUBJECTS[list(SUBJECTS)[number % len(SUBJECTS)]])
        texts.append((form.format(rng.choice(WORDS)), None))
    for number in range(german):
        texts.append((rng.choice(GERMAN).format(rng.choice(ADJECTIVES)), "de-DE" if number < 2 else None))
    rng.shuffle(texts)
    lines = [
        {
            "turn_id": f"t{number}",
            "conversation_id": f"c{number}",
            "created_at": (START + timedelta(hours=2 * number)).isoformat() + "Z",
            "user_text": text,
            "user_id": f"u{number}",
            "language": language,
        }
        for number, (text, language) in enumerate(texts)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def items() -> tuple[EvalItem, ...]:
    """Of all subjects but the garden; and five in German."""
    asked = [form.format(word) for name in list(SUBJECTS)[:3] for form in SUBJECTS[name] for word in WORDS[:6]]
    german = [GERMAN[0].format(word) for word in ADJECTIVES[:5]]
    return tuple(EvalItem(item_id=f"e{number}", prompt=text) for number, text in enumerate([*asked, *german]))


def configured(*languages: str) -> Settings:
    named = {"OFFMAP_ENCODER_KIND": "hashing", "OFFMAP_ENCODER_LANGUAGES": ",".join(languages)}
    return load(named if languages else {"OFFMAP_ENCODER_KIND": "hashing"})[0]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "s.duckdb")) as opened:
        ingest_file(opened, write_log(tmp_path / "log.jsonl"))
        opened.eval_sets.save(EvalSet("evals", "1", START, items()))
        yield opened


def look_at(store: Store, settings: Settings) -> dict[str, set[int]]:
    """Analyse; the keys of all German turns, of those that have a topic, a coverage, or a place in a gap."""
    analyse(store, HashingEncoder(), settings, eval_sets=["evals"], clock=lambda: datetime(2026, 5, 1))
    run = store.runs.current()
    assert run is not None
    turns = store.turns.fetch(store.turns.read(columns=["turn_key"]).column("turn_key").to_pylist())
    german = {
        turn.key
        for turn in turns
        if any(word in turn.user_text for word in ("Lieferung", "Bestellung", "Rechnung", "Anl"))
    }
    rows = store.atlases.assignments(run.atlas_id).to_pylist()
    covered = store.reports.turn_coverage(run.report_id).to_pylist()
    look = read_look(store, settings, run)
    return {
        "german": german,
        "foreign": {row["turn_key"] for row in rows if row["foreign_language"] == "de"},
        "other": {row["turn_key"] for row in rows if row["foreign_language"] not in (None, "de")},
        "topic": {row["turn_key"] for row in rows if row["fine"]} & german,
        "covered": {row["turn_key"] for row in covered if row["covered"] is not None or row["novelty"] is not None}
        & german,
        "drift": set(look.keys.tolist()) & german,
        "gap": {key for gap in store.reports.gaps(run.report_id) for key in gap.examples} & german,
        "counted": set(look.keys.tolist()) - german,
    }


def test_german_turns_are_shown_and_nothing_is_concluded_from_them(store: Store) -> None:
    settings = configured("en")
    found = look_at(store, settings)
    assert len(found["german"]) == 40
    assert found["foreign"] == found["german"]
    assert not found["other"]
    assert not found["topic"] | found["covered"] | found["drift"] | found["gap"]
    assert len(found["counted"]) == 400
    run = store.runs.current()
    assert run is not None
    shown = store.atlases.foreign(run.atlas_id)
    assert (shown.turns, dict(shown.by_language), round(shown.share, 4)) == (440, {"de": 40}, round(40 / 440, 4))
    assert sum(topic.share for topic in store.atlases.topics(run.atlas_id) if topic.level == 0) == pytest.approx(1)
    report = store.reports.coverage(run.report_id)
    assert report is not None
    assert "of 400 turns" in report.verdict
    assert "5 eval items are in languages that the encoder does not know" in report.verdict
    assert {item for gap in store.reports.gaps(run.report_id) for item in gap.nearest_items} <= {
        f"e{n}" for n in range(54)
    }
    drift = compare_windows(store, settings, read_look(store, settings, run), against="evals", clock=lambda: START)
    assert drift.body["turns"]["reference"] == 54


def test_an_encoder_that_knows_german_takes_them_as_turns(store: Store) -> None:
    found = look_at(store, configured("en", "de"))
    assert not found["foreign"]
    assert found["drift"] == found["topic"] == found["covered"] == found["german"]
    assert found["gap"]  # the eval set has one of the four things that they ask
    run = store.runs.current()
    assert run is not None
    # Topics can be filtered by a language that no field of the log states.
    sizes, total = store.statistics.topic_sizes(run.atlas_id, Filter(language=("de",)))
    assert total == 40
    assert sum(sizes.get(topic.topic_id, 0) for topic in store.atlases.topics(run.atlas_id) if topic.level == 0) == 40
    assert store.languages.counts() == {"en": 400, "de": 40}


def test_a_second_run_changes_nothing_and_the_setting_makes_another_atlas(store: Store) -> None:
    runs = []
    for settings in (configured("en"), configured("en"), configured()):
        analyse(store, HashingEncoder(), settings, eval_sets=["evals"], clock=lambda: datetime(2026, 5, 1))
        runs.append(store.runs.current())
    assert runs[0].run_id == runs[1].run_id
    assert runs[0].atlas_id != runs[2].atlas_id


def test_turns_between_two_analyses_have_a_language_too(store: Store) -> None:
    settings = configured("en")
    look_at(store, settings)
    run = store.runs.current()
    assert run is not None
    late = [
        Turn(
            turn_id=f"late{number}",
            user_text=text,
            created_at=run.window_end + timedelta(hours=1),
            conversation_id=f"l{number}",
        )
        for number, text in enumerate((GERMAN[1].format("alte"), "how do I reset my old password", "garden"))
    ]
    store.turns.append(late)
    assert Assigner(store, HashingEncoder(), settings).assign() == 3
    rows = {row["turn_key"]: row for row in store.atlases.assignments(run.atlas_id).to_pylist()}
    assert [rows[turn.key]["foreign_language"] for turn in late] == ["de", None, None]
    assert rows[late[0].key]["fine"] is None
    assert rows[late[1].key]["fine"] is not None
    assert store.languages.of([turn.key for turn in late]) == {late[0].key: "de", late[1].key: "en", late[2].key: "en"}


def test_forgetting_takes_them_out_of_what_is_shown(store: Store) -> None:
    found = look_at(store, configured("en"))
    run = store.runs.current()
    assert run is not None
    gone = store.turns.fetch([min(found["german"])])[0]
    store.deletion.forget(user=gone.user_id, at=datetime(2027, 1, 1))
    assert dict(store.atlases.foreign(run.atlas_id).by_language) == {"de": 39}
    assert store.languages.of([gone.key]) == {}


def test_the_commands_say_so(tmp_path: Path) -> None:
    offmap: Offmap = in_folder(tmp_path)
    (tmp_path / "settings.toml").write_text('[encoder]\nkind = "hashing"\nlanguages = ["en"]\n')
    write_log(tmp_path / "log.jsonl")
    lines = [json.dumps({"item_id": item.item_id, "prompt": item.prompt}) for item in items()]
    (tmp_path / "evals.jsonl").write_text("\n".join(lines))
    offmap.done("ingest", tmp_path / "log.jsonl")
    offmap.done("evalset", "import", tmp_path / "evals.jsonl", "--name", "evals")
    offmap.done("analyse", "--eval-set", "evals")
    said = "9.1% of the traffic is in languages that the encoder does not know (de 9.1%)"
    for command in ("gaps", "topics"):
        assert said in " ".join(offmap.done(command).out.split())
        languages = offmap.done(command, "--json").json["languages"]
        assert languages == {"turns": 440, "unknown_share": 40 / 440, "unknown": {"de": 40}}
    assert offmap.done("topics", "--language", "de", "--json").json["topics"] == []
    assert "No topic has turns in de" in offmap.done("topics", "--language", "de").out
    english = offmap.done("topics", "--language", "en", "--level", "broad", "--json").json["topics"]
    assert sum(topic["turns"] for topic in english) == 400
    turns = offmap.done("turns", "--json").lines
    assert sum(turn["language"] in ("de", "de-DE") for turn in turns) == 40
    offmap.done("forget", "--user", next(f"u{t['turn_id'][1:]}" for t in turns if t["language"] == "de"), "--yes")
    assert offmap.done("gaps", "--json").json["languages"]["unknown"] == {"de": 39}


def test_the_atlas_is_read_as_it_was_written(store: Store) -> None:
    from monitor.atlas.corpus import read_corpus

    found = look_at(store, configured("en"))
    run = store.runs.current()
    assert run is not None
    corpus = read_corpus(store, USER_TEXT, window=None, environments=("production",))
    atlas = read_atlas(store, run.atlas_id, corpus)
    assert set(corpus.keys[atlas.foreign].tolist()) == found["german"]
    assert (atlas.of_turns[:, atlas.foreign] == -1).all()
