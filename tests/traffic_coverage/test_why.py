"""What makes a turn near or far: pieces of a text and their effects."""

from __future__ import annotations

import math

import numpy as np
import pytest

import monitor.coverage.why
from monitor.coverage.items import ComparedItems
from monitor.coverage.why import explain, pieces_of
from monitor.encoding.hashing import HashingEncoder

ENCODER = HashingEncoder()
ASKED = ["where is my parcel", "refund my money", "reset a password", "unsubscribe from emails"]
ITEMS = ComparedItems(ASKED, [f"i{number}" for number in range(4)], ["parcel", None, None, None], range(4))


def pieces(text: str) -> list[str]:
    return [text[start:end] for start, end in pieces_of(text)]


def test_words_that_the_item_has_make_it_near_and_others_far() -> None:
    found = explain("my  parcel and an aquarium", ITEMS, ENCODER.encode(ASKED), ENCODER)
    assert found.near[0].item_id == "i0" and len(found.near) == 3
    assert (found.near[0].label, found.near[0].text) == ("parcel", "where is my parcel")
    assert [one.text for one in found.pieces] == ["my", "parcel", "and", "an", "aquarium"]
    assert found.makes_near[0].text == "parcel"
    assert "aquarium" in [one.text for one in found.makes_far]
    # The effect is what is said: the cosine less that of the rest.
    rest, item = ENCODER.encode(["my parcel and an", ASKED[0]])
    assert found.pieces[-1].effect == pytest.approx(found.near[0].cosine - float(rest @ item), abs=1e-5)


@pytest.mark.parametrize("text", ["", "parcel", "   "])
def test_of_nothing_and_of_one_word_no_effect_is_said(text: str) -> None:
    found = explain(text, ITEMS, ENCODER.encode(ASKED), ENCODER)
    assert all(math.isnan(one.effect) for one in found.pieces) and len(found.pieces) == len(text.split())
    assert found.makes_near == found.makes_far == []


def test_without_items_there_are_words_alone() -> None:
    found = explain("my parcel", ComparedItems([], [], [], []), np.empty((0, ENCODER.dimension), np.float32), ENCODER)
    assert (found.near, [one.text for one in found.pieces]) == ((), ["my", "parcel"])


def test_long_texts_are_left_out_in_groups() -> None:
    text = " ".join(f"w{number}" for number in range(1_000))
    found = pieces(text)
    assert 50 <= len(found) <= monitor.coverage.why._PIECES
    assert " ".join(found) == text
    assert len(pieces("word " * 60)) == 60


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("我的包裹在哪里", ["我的", "包裹", "在哪", "里"]),
        ("my 包裹 ok", ["my", "包裹", "ok"]),
        ("wo ist's, bitte?", ["wo", "ist's,", "bitte?"]),
    ],
)
def test_scripts_without_spaces_have_pieces_too(text: str, found: list[str]) -> None:
    assert pieces(text) == found
