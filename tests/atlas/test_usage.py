"""Follow-ups by their use: short, in the midst of conversations, after anything."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from monitor.atlas.acts import ACTS, example_texts
from monitor.atlas.corpus import Corpus, read_corpus
from monitor.atlas.neighbours import build_graph
from monitor.atlas.network import build_network
from monitor.atlas.usage import follow_ups_by_use
from monitor.encoding.hashing import HashingEncoder
from monitor.encoding.recipe import USER_TEXT
from monitor.records import Turn
from monitor.store.store import Store

SUBJECTS = [
    "my parcel from the warehouse never arrived at my doorstep",
    "the radiator in the bedroom stays cold all night long",
    "please cancel the subscription that renewed yesterday morning",
    "which documents does the visa application to Canada need",
    "the invoice of last quarter shows a wrong company address",
    "how do I pair the headphones with a second laptop",
]
ENCODER = HashingEncoder()


def corpus_of(conversations: list[list[str]], tmp_path) -> Corpus:
    start = datetime(2026, 3, 2, 9)
    turns = [
        Turn(
            turn_id=f"c{number}-{index}",
            user_text=text,
            created_at=start + timedelta(minutes=10 * number + index),
            conversation_id=f"c{number}",
            turn_index=index,
        )
        for number, texts in enumerate(conversations)
        for index, text in enumerate(texts)
    ]
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        store.turns.append(turns)
        return read_corpus(store, USER_TEXT, window=None, environments=["production"])


def by_use(corpus: Corpus) -> set[str]:
    vectors = ENCODER.encode(corpus.texts)
    graph = build_graph(vectors, k=4)
    none = np.full(len(corpus.texts), -1)
    found = follow_ups_by_use(corpus, vectors, graph, none, np.zeros(len(corpus), bool))
    return {text for text, follow_up in zip(corpus.texts, found, strict=True) if follow_up}


def test_what_follows_anything_is_a_follow_up(tmp_path):
    corpus = corpus_of([[SUBJECTS[n % 6], "it says pending"] for n in range(12)], tmp_path)
    assert by_use(corpus) == {"it says pending"}


def test_what_follows_one_subject_is_not(tmp_path):
    own = [[SUBJECTS[0], "it says pending"] for _ in range(12)]
    corpus = corpus_of([*own, *([SUBJECTS[n % 6], f"{SUBJECTS[n % 6]} today"] for n in range(24))], tmp_path)
    assert by_use(corpus) == set()


def test_what_conversations_begin_with_is_not(tmp_path):
    follows = [[SUBJECTS[n % 6], "pending payments"] for n in range(12)]
    corpus = corpus_of([*follows, *(["pending payments"] for _ in range(12))], tmp_path)
    assert by_use(corpus) == set()


def test_a_long_text_is_not(tmp_path):
    long = "it has said pending for a week now"
    corpus = corpus_of([[SUBJECTS[n % 6], long] for n in range(12)], tmp_path)
    assert by_use(corpus) == set()


def test_a_few_turns_say_nothing(tmp_path):
    corpus = corpus_of([[SUBJECTS[n], "it says pending"] for n in range(4)], tmp_path)
    assert by_use(corpus) == set()


def test_no_turns(tmp_path):
    assert by_use(corpus_of([], tmp_path)) == set()


@pytest.mark.parametrize(("follow_ups", "act"), [("conversation", ACTS.index("followup")), ("message", -1)])
def test_the_setting_decides_what_stands_for_a_follow_up(tmp_path, follow_ups, act):
    conversations = [[SUBJECTS[n % 6], "it says pending", "and the second one?"] for n in range(12)]
    corpus = corpus_of(conversations, tmp_path)
    vectors, examples = ENCODER.encode(corpus.texts), ENCODER.encode(example_texts()[0])
    network = build_network(corpus, vectors, examples, neighbours=4, flood_turns=30, follow_ups=follow_ups)
    acts = dict(zip(network.corpus.texts, network.acts.tolist(), strict=True))
    assert {acts["it says pending"], acts["and the second one?"]} == {act}
    assert all(acts[text] == -1 for text in SUBJECTS)
