"""What of a text is encoded."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.encoding.recipe import EVAL_PROMPT, USER_TEXT, text_hash


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        ("", ""),
        (" \t\n\u00a0 ", ""),
        ("  where\r\nis \u2003 my\tparcel ", "where is my parcel"),
        ("cafe\u0301", "caf\u00e9"),
        ("a\ud83d\ude00b", "a😀b"),
        ("a\ud83db", "a\ufffdb"),
        ("x" * 9_000, "x" * 8_000),
        ("x" * 7_999 + " y", "x" * 7_999),
        ("Keep CASE, and 12.50 €!", "Keep CASE, and 12.50 €!"),
    ],
)
def test_prepare(text: str, prepared: str) -> None:
    assert USER_TEXT.prepare(text) == prepared


@given(st.text(st.characters(codec=None), max_size=200))
def test_preparing_twice_is_preparing_once(text: str) -> None:
    prepared = USER_TEXT.prepare(text)
    assert USER_TEXT.prepare(prepared) == prepared
    assert unicodedata.is_normalized("NFC", prepared)
    prepared.encode("utf-8")


@given(st.text(max_size=100))
def test_eval_prompts_are_prepared_like_user_texts(text: str) -> None:
    assert EVAL_PROMPT.prepare(text) == USER_TEXT.prepare(text)


def test_recipes_have_versioned_names() -> None:
    assert USER_TEXT.name == "user_text@1"
    assert EVAL_PROMPT.name == "eval@1"


def test_hashes_are_fixed() -> None:
    # Stored vectors are found by them: a change here makes every stored vector unreachable.
    assert text_hash("where is my parcel").hex() == "a989382b2ba4560be5d1bf5079bba9a8"
    assert len(text_hash("")) == 16
    assert text_hash("a") != text_hash("A")
