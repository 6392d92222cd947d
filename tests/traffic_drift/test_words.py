"""Which words carry a change: the planted ones, in parts that add to the whole, and of enough users."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from monitor.drift.attribution import Attribution
from monitor.drift.comparison import compare_windows
from monitor.drift.look import Look
from monitor.drift.pool import Pool, pooled
from monitor.drift.sample import Sample
from monitor.drift.words import Said, read_said, word_changes
from monitor.records import Turn, Window
from monitor.settings import AlertSettings, Settings
from monitor.store.store import Store
from tests.store.conftest import make_turn
from tests.traffic_drift.drift_draws import SUBJECTS, draw
from tests.traffic_drift.test_comparison import BORDER, START, at, clock, eval_set, grown, look_of, settings, together

#: What is said of each subject; the last one is planted.
WORDS = (
    "parcel late",
    "refund money",
    "password reset",
    "invoice vat",
    "coupon code",
    "fitting chart",
    "aquarium filter",
)
PLANTED = {"aquarium", "filter"}


def said_of(sample: Sample, rng: np.random.Generator) -> list[str]:
    """Each turn names one word or both of its subject, and what everybody says."""
    return [
        f"{' '.join(rng.permutation(WORDS[subject].split())[: rng.integers(1, 3)])} question"
        for subject in sample.topics[1].tolist()
    ]


def drawn(rng: np.random.Generator) -> tuple[Pool, Said]:
    before, after = draw(rng, 300), draw(rng, 200, weights=grown(0.15))
    texts = [*said_of(before, rng), *said_of(after, rng)]
    pool = pooled(before, after, rng=rng, permutations=199)
    places = np.arange(len(texts))
    return pool, Said(texts, places[pool.order], places[pool.order])


def test_the_words_that_were_planted_come_first_and_all_parts_add_to_the_whole_at_most() -> None:
    right = 0
    for rng in map(np.random.default_rng, range(20)):
        pool, said = drawn(rng)
        found = word_changes(pool, Attribution.of(pool), said, least_users=5)
        parts = [one.contribution for one in found]
        assert parts == sorted(parts, reverse=True)
        assert min(parts) > 0 and sum(parts) <= 1 + 1e-9
        right += {one.word for one in found[:2]} == PLANTED
        now = pool.current[0][pool.conversation]
        for one in found:
            says = np.array([one.word in said.texts[text] for text in said.text])
            assert (one.before, one.after) == pytest.approx((says[~now].mean(), says[now].mean()), abs=1e-6)
    assert right >= 18


def test_a_turn_in_several_groups_counts_by_its_shares() -> None:
    pool, _ = drawn(np.random.default_rng(0))
    carried = Attribution.of(pool)
    subjects = pool.topics[1]
    alone = carried.parts(subjects)
    places = np.arange(len(pool))
    halves = csr_matrix(
        (np.full(2 * len(pool), 0.5), (np.tile(places, 2), np.concatenate([subjects, 7 + subjects]))),
        shape=(len(pool), 14),
    )
    assert carried.shared(halves) == pytest.approx(np.tile(alone / 2, 2))
    assert alone[SUBJECTS] > 0.3
    assert carried.shared(csr_matrix((len(pool), 3))).tolist() == [0, 0, 0]


def test_a_word_of_few_users_is_not_named_and_keeps_its_part() -> None:
    pool, said = drawn(np.random.default_rng(1))
    carried = Attribution.of(pool)
    every = {one.word: one.contribution for one in word_changes(pool, carried, said, least_users=5)}
    # All who say it are one person, and the items of an eval set are nobody's.
    holds = np.array(["aquarium" in said.texts[text] for text in said.text])
    one_person = replace(said, user=np.where(holds, 0, said.user))
    nobody = replace(said, user=np.where(holds, -1, said.user))
    for few in (one_person, nobody):
        rest = {one.word: one.contribution for one in word_changes(pool, carried, few, least_users=2)}
        assert "aquarium" in every and "aquarium" not in rest
        assert rest["filter"] == pytest.approx(every["filter"], abs=0.15)


@pytest.mark.parametrize("text", ["", "the and of", "?! 12345678"])
def test_texts_without_words_carry_nothing(text: str) -> None:
    pool, said = drawn(np.random.default_rng(2))
    assert word_changes(pool, Attribution.of(pool), replace(said, texts=[text] * len(pool)), least_users=1) == []


def test_nothing_is_said_of_an_empty_window() -> None:
    one, nobody = draw(np.random.default_rng(0), 20), draw(np.random.default_rng(0), 0)
    pool = pooled(one, nobody, rng=np.random.default_rng(0), permutations=9)
    said = Said(["parcel"] * 20, np.arange(20), np.arange(20))
    assert word_changes(pool, Attribution.of(pool), said, least_users=1) == []


def stored(store: Store, sample: Sample, created: NDArray[np.int64], texts: list[str]) -> Look:
    """A look at turns that the store has, in the order of their keys."""
    turns: list[Turn] = [
        make_turn(f"t{number}", user_text=text, created_at=START + timedelta(minutes=number))
        for number, text in enumerate(texts)
    ]
    store.turns.append(turns)
    keys = np.array([turn.key for turn in turns], np.uint64)
    order = np.argsort(keys)
    hashes = [number.to_bytes(16, "big") for number in range(len(texts))]
    store.vectors.append("mini", "text", hashes, sample.vectors)
    look = look_of(sample.only(order), [hashes[place] for place in order], created[order])
    return replace(look, keys=keys[order])


def test_a_comparison_tells_the_words_where_something_changed(store: Store) -> None:
    rng = np.random.default_rng(0)
    both, created = together(draw(rng, 300), draw(rng, 200, 1, grown(0.2)))
    look = stored(store, both, created, said_of(both, rng))
    found = compare_windows(store, settings(), look, clock=clock)
    assert found.p_value is not None and found.p_value <= 0.05
    terms = found.body["terms"]
    assert {one["term"] for one in terms[:2]} == PLANTED
    assert all(set(one) == {"term", "before", "after", "contribution"} for one in terms)
    assert terms[0]["contribution"] > 0.1 and sum(one["contribution"] for one in terms) <= 1 + 1e-9
    shy = Settings(drift=settings().drift, alerts=AlertSettings(min_users=1_000))
    assert compare_windows(store, shy, look, clock=clock).body["terms"] == []
    same = compare_windows(
        store, settings(), look, current=Window(BORDER, clock()), reference=Window(BORDER, clock()), clock=clock
    )
    assert same.p_value is not None and same.p_value > 0.05
    assert same.body["terms"] == []


def test_a_comparison_with_an_eval_set_tells_the_words_that_it_lacks(store: Store) -> None:
    rng = np.random.default_rng(0)
    eval_set(store, draw(rng, 120))
    traffic = draw(rng, 300, 1, grown(0.3))
    look = stored(store, traffic, at(np.ones(300, bool)), said_of(traffic, rng))
    terms = compare_windows(store, settings(), look, against="mine", clock=clock).body["terms"]
    by_word = {one["term"]: one for one in terms}
    assert by_word.keys() >= PLANTED
    assert by_word["aquarium"]["before"] == 0 < by_word["aquarium"]["after"]
    # Words of the items alone are nobody's.
    assert "number" not in by_word


def test_secrets_are_no_words_and_a_long_text_is_not_read_to_its_end(store: Store) -> None:
    sample = draw(np.random.default_rng(0), 3)
    said = ["write to ann@example.org about the parcel", "word " * 500 + "unread", "ring \x1b[31mtwice"]
    look = stored(store, sample, at(np.ones(3, bool)), said)
    found = read_said(store, look, np.arange(3), items=["an item"])
    texts = " ".join(found.texts)
    assert found.texts[0] == "an item" and found.user[0] == -1
    assert "ann" not in texts.replace("an item", "") and "unread" not in texts and "\x1b" not in texts
    assert "parcel" in texts and "twice" in texts
