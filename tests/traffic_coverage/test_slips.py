"""Texts that are a slip apart, and those that are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.coverage.slips import without_slips

CARD = "where is my new card"


def slips(*texts: str, labels: tuple[str, ...] = ()) -> list[int]:
    return without_slips(texts, labels or [""] * len(texts)).tolist()


@pytest.mark.parametrize(
    "other",
    [
        "WHERE is my new card?!",
        "“where is my new card”",
        "where is my new crad",
        "where is my new carrd",
        "where is my nw card",
        "where is my new cart",
        "where is mynew card",
        "where is my card",
        "where is my very new card",
        "hi, where is my new card, please",
        "hi there where is my new card",
    ],
)
def test_a_slip_apart(other: str) -> None:
    assert slips(CARD, other) == slips(other, CARD) == [0, 0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (CARD, "where is my new account"),
        (CARD, "where was our new card"),
        (CARD, "could you tell me where is my new card"),
        (CARD, "where card"),
        ("pay 10 pounds to sam", "pay 40 pounds to sam"),
        ("my card", "my cart"),  # of a short text a letter is a word
        ("cancel", "hi, cancel, please"),
        ("block it", "block"),
        ("how do I sort a list in C++", "how do I sort a list in C#"),
        ("", "."),
    ],
)
def test_more_than_a_slip_apart(one: str, other: str) -> None:
    apart = one.strip(".") != other.strip(".")
    assert slips(one, other) == slips(other, one) == ([0, 1] if apart else [0, 0])


def test_what_most_are_a_slip_of_stands_for_all_wherever_it_stands() -> None:
    said = ["where is my new crad", "where is my new card please", "where is my card", CARD]
    assert slips(*said) == [3] * 4
    assert slips(*said[::-1]) == [0] * 4
    assert slips(said[0], CARD) == [0, 0]  # of two the first


def test_slips_of_slips_hang_together() -> None:
    assert slips(CARD, "hi where is my new card", "hi where is my new crad") == [1, 1, 1]


def test_another_label_is_another_test_and_no_label_is_any() -> None:
    said = [CARD, f"{CARD}?", f"{CARD}!"]
    assert slips(*said, labels=("delivery", "theft", "delivery")) == [0, 1, 0]
    assert slips(*said, labels=("", "theft", "")) == [1, 1, 1]
    # What has no label goes with those of one label, and joins no two.
    assert slips(*said, labels=("", "theft", "delivery")) == [1, 1, 2]


@given(st.lists(st.sampled_from(["a", "bc", "card", "lost", "?", "7"]), max_size=8), st.integers(1, 9))
def test_a_text_that_is_said_again_changes_nothing(words: list[str], times: int) -> None:
    text = " ".join(words)
    assert slips("the other one", *[text] * times) == [0, *[1] * times]


def test_long_texts_are_compared_as_they_are() -> None:
    long = " ".join(f"word{number}" for number in range(500))
    assert slips(long, long.upper(), f"{long} more") == [0, 0, 2]
