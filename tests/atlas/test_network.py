"""What goes into the graph: near duplicates, floods, conversation edges, dates of topics."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from monitor.atlas.conversations import with_conversations
from monitor.atlas.corpus import Corpus, read_corpus
from monitor.atlas.duplicates import collapse, merge_duplicates
from monitor.atlas.floods import find_floods
from monitor.atlas.neighbours import build_graph
from monitor.atlas.timeline import DAY, first_seen, growth
from monitor.encoding.hashing import HashingEncoder
from monitor.encoding.recipe import USER_TEXT
from monitor.records import Turn
from monitor.store.store import Store

START = datetime(2026, 3, 2, 9)


def turn(
    number: int, text: str, *, conversation: str = "", user: str | None = None, minutes: float | None = None
) -> Turn:
    return Turn(
        turn_id=str(number),
        user_text=text,
        created_at=START + timedelta(minutes=number if minutes is None else minutes),
        conversation_id=conversation or f"c{number}",
        turn_index=number,
        user_id=user,
    )


def corpus_of(tmp_path, turns: list[Turn]) -> Corpus:
    with Store.open(str(tmp_path / "s.duckdb")) as store:
        store.turns.append(turns)
        return read_corpus(store, USER_TEXT, window=None, environments=["production"])


def test_the_order_of_arrival_changes_nothing(tmp_path):
    turns = [turn(n, f"text {n % 3}", conversation=f"c{n // 2}", user=f"u{n % 2}") for n in range(8)]
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = corpus_of(tmp_path / "a", turns), corpus_of(tmp_path / "b", turns[::-1])
    assert first.fingerprint == second.fingerprint
    assert (first.keys == second.keys).all()
    assert first.weights.sum() == 8
    assert len(first.texts) == 3


def test_other_text_time_or_conversation_is_another_fingerprint(tmp_path):
    found = set()
    first = turn(1, "a")
    for number, other in enumerate(
        [turn(2, "a"), turn(2, "b"), turn(2, "a", minutes=5), turn(2, "a", conversation="c1")]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        found.add(corpus_of(folder, [first, other]).fingerprint)
    assert len(found) == 4


def test_near_duplicates_have_the_most_frequent_text_as_leader(tmp_path):
    texts = ["where is my parcel"] * 3 + ["where is my parcell", "Where is my parcel?", "reset the password please"]
    corpus = corpus_of(tmp_path, [turn(n, text) for n, text in enumerate(texts)])
    graph = build_graph(HashingEncoder().encode(corpus.texts), k=3)
    merged, rows = merge_duplicates(corpus, collapse(graph, corpus.weights, same=0.7))
    assert sorted(merged.texts) == ["reset the password please", "where is my parcel"]
    assert len(rows) == 2
    assert sorted(merged.weights) == [1, 5]


def test_a_duplicate_is_near_its_leader_never_in_a_chain():
    angles = np.array([0.0, 0.3, 0.6, 0.9])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    leader = collapse(build_graph(vectors, k=3), np.array([4.0, 3, 2, 1]), same=float(np.cos(0.35)))
    assert leader.tolist() == [0, 0, 2, 2]


@pytest.mark.parametrize(("users", "flood"), [(["bot"] * 30, True), ([f"u{n}" for n in range(30)], False)])
def test_a_flood_comes_from_one_user_and_a_popular_question_from_many(tmp_path, users, flood):
    turns = [turn(n, f"health check number {n}", user=user, minutes=n * 90) for n, user in enumerate(users)]
    turns.append(turn(99, "something else", user="bot"))
    corpus = corpus_of(tmp_path, turns)
    found = find_floods(corpus, least_turns=30)
    assert found.sum() == (30 if flood else 0)


def test_without_users_a_flood_is_a_burst(tmp_path):
    burst = [turn(n, "ping", minutes=n / 10) for n in range(30)] + [turn(50, "later", minutes=9000)]
    assert find_floods(corpus_of(tmp_path, burst), least_turns=30).sum() == 30


def test_what_is_said_together_is_joined_and_acts_are_stepped_over(tmp_path):
    said = ["my meter is blank", "thanks", "does it reset", "a lonely question"]
    turns = [turn(n, text, conversation="c" if n < 3 else "d") for n, text in enumerate(said)]
    corpus = corpus_of(tmp_path, turns)
    number = {text: row for row, text in enumerate(corpus.texts)}
    graph = build_graph(HashingEncoder().encode(corpus.texts), k=3)
    counts = corpus.text_of != number["thanks"]
    talk = with_conversations(graph, corpus, counts).talk.toarray()
    assert talk[number["my meter is blank"], number["does it reset"]] > 0
    assert talk[number["thanks"]].sum() == 0
    assert talk[number["a lonely question"]].sum() == 0


def days(*numbers: float) -> np.ndarray:
    return (np.array(numbers) * DAY).astype(np.int64)


def test_a_new_topic_is_dated_by_its_rise_and_not_by_a_stray():
    created = days(1, 20, *np.linspace(30, 55, 60))
    assert first_seen(created, np.arange(len(created))) == pytest.approx(30 * DAY, abs=DAY)


def test_one_long_conversation_is_no_rise():
    created = days(1, 1.1, 1.2, 1.3, 30, 31, 32, 33)
    assert first_seen(created, np.array([0, 0, 0, 0, 1, 2, 3, 4])) == 30 * DAY


def test_a_rare_topic_is_dated_by_its_first_turn():
    assert first_seen(days(9, 3), np.array([1, 0])) == 3 * DAY


def test_growth_compares_shares_of_the_traffic():
    everything = days(*np.linspace(0, 35, 3500))
    doubled = days(*np.linspace(0, 28, 280), *np.linspace(28, 35, 140))
    assert growth(everything, everything, end=35 * DAY) == pytest.approx(1.0, abs=0.02)
    assert growth(doubled, everything, end=35 * DAY) == pytest.approx(2.0, abs=0.1)


def test_growth_of_a_short_log_is_unknown():
    short = days(*np.linspace(0, 10, 100))
    assert np.isnan(growth(short, short, end=10 * DAY))
