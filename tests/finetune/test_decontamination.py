"""What counts as saying an eval item."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.finetune.decontamination import EvalTexts, normalised

LONG = "the quick brown fox jumps over the lazy dog while seven grey geese watch from the far side of the river"
ITEMS = [
    "How do I cancel my contract before it renews?",
    "Where is my parcel?",
    "hello",
    "Wie hoch ist die Grundgebühr im Monat?",
    LONG,
    "...",
]


@pytest.mark.parametrize(
    "text",
    [
        "How do I cancel my contract before it renews?",
        "HOW DO I CANCEL MY CONTRACT BEFORE IT RENEWS",
        "how  do i\ncancel my contract, before it renews!!!",
        "please how do I cancel my contract before it renews?",
        "How do I cancel my mobile contract before it renews?",
        "how do I cancel my contract before renews",
        "Hi there! I have been with you for years. How do I cancel my contract before it renews? I am moving abroad soon.",
        "where is my parcel now",
        "Hello!",
        "wie hoch ist die GRUNDGEBÜHR im Monat",
        "Ｗｈｅｒｅ ｉｓ ｍｙ ｐａｒｃｅｌ",
        f"Translate this: {LONG.upper()} and nothing else, please, and explain the grammar of each of the parts",
        " ".join(LONG.split()[4:18]),
    ],
)
def test_a_text_that_says_an_item_is_found(text: str) -> None:
    assert text in EvalTexts(ITEMS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "...",
        "How do I change my contract before summer?",
        "hello, where can I find the price list",
        "My parcel came damaged and where it is broken I do not know",
        "the quick brown fox jumps over the lazy dog",
        "Wie hoch ist der Verbrauch im Monat?",
    ],
)
def test_a_text_of_its_own_is_not(text: str) -> None:
    assert text not in EvalTexts(ITEMS)


def test_no_items_hold_nothing() -> None:
    assert "anything" not in EvalTexts([])
    assert 3 not in EvalTexts(ITEMS)


words = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=14)


@given(st.lists(words, max_size=8), words)
def test_the_index_finds_what_comparing_each_pair_finds(items: list[list[str]], text: list[str]) -> None:
    """Word overlap by its definition, without the index of rare words."""

    def dice(one: list[str], other: list[str]) -> float:
        common = sum(min(one.count(word), other.count(word)) for word in set(one))
        return 2 * common / (len(one) + len(other))

    evals = EvalTexts([" ".join(item) for item in items])
    if any(dice(text, item) >= 0.85 for item in items):
        assert " ".join(text) in evals
    elif not any(" ".join(item) in " ".join(text) for item in items) and all(len(item) < 13 for item in items):
        assert " ".join(text) not in evals


@given(st.lists(st.text(max_size=40), max_size=6), st.randoms(use_true_random=False))
def test_an_item_is_found_whatever_its_case_and_marks(texts: list[str], rng: random.Random) -> None:
    evals = EvalTexts(texts)
    for text in texts:
        if normalised(text):
            shouted = "!? ".join(normalised(text).split())
            assert text in evals
            assert f"  {shouted}..." in evals
    assert [text in EvalTexts(rng.sample(texts, len(texts))) for text in texts] == [text in evals for text in texts]
