"""OpenAI chat and ShareGPT: messages into turns."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
import pytest
from ingest_support import FIXTURES, NOW, at, fixture_lines

from consumers.decoders import DECODERS, Decoder, Defaults, decoder_named
from consumers.decoders.markup import plain_text
from consumers.json_array import read_array
from consumers.times import TimesRule
from monitor.errors import RecordError, UsageError
from monitor.records import Turn

DEFAULTS = Defaults(NOW)


def decode(decoder: str, record: Any, position: int = 0) -> tuple[Turn, ...]:
    return decoder_named(decoder).decode(record, at(position), DEFAULTS).turns


def test_openai_messages_become_turns() -> None:
    first, second = decode("openai-chat", orjson.loads(fixture_lines("openai_chat.jsonl")[0]))
    assert (first.turn_id, first.turn_index, first.conversation_id) == ("s1-0", 0, "s1")
    assert (first.user_text, first.assistant_text) == ("how do I bake bread", "Flour, water, salt, time.")
    assert first.system_prompt == second.system_prompt == "You help."
    assert first.modalities is None
    assert (second.user_text, second.assistant_text) == ("and what is this?", "A loaf.")
    assert second.modalities == ["text", "image"]
    assert second.tool_calls == [{"id": "k1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]
    assert (second.user_id, second.model, second.created_at) == ("u1", "small-1", datetime(2026, 3, 1, 9, 30))
    assert second.metadata == {"session_id": "s1", "shop": "berlin", "temperature": 0.2}


def test_openai_without_ids_or_users() -> None:
    (hello,) = decode("openai-chat", orjson.loads(fixture_lines("openai_chat.jsonl")[1]), 1)
    assert (hello.turn_id, hello.conversation_id, hello.assistant_text) == ("0123456789ab-1-0", "0123456789ab-1", None)
    assert decode("openai-chat", orjson.loads(fixture_lines("openai_chat.jsonl")[2])) == ()


def test_two_user_messages_in_a_row_are_two_turns() -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": "b"},
        {"role": "assistant", "content": "c"},
    ]
    assert [turn.assistant_text for turn in decode("openai-chat", {"messages": messages})] == [None, "c"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ([], "expected an object with messages, got a list"),
        ({"messages": "hi"}, "messages: expected a list, got a text"),
        ({"messages": ["secret"]}, "messages[0]: expected an object, got a text"),
        ({"messages": [{"role": "ghost", "content": "secret"}]}, "messages[0].role: expected one of system, "),
        ({"messages": [{"content": "secret"}]}, "messages[0].role: expected one of "),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content: expected a text or a list of parts"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content: expected parts to be objects"),
        ({"messages": [{"role": "user", "content": "\udc00"}]}, "messages[0].content: character 0 is half of a"),
        ({"messages": [], "created": "soon"}, "created_at: expected an ISO 8601 time"),
    ],
)
def test_openai_refuses_with_a_reason(record: Any, reason: str) -> None:
    with pytest.raises(RecordError) as caught:
        decode("openai-chat", record)
    assert str(caught.value).startswith(reason)
    assert "secret" not in str(caught.value)


def test_sharegpt_parts_are_one_conversation() -> None:
    with (FIXTURES / "sharegpt_cut.json").open("rb") as stream:
        records = list(read_array(stream))
    assert [record.reason for record in records[:5]] == [None] * 5
    assert records[5].reason == "the file ends inside this record: it is cut"
    assert records[5].payload.startswith(b'{\n    "id": "cut_0"')
    assert len(records) == 6
    turns = [turn for record in records[:4] for turn in decode("sharegpt", record.value, record.position)]
    assert [turn.turn_id for turn in turns] == ["abc-1", "abc-3", "abc-3", "abc-5"]
    assert {turn.conversation_id for turn in turns} == {"abc"}
    assert turns[0].user_text == "is 1 < 2 and <b>3</b> > 2?"
    assert turns[0].assistant_text == "Yes, 1 < 2.\n- one\n- two"
    assert turns[0].system_prompt == "Be kind."
    assert (turns[1].assistant_text, turns[2].assistant_text) == (None, "Because ```<p>code</p>```")
    with pytest.raises(RecordError, match=r"conversations\[0\].from: expected one of human, .*, got 'ghost'"):
        decode("sharegpt", records[4].value)


def test_sharegpt_without_a_part_number() -> None:
    record = {"id": "plain", "conversations": [{"from": "human", "value": "hi"}], "source": "x"}
    (turn,) = decode("sharegpt", record)
    assert (turn.turn_id, turn.metadata) == ("plain-0", {"source": "x"})
    (turn,) = decode("sharegpt", {"conversations": [{"from": "human", "value": "hi"}]}, 4)
    assert turn.conversation_id == "0123456789ab-4"


@pytest.mark.parametrize(
    "text",
    [
        "Use `<p>` for a paragraph.",
        "<div>\n  <span>code only</span>\n</div>",
        "a < b > c",
        "<formik onSubmit={f}>",
        "<p>before</p>\n```html\n<p>code</p>\n```<p></p>",
        '<div class="modal"><p>x</p></div>\nThat is the modal.',
        "",
    ],
)
def test_code_and_prose_are_no_markup(text: str) -> None:
    assert plain_text(text) == text


def test_markup_becomes_text() -> None:
    html = (
        "<p>First&nbsp;line<br>second</p><pre><button>Copy code</button><code>if a:\n    b()</code></pre><h2>End</h2>"
    )
    assert plain_text(html) == "First line\nsecond\nif a:\n    b()\nEnd"
    assert plain_text("<table><tr><td>a</td><td>b</td></tr></table>") == "a b"


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
@pytest.mark.parametrize("record", [None, [], {}, 5, "x", {"a": 1}, {"messages": 1}, {"conversations": [1]}])
def test_every_decoder_survives_anything(decoder: Decoder, record: Any) -> None:
    assert not decoder.matches(record) or decoder.name == "sharegpt"
    with pytest.raises(RecordError):
        decoder.decode(record, at(0), DEFAULTS)


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(UsageError, match="did you mean sharegpt"):
        decoder_named("share-gpt")


def test_the_rule_for_times_says_when() -> None:
    rule = TimesRule.parse("spread:2026-03-01/2026-03-08")
    record = {"id": "abc_0", "conversations": [{"from": "human", "value": str(number)} for number in range(30)]}
    first = decoder_named("sharegpt").decode(record, at(0), Defaults(NOW, rule)).turns
    again = decoder_named("sharegpt").decode(record, at(9), Defaults(datetime(2030, 1, 1), rule)).turns
    times = [turn.created_at for turn in first]
    assert times == sorted(set(times)) == [turn.created_at for turn in again]
    assert datetime(2026, 3, 1) <= times[0] < times[-1] < datetime(2026, 3, 8)


def test_a_conversation_at_the_end_stays_inside() -> None:
    rule = TimesRule.parse("spread:2026-03-01T00:00/2026-03-01T00:02")
    for conversation in map(str, range(200)):
        times = [rule.time_of(conversation, index, None, NOW) for index in range(10)]
        assert times == sorted(times)
        assert datetime(2026, 3, 1) <= times[0] < times[-1] < datetime(2026, 3, 1, 0, 2)


def test_other_rules() -> None:
    assert TimesRule.parse("at:2026-03-01T09:00+01:00").time_of("c", 5, None, NOW) == datetime(2026, 3, 1, 8)
    assert TimesRule.parse("now").time_of("c", 5, None, NOW) == NOW
    field = TimesRule.parse("field:log.seen")
    assert field.time_of("c", 0, {"log": {"seen": "1772357400"}}, NOW) == datetime(2026, 3, 1, 9, 30)
    with pytest.raises(RecordError, match=r"log.seen: the rule --times field:log.seen found no such field"):
        field.time_of("c", 0, {"log": 5}, NOW)
    with pytest.raises(RecordError, match=r"log.seen: expected a time .*got 'soon'"):
        field.time_of("c", 0, {"log": {"seen": "soon"}}, NOW)


@pytest.mark.parametrize(
    "text", ["", "later", "at:", "at:soon", "spread:2026-03-01", "spread:2026-03-02/2026-03-01", "field:"]
)
def test_a_bad_rule_is_named(text: str) -> None:
    with pytest.raises(UsageError, match="--times"):
        TimesRule.parse(text)
