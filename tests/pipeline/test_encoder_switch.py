"""Another encoder: the old atlas is served and goes on, the new one appears at once, and nobody is alarmed by it."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer

from consumers.ingest import ingest_file
from monitor.assignment import Assigner
from monitor.encoding.encoder import Encoder, made_of, make_encoder, remake_encoder
from monitor.encoding.onnx import packaged_tokenizer
from monitor.encoding.recipe import USER_TEXT
from monitor.evalsets.importer import import_eval_set
from monitor.settings import EncoderSettings, Settings
from monitor.store import Store
from monitor.watch import Watched, watch
from tests.cli.cli_traffic import START, SUBJECTS, question, write_eval_set, write_log
from tests.encoding.embeddings_server import MODEL, Endpoint, Said, embeddings_server
from tests.encoding.static_model import write_model

NOW = datetime(2026, 6, 1)
HASHING = Settings().with_value("encoder.kind", "hashing", source="test")
RUN = "import sys; from monitor.cli import main; sys.exit(main())"


@pytest.fixture(scope="module")
def static(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that choose static vectors, which tell words apart."""
    content = packaged_tokenizer().read_bytes()
    size = Tokenizer.from_buffer(content).get_vocab_size()
    table = np.random.default_rng(1).normal(size=(size, 64)).astype(np.float32)
    folder = write_model(tmp_path_factory.mktemp("static") / "words", content, table)
    return replace(Settings(), encoder=EncoderSettings(kind="model2vec", model=str(folder)))


def look(store: Store, settings: Settings) -> Watched:
    encoder = make_encoder(settings.encoder)
    return watch(store, encoder, settings, eval_sets=["shop"], channels=("slack",), clock=lambda: NOW)


