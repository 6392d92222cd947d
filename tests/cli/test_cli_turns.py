"""`offmap turns`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cli_support import Offmap

KEYS = {"turn_id", "topics", "intent", "novelty", "covered"}
EXTRA = {"tenant", "conversation_id", "created_at", "act", "flood", "language"}


def test_a_line_of_json_a_turn(built: Offmap) -> None:
    lines = built.done("turns", "--json").lines
    assert len(lines) == 480
    topics = {topic["id"]: topic["level"] for topic in built.done("topics", "--json").json["topics"]}
    for line in lines:
        assert set(line) == KEYS | EXTRA
        named = [topics[topic] for topic in line["topics"] if topic]
        assert named == ["broad", "middle", "fine"][: len(named)] and len(line["topics"]) == 3
        assert line["covered"] is None or 0 <= line["covered"] <= 1
    assert [line["created_at"] for line in lines] == sorted(line["created_at"] for line in lines)
    assert lines[0]["turn_id"] == "c0-0" and lines[1]["act"] is not None and lines[1]["covered"] is None


def test_coverage_is_the_mean_of_covered(built: Offmap) -> None:
    covered = [line["covered"] for line in built.done("turns", "--json").lines if line["covered"] is not None]
    assert abs(sum(covered) / len(covered) - built.done("gaps", "--json").json["coverage"]["value"]) < 0.01


def test_a_topic_picks_on_any_level(built: Offmap) -> None:
    topics = built.done("topics", "--json").json["topics"]
    for level in ("broad", "middle", "fine"):
        topic = next(one for one in topics if one["level"] == level)
        lines = built.done("turns", "--topic", topic["id"], "--json").lines
        assert sum(line["act"] is None for line in lines) == topic["turns"]
        assert built.done("turns", "--topic", topic["id"], "--json", "--limit", "2").lines == lines[:2]


def test_an_unknown_topic_is_wrong_use(built: Offmap) -> None:
    known = built.done("topics", "--json").json["topics"][0]["id"]
    ran = built("turns", "--topic", known[:-1])
    assert ran.code == 2 and f"did you mean {known}?" in ran.err
    ran = built("turns", "--topic", "nonsense")
    assert ran.code == 2 and "`offmap topics` lists them" in ran.err


def test_the_table_shows_redacted_messages(built: Offmap) -> None:
    ran = built.done("turns", "--limit", "480")
    assert "[email]" in ran.out and "ann@example.org" not in ran.out
    assert "480 turns." in ran.out
    assert "the first 20 are shown" in built.done("turns").out


def test_hostile_text_is_printed_inert(offmap: Offmap, jsonl: Callable[..., Path]) -> None:
    hostile = [
        "\x1b[2J\x1b[31mred\x1b[0m alert",
        "\x1b]0;owned\x07title and \x9b31mC1 codes\x85",
        "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
        "rich [red]markup[/red] [link=http://evil.example]here[/link] [/]",
        "<script>alert(1)</script> <b>bold</b>",
        "right to left \u202eevil\u202c and \u2066isolated\u2069",
        "a\rcarriage return, a\ttab,\na newline and a \u2028 separator",
        "nul \x00 and delete \x7f and bell \x07",
    ]
    log = jsonl(*({"user_text": text, "created_at": f"2026-03-01T0{at}:00:00Z"} for at, text in enumerate(hostile)))
    offmap.done("ingest", log)
    offmap.done("analyse")
    for arguments in (("turns",), ("topics",), ("ingest", log, "--dry-run")):
        out = offmap.done(*arguments).out
        assert not [character for character in out if ord(character) < 32 and character != "\n"]
        assert not [character for character in out if 0x7F <= ord(character) < 0xA0]
        assert not set(out) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028")
    out = " ".join(offmap.done("turns", COLUMNS="100").out.split())
    for words in ("[red]markup[/red]", "<script>", "[/]"):
        assert words in out
    assert "owned" not in out and "31m" not in out
