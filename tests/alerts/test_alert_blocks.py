"""Alerts as Slack messages: hostile words stay words, and Block Kit's limits hold."""

from __future__ import annotations

import html
import json
import time
from datetime import datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.alerts.blocks import escaped, message_of
from monitor.store.alerts import AlertRow
from monitor.wording import cut

HOSTILE = [
    "<!channel> <!here> <!everyone>",
    "<@U012AB3CD> <#C012AB3CD> <!subteam^S012>",
    "<https://evil.test|your bank>",
    "*bold* _italic_ ~gone~ `code` ```block```",
    ":smile: :rotating_light:",
    "&lt;!channel&gt; &amp;",
    "payment \u202egnp.exe\u202c \u2066x\u2069",
    "\x1b[31mred\x1b[0m \x07 \0 \ud800",
    "> quote\n> quote\r\n- list",
    "<script>alert(1)</script>",
    "<!channel>" * 10_000,
    "&" * 100_000,
    "\x1b[" * 50_000,
    "𓀀" * 100_000,
]
#: What Block Kit takes, by https://docs.slack.dev/reference/block-kit: https://docs.slack.dev/reference/block-kit/blocks
_MOST = {"header": 150, "section": 3_000, "field": 2_000, "context": 3_000, "button": 75}


def alert(title: str = "Gap: parcels", text: str = "10%", facts: list[list[str]] | None = None) -> AlertRow:
    body = {"text": text, "facts": facts or [], "examples": []}
    return AlertRow("al1", "gap", "g1", datetime(2026, 3, 2, 6, 5), title, body, "/gaps?gap=g1")


def texts_of(message: dict[str, Any]) -> list[tuple[str, str]]:
    """Every text with where it stands; fails on anything but plain text."""
    found = [("header", message["text"])]
    for block in message["blocks"]:
        kind = block["type"]
        objects = [(kind, block["text"])] if "text" in block else []
        objects += [("field", one) for one in block.get("fields", ())]
        if kind == "context":
            objects += [("context", one) for one in block["elements"]]
        if kind == "actions":
            objects += [("button", one["text"]) for one in block["elements"]]
        for place, one in objects:
            assert one["type"] == "plain_text", "nothing is markdown"
            assert one["emoji"] is False
            found.append((place, one["text"]))
        if kind == "rich_text":
            for quote in block["elements"]:
                assert quote["type"] == "rich_text_quote"
                for one in quote["elements"]:
                    assert one == {"type": "text", "text": one["text"]}, "no style, no link, no mention"
                    found.append(("section", one["text"]))
    return found


def check(message: dict[str, Any]) -> None:
    assert len(message["blocks"]) <= 50
    for block in message["blocks"]:
        assert 1 <= len(block.get("fields", [0])) <= 10
    for place, text in texts_of(message):
        assert 1 <= len(text) <= _MOST[place]
        assert not {"<", ">", "\n", "\x1b", "\0", "\u202e", "\u2066", "\ud800"} & set(text)
        assert html.unescape(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") == text
    json.dumps(message).encode()


def test_an_alert_reads_from_the_top() -> None:
    facts = [["Users", "9"], ["Covered", "10% (4% to 21%)"]]
    message = message_of(alert(facts=facts), ["where is my parcel", "parcel?"], "https://offmap.test/gaps?gap=g1")
    check(message)
    assert message["text"] == "Gap: parcels"
    kinds = [block["type"] for block in message["blocks"]]
    assert kinds == ["header", "section", "section", "rich_text", "rich_text", "actions", "divider", "context"]
    assert [text for _, text in texts_of(message)] == [
        *("Gap: parcels", "Gap: parcels", "10%", "Users: 9", "Covered: 10% (4% to 21%)"),
        *("where is my parcel", "parcel?", "Open in offmap", "offmap, 2026-03-02 06:05 UTC"),
    ]
    assert message["blocks"][5]["elements"][0]["url"] == "https://offmap.test/gaps?gap=g1"


def test_without_a_link_there_is_no_button() -> None:
    for link in (None, "", "https://offmap.test/" + "a" * 3_000):
        message = message_of(alert(), [], link)
        check(message)
        assert "actions" not in [block["type"] for block in message["blocks"]]


@pytest.mark.parametrize("text", ["", " \n ", "\u202e\0"])
def test_nothing_to_say_is_a_message_too(text: str) -> None:
    message = message_of(alert(text, text, [[text, text]]), [text], None)
    check(message)


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE, ids=[repr(text[:12]) for text in HOSTILE])
def test_hostile_words_stay_words(text: str) -> None:
    began = time.monotonic()
    message = message_of(alert(text, text, [[text, text]] * 25), [text] * 10, "https://offmap.test/")
    assert time.monotonic() - began < 20, "a long text takes time in proportion"
    check(message)


def test_words_with_marks_are_sent_as_they_were_written() -> None:
    text = "*bold* `code` :smile: <@U1> & more"
    (_, shown) = texts_of(message_of(alert(), [text], None))[3]
    assert shown == "*bold* `code` :smile: &lt;@U1&gt; &amp; more"


LETTERS = st.one_of(st.sampled_from("&<>;… \n\u202eampltg"), st.characters())


@given(st.text(LETTERS, max_size=400), st.integers(1, 120))
@example("&" * 280, 280)
@example("a" * 279 + "<b", 280)
@example("<", 1)
def test_escaped_is_short_and_whole_and_starts_as_the_text_does(text: str, length: int) -> None:
    safe = escaped(text, length)
    assert len(safe) <= length
    assert not {"<", ">", "\n"} & set(safe)
    plain = html.unescape(safe) if "&" in safe else safe
    assert plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") == safe, "no escape is cut in two"
    line = cut(text, length)
    assert plain == line or (plain.endswith("…") and line.startswith(plain[:-1]))
    if plain != line:
        assert len(safe) >= length - 5, "as much is shown as there is room for"