def late_turns(path: Path, count: int = 24) -> Path:
    """Turns after the log's end, two of each subject, in words that were not said before."""
    rng = np.random.default_rng(8)
    lines = []
    for number in range(count):
        subject = list(SUBJECTS)[number % len(SUBJECTS)]
        words = rng.permutation(SUBJECTS[subject].split())[:4]
        at = START + timedelta(days=54, hours=number / 4)
        lines.append(
            {
                "turn_id": f"late{number}",
                "conversation_id": f"late{number}",
                "created_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
                "user_text": " ".join(words),
                "user_id": f"u{number}",
            }
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def subjects_of(store: Store, atlas_id: str) -> dict[str, str]:
    """The subject of each middle topic: that of most of its turns."""
    texts = {
        row["turn_key"]: row["user_text"] for row in store.turns.read(columns=["turn_key", "user_text"]).to_pylist()
    }
    counts: dict[str, dict[str, int]] = {}
    for row in store.atlases.assignments(atlas_id).to_pylist():
        for subject, words in SUBJECTS.items():
            if row["middle"] and row["act"] is None and set(words.split()) & set(texts[row["turn_key"]].split()):
                counts.setdefault(row["middle"], {}).setdefault(subject, 0)
                counts[row["middle"]][subject] += 1
    return {topic: max(found, key=found.__getitem__) for topic, found in counts.items()}


@pytest.mark.slow
def test_the_whole_switch(tmp_path: Path, static: Settings) -> None:
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        ingest_file(store, write_log(tmp_path / "log.jsonl", conversations=480), clock=lambda: NOW)
        import_eval_set(store, write_eval_set(tmp_path / "evals.jsonl"), "shop", lambda: NOW)
        assert [one.kind for one in look(store, HASHING).alerts] == ["history"]
        old = store.runs.current()
        assert old is not None
        of_old = subjects_of(store, old.atlas_id)

        # The settings have changed, and the analysis has not come to its end: turns still get topics of the old atlas.
        ingest_file(store, late_turns(tmp_path / "late.jsonl"), clock=lambda: NOW)
        assigner = Assigner(store, make_encoder(static.encoder), static)
        assert assigner.assign() == 24 and assigner.former == "hashing-128@1" and not assigner.waits
        late = {
            row["turn_key"]
            for row in store.turns.read(columns=["turn_key", "turn_id"]).to_pylist()
            if row["turn_id"][:4] == "late"
        }
        assigned = [row for row in store.atlases.assignments(old.atlas_id).to_pylist() if row["turn_key"] in late]
        topics = [row["middle"] for row in assigned]
        assert len(topics) == 24 and set(topics) <= {*of_old, None}
        assert topics.count(None) <= 4, topics.count(None)  # too far from everything to have one
        assert store.runs.current() == old

        seen = look(store, static)
        run = seen.analysis.run
        assert run.atlas_id != old.atlas_id and store.runs.current() == run
        atlas = store.atlases.load(run.atlas_id)
        assert atlas is not None and atlas.encoder.startswith("words@")
        # Ids: a topic of one name is about one thing, and nearly all of them stay.
        of_new = subjects_of(store, run.atlas_id)
        kept = of_old.keys() & of_new.keys()
        assert len(kept) >= 0.9 * len(of_old)
        assert sum(of_old[topic] == of_new[topic] for topic in kept) >= 0.9 * len(kept)
        # Nobody hears of it, now or at the next look.
        assert seen.alerts == () and look(store, static).alerts == ()
        # The other comparison has vectors of the new encoder only.
        assert seen.drift[0].atlas_id == run.atlas_id
        assert assigner.assign() == 0 and assigner.former == ""


@pytest.mark.slow
def test_a_surge_that_only_the_new_encoder_sees_is_no_news(tmp_path: Path) -> None:
    """Thirty conversations in sixty words, each said once: spelling sees nothing in them, the static model one subject."""
    content = packaged_tokenizer().read_bytes()
    vocabulary = Tokenizer.from_buffer(content).get_vocab()
    table = np.random.default_rng(1).normal(size=(len(vocabulary), 64)).astype(np.float32)
    used = {word for words in SUBJECTS.values() for word in words.split()}
    words = [word for word in sorted(vocabulary) if word.isascii() and word.isalpha() and len(word) == 7]
    words = [words[place] for place in np.random.default_rng(5).permutation(len(words)) if words[place] not in used][
        :60
    ]
    table[[vocabulary[word] for word in words]] = table[0]
    settings = replace(
        Settings(),
        encoder=EncoderSettings(kind="model2vec", model=str(write_model(tmp_path / "words", content, table))),
    )
    lines = [
        {
            "turn_id": f"new{number}",
            "conversation_id": f"new{number}",
            "created_at": f"{START + timedelta(days=53, minutes=20 * number):%Y-%m-%dT%H:%M:%SZ}",
            "user_text": f"{words[2 * number]} {words[2 * number + 1]}",
            "user_id": f"v{number}",
        }
        for number in range(30)
    ]
    (tmp_path / "new.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    # Too few items to say what they cover: the subject is told as a surge and not as a gap.
    items = (json.dumps({"item_id": subject, "prompt": words}) for subject, words in SUBJECTS.items())
    (tmp_path / "evals.jsonl").write_text("\n".join(items))

    def filled(name: str) -> Store:
        store = Store.open(str(tmp_path / name))
        ingest_file(store, write_log(tmp_path / "log.jsonl", conversations=480), clock=lambda: NOW)
        ingest_file(store, tmp_path / "new.jsonl", clock=lambda: NOW)
        import_eval_set(store, tmp_path / "evals.jsonl", "shop", lambda: NOW)
        return store

    with filled("control.duckdb") as store:  # with the new encoder from the beginning it is told
        assert [one.title.partition(":")[0] for one in look(store, settings).alerts] == ["New subject"]
    with filled("switched.duckdb") as store:
        look(store, HASHING)
        assert look(store, HASHING).alerts == ()
        assert look(store, settings).alerts == () and look(store, settings).alerts == ()


@pytest.mark.slow
def test_a_surge_after_the_last_look_is_told_in_the_look_of_the_switch(tmp_path: Path, static: Settings) -> None:
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        ingest_file(store, write_log(tmp_path / "log.jsonl", conversations=480), clock=lambda: NOW)
        import_eval_set(store, write_eval_set(tmp_path / "evals.jsonl"), "shop", lambda: NOW)
        look(store, HASHING)
        lines = [
            {
                "turn_id": f"new{number}",
                "conversation_id": f"new{number}",
                "created_at": f"{START + timedelta(days=54.2, minutes=20 * number):%Y-%m-%dT%H:%M:%SZ}",
                "user_text": f"volcano eruption ash cloud {['evacuation', 'lava', 'warning'][number % 3]} {number}",
                "user_id": f"v{number}",
            }
            for number in range(30)
        ]
        (tmp_path / "new.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        ingest_file(store, tmp_path / "new.jsonl", clock=lambda: NOW)
        alerts = look(store, static).alerts
        assert len(alerts) == 1 and "eruption" in alerts[0].title


def test_an_encoder_is_made_again_of_its_parts(static: Settings) -> None:
    def again(settings: EncoderSettings, today: EncoderSettings, name: str | None = None) -> Encoder | None:
        return remake_encoder(name or make_encoder(settings).name, made_of(settings), today)

    today = EncoderSettings(kind="hashing", model="something/else", dimensions=3)
    found = again(static.encoder, today)
    assert found is not None and found.name == make_encoder(static.encoder).name
    assert remake_encoder("hashing-128@1", {}, static.encoder) is not None  # an atlas of before
    assert again(static.encoder, today, "words@another") is None  # the folder holds another model now
    gone = replace(static.encoder, model="/nowhere/at/all")
    assert remake_encoder("words@1", made_of(gone), today) is None
    assert remake_encoder("words@1", {"kind": "of the future"}, today) is None
    assert remake_encoder("words@1", {"kind": "hashing", "surprise": 1}, today) is None
    with embeddings_server() as server:
        parts = server.settings()
        assert "api_key" not in made_of(parts) and parts.api_key not in json.dumps(made_of(parts))
        elsewhere = replace(parts, url="http://127.0.0.1:9/v1")
        assert again(parts, replace(parts, kind="hashing")) is not None
        asked = len(server.requests)
        # The key of today's address is sent to no other.
        assert remake_encoder(f"{MODEL}@x/128", made_of(parts), elsewhere) is None and len(server.requests) == asked


def test_turns_wait_where_the_old_encoder_cannot_be_made(tmp_path: Path, static: Settings) -> None:
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        ingest_file(store, write_log(tmp_path / "log.jsonl", conversations=60), clock=lambda: NOW)
        import_eval_set(store, write_eval_set(tmp_path / "evals.jsonl"), "shop", lambda: NOW)
        look(store, static)
        (Path(static.encoder.model) / "config.json").write_text('{"max_length": 7}')  # another model by now
        ingest_file(store, late_turns(tmp_path / "late.jsonl"), clock=lambda: NOW)
        assigner = Assigner(store, make_encoder(HASHING.encoder), HASHING)
        assert assigner.assign() == 0 and assigner.waits and assigner.former.startswith("words@")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with embeddings_server() as server:
        yield server


@pytest.mark.slow
def test_a_kill_in_the_middle_of_encoding_encodes_nothing_twice(tmp_path: Path, endpoint: Endpoint) -> None:
    """`kill -9` of a real `offmap analyse`: what the endpoint was sent is counted."""
    path, log = tmp_path / "s.duckdb", tmp_path / "log.jsonl"
    rng = random.Random(2)
    lines = []
    for number in range(9_000):
        text = f"{question(list(SUBJECTS)[number % 12], rng)} {number}"
        at = START + timedelta(minutes=number)
        lines.append({"turn_id": f"t{number}", "created_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "user_text": text})
    log.write_text("".join(json.dumps(line) + "\n" for line in lines[:500]))
    with Store.open(str(path)) as store:
        ingest_file(store, log, clock=lambda: NOW)
        watch(store, make_encoder(HASHING.encoder), HASHING, clock=lambda: NOW)
        old = store.runs.current()
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Store.open(str(path)) as store:
        ingest_file(store, log, clock=lambda: NOW)

    clean = {name: value for name, value in os.environ.items() if not name.startswith("OFFMAP_")}
    (tmp_path / "settings.toml").write_text(
        f'[encoder]\nkind = "openai"\nurl = "{endpoint.url}"\nmodel = "{MODEL}"\nallow_private = true\nthreads = 1\n'
    )
    environment = {**clean, "OFFMAP_STORE": str(path), "OFFMAP_CONFIG": str(tmp_path / "settings.toml")}
    command = [sys.executable, "-c", RUN, "analyse"]
    process: list[subprocess.Popen[bytes]] = []

    def answer(request: object) -> Said | None:
        # The first chunk of 4,000 texts is stored, and the second is under way.
        if process and len(endpoint.texts) > 5_000:
            os.kill(process[0].pid, signal.SIGKILL)
        return None

    endpoint.answer = answer
    process.append(subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    assert process[0].wait(120) == -signal.SIGKILL
    first = list(endpoint.texts)[1:]  # without the probe
    with Store.open(str(path)) as store:
        assert store.runs.current() == old  # the old atlas is served
        name = f"{MODEL}@127.0.0.1:{endpoint.port}/128"
        stored = store.vectors.hashes(name, USER_TEXT.name)
        assert len(stored) == 4_000 and 4_000 < len(first) < 8_000

    endpoint.requests.clear()
    endpoint.answer = lambda request: None
    done = subprocess.run([*command, "--json"], env=environment, capture_output=True, timeout=200, check=True)
    assert json.loads(done.stdout)["encoded"] == 5_000
    said = {USER_TEXT.prepare(line["user_text"]) for line in lines}
    again = [text for text in endpoint.texts[1:] if text in said]  # the others are examples of acts
    assert len(again) == len(set(again)) == 5_000
    # Only what was on its way when it was killed is sent again.
    assert len(set(first) & set(again)) == len(first) - 4_000
