"""Each format's records are taken by its own decoder and by no other, and no odd value breaks a decoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from ingest_support import FIXTURES, NOW, at

from consumers.decoders import DECODERS, Decoder, Defaults, decoder_named
from consumers.files import open_file
from monitor.errors import RecordError
from monitor.store.identity import incoming

#: A fixture of each format.
OF_FORMAT = {
    "offmap": "turns.jsonl",
    "openai-chat": "openai_chat.jsonl",
    "openai-exchange": "openai_exchange.jsonl",
    "litellm": "litellm.jsonl",
    "sharegpt": "sharegpt_cut.json",
    "lmsys": "lmsys.jsonl",
    "wildchat": "wildchat.jsonl",
    "langfuse": "langfuse.jsonl",
    "langsmith": "langsmith.jsonl",
    "otel-genai": "otel_genai.jsonl",
    "openinference": "openinference.jsonl",
}


def records(name: str) -> Iterator[Any]:
    for record in open_file(FIXTURES / OF_FORMAT[name]).records():
        if record.reason is None:
            yield orjson.loads(orjson.dumps(record.value))


def test_every_format_has_a_fixture() -> None:
    assert set(OF_FORMAT) == {decoder.name for decoder in DECODERS}


@pytest.mark.parametrize("name", OF_FORMAT)
@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: decoder.name)
def test_a_decoder_takes_its_own_records_alone(decoder: Decoder, name: str) -> None:
    assert {decoder.matches(record) for record in records(name)} == {decoder.name == name}


def changed(record: Any, odd: Any) -> Iterator[Any]:
    """The record with one value after the other replaced, however deep it stands; and with each left out."""
    if isinstance(record, dict):
        for name, value in record.items():
            yield {**record, name: odd}
            yield {other: item for other, item in record.items() if other != name}
            yield from ({**record, name: inner} for inner in changed(value, odd))
    elif isinstance(record, list):
        for position, value in enumerate(record):
            yield from ([*record[:position], inner, *record[position + 1 :]] for inner in (odd, *changed(value, odd)))


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_FORMAT)
@pytest.mark.parametrize("odd", [None, [], {}, [None], {"a": [1]}, "", "odd", 5, -1, 1.5, True, 10**25, "\ud83d"])
def test_an_odd_value_anywhere_is_read_or_named(name: str, odd: Any) -> None:
    decoder = decoder_named(name)
    for record in records(name):
        for variant in changed(record, odd):
            decoder.matches(variant)
            try:
                decoded = decoder.decode(variant, at(1), Defaults(NOW))
            except RecordError as error:
                assert str(error)
                continue
            for turn in decoded.turns:
                incoming(turn)  # what is read can be stored
                assert turn.user_text.strip()
