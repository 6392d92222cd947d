"""A record's own time: every unit that logs use, and what becomes of a time that nobody means."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from ingest_support import NOW, at

from consumers.decoders import Defaults, decoder_named
from consumers.times import TimesRule, read_time
from monitor.errors import RecordError
from monitor.records import parse_time

NOON = datetime(2026, 3, 1, 9, 30)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        (1772357400, NOON),
        (1772357400.25, NOON + timedelta(milliseconds=250)),
        (1772357400123, NOON + timedelta(milliseconds=123)),
        (1772357400123456, NOON + timedelta(microseconds=123456)),
        (1772357400123456789, NOON + timedelta(microseconds=123456)),
        ("1772357400", NOON),
        ("1772357400.5", NOON + timedelta(milliseconds=500)),
        ("1772357400123", NOON + timedelta(milliseconds=123)),
        (" 1772357400123456789 ", NOON + timedelta(microseconds=123456)),
        ("1701012341200", datetime(2023, 11, 26, 15, 25, 41, 200000)),  # not the year 1701
        ("20260301", datetime(2026, 3, 1)),
        ("2026-03-01T10:30:00+01:00", NOON),
        ("2026-03-01 09:30:00+00", NOON),
        ("2026-03-01T09:30:00.123456789Z", NOON + timedelta(microseconds=123456)),
    ],
)
def test_units_of_an_epoch_and_offsets(value: Any, moment: datetime) -> None:
    assert parse_time(value) == moment


@pytest.mark.parametrize("value", ["soon", "", "2026", "12345678901234567890123", 1e300, float("nan"), True, None, []])
def test_what_is_no_time(value: Any) -> None:
    with pytest.raises(ValueError):
        parse_time(value)


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (None, "t: missing"),
        ("", "t: missing"),
        (0, "t: 0 is before the year 2000"),
        ("0", "t: '0' is no time"),
        ("1999-12-31T23:59:59Z", "t: '1999-12-31T23:59:59Z' is before the year 2000"),
        ("2026-03-12T12:00:01Z", "t: '2026-03-12T12:00:01Z' is more than two days ahead"),
        ("18446744073709551615", "t: '18446744073709551615' is more than two days ahead"),
        ("soon", "t: 'soon' is no time"),
        ({"a": 1}, "t: an object is no time"),
        (True, "t: true is no time"),
    ],
)
def test_a_time_that_nobody_means_says_why(value: Any, fault: str) -> None:
    reading = read_time("t", value, NOW)
    assert (reading.at, reading.fault) == (None, fault)


def test_two_days_ahead_are_a_clock() -> None:
    assert read_time("t", "2026-03-12T12:00:00Z", NOW).at == datetime(2026, 3, 12, 12)
    assert read_time("t", "2000-01-01", NOW).at == datetime(2000, 1, 1)


def test_the_rule_stands_in_and_the_note_says_so() -> None:
    now, stated = Defaults(NOW), Defaults(NOW, TimesRule.parse("at:2026-03-02"))
    assert now.dated("2026-03-01", "c", 0, None).metadata is None
    missing = now.dated(None, "c", 0, {"shop": "x"}, name="startTime")
    assert missing.at == NOW
    assert missing.metadata == {"shop": "x", "time_note": "startTime: missing; the record's arrival stands in"}
    assert stated.dated(None, "c", 0, None).metadata is None, "the result of the ingest repeats the rule"
    absurd = stated.dated(0, "c", 0, None)
    assert absurd.at == datetime(2026, 3, 2)
    assert absurd.metadata == {
        "time_note": "created_at: 0 is before the year 2000; --times at:2026-03-02 stands in",
    }


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("offmap", {"user_text": "hi", "created_at": 86400}),
        ("openai-chat", {"messages": [{"role": "user", "content": "hi"}], "created": 86400}),
    ],
)
def test_an_absurd_time_sinks_no_record(name: str, record: dict[str, Any]) -> None:
    (turn,) = decoder_named(name).decode(record, at(1), Defaults(NOW)).turns
    assert turn.created_at == NOW
    assert turn.metadata is not None
    assert turn.metadata["time_note"].startswith("created_at: 1970-01-02T00:00:00 is before the year 2000")


def test_an_event_with_an_absurd_time_counts_as_now() -> None:
    record = {"event": "feedback", "turn_id": "t", "feedback_score": 1, "created_at": 4102444800}
    (event,) = decoder_named("offmap").decode(record, at(1), Defaults(NOW)).events
    assert event.created_at == NOW
    assert event.fields["metadata"]["time_note"].startswith("created_at: 2100-01-01T00:00:00 is more than two days")


def test_a_text_that_is_no_time_stays_an_error_of_offmaps_own_format() -> None:
    with pytest.raises(RecordError, match=r"created_at: expected an ISO 8601 time .*got 'soon'"):
        decoder_named("offmap").decode({"user_text": "hi", "created_at": "soon"}, at(1), Defaults(NOW))
