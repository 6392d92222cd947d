"""Dead letters as text: whole, laid out, cut, redacted, and without tricks."""

from __future__ import annotations

from datetime import datetime

import pytest

from monitor.payloads import payload_of
from monitor.records import Coordinates, DeadLetter
from monitor.wording import revealed


def letter(payload: bytes) -> DeadLetter:
    return DeadLetter(Coordinates("kafka:turns", "0", 1), "bad", payload, datetime(2026, 3, 1))


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (b'{"a": [1]}', '{\n  "a": [\n    1\n  ]\n}'),
        (b'{"a": "\\u202e\\u0007"}', '{\n  "a": "\\u202e\\u0007"\n}'),
        (b"\xff\xfe{", "\\xff\\xfe{"),
        (b"3", "3"),
        (b"", ""),
    ],
)
def test_payloads_as_text(payload: bytes, text: str) -> None:
    shown = payload_of(letter(payload), redacted=False)
    assert shown.text == text and not shown.cut


def test_a_long_one_is_cut_and_says_so() -> None:
    shown = payload_of(letter(b"x" * 30_000), redacted=False)
    assert (shown.cut, shown.shown, shown.characters) == (True, 20_000, 30_000)
    assert not payload_of(letter(b"x" * 20_000), redacted=False).cut


def test_a_secret_at_the_cut_is_redacted_whole() -> None:
    text = b"x" * 90 + b" ann.with.a.long.name@example.org and more"
    shown = payload_of(letter(text), redacted=True, most=100)
    assert shown.text.endswith("[email] a") or shown.text.endswith("[email]")
    assert "ann" not in shown.text
    short = payload_of(letter(b"ann@example.org"), redacted=True)
    assert short.text == "[email]" and not short.cut


def test_nothing_acts_and_nothing_hides() -> None:
    for character in "\x00\x07\x1b\r\x7f\x85\x9b\u200b\u200e\u202e\u2028\u2066\ufeff\ue000\ud800\U000e0041":
        assert revealed(f"a{character}b").isprintable() and len(revealed(character)) >= 2, hex(ord(character))
    plain = "Zähler 12\n\tवि क्\u200dष 👩\u200d🔧 «ok»"
    assert revealed(plain) == plain
