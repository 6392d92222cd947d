"""OTLP JSON for tests: spans and documents as an exporter writes them, from plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ingest_support import NOW, at

from consumers.decoders import Decoded, Defaults, decoder_named
from monitor.records import Turn

TRACE = "5b8efff798038103d269b633813fc60c"
#: 2026-03-01 09:30:00 UTC.
START = 1_772_357_400_000_000_000
MS = 1_000_000


def value(plain: Any) -> dict[str, Any]:
    """A plain value as an OTLP AnyValue."""
    if isinstance(plain, bool):
        return {"boolValue": plain}
    if isinstance(plain, int):
        return {"intValue": str(plain)}
    if isinstance(plain, float):
        return {"doubleValue": plain}
    if isinstance(plain, list):
        return {"arrayValue": {"values": [value(one) for one in plain]}}
    if isinstance(plain, dict):
        return {"kvlistValue": {"values": keyed(plain)}}
    return {"stringValue": plain}


def keyed(plain: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(one)} for key, one in plain.items()]


def span(
    span_id: str,
    attributes: Mapping[str, Any],
    *,
    parent: str | None = None,
    trace: str = TRACE,
    start_ms: int = 0,
    ms: int = 1000,
    name: str = "chat",
    events: Sequence[tuple[str, Mapping[str, Any]]] = (),
    **more: Any,
) -> dict[str, Any]:
    """A span that begins `start_ms` after `START` and takes `ms`."""
    begin = START + start_ms * MS
    return {
        "traceId": trace,
        "spanId": span_id,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": 3,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + ms * MS),
        "attributes": keyed(attributes),
        "events": [
            {"name": event, "timeUnixNano": str(begin + ms * MS), "attributes": keyed(of)} for event, of in events
        ],
        "status": {},
        **more,
    }


def document(*spans: Mapping[str, Any], **resource: Any) -> dict[str, Any]:
    """An OTLP document with one resource. `service_name` stands for `service.name`."""
    named = {key.replace("_", "."): one for key, one in resource.items()}
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": keyed(named)},
                "scopeSpans": [{"scope": {"name": "test", "version": "1"}, "spans": list(spans)}],
            }
        ]
    }


def said(role: str, text: str, **more: Any) -> dict[str, Any]:
    """A message in the current form of the GenAI conventions."""
    return {"role": role, "parts": [{"type": "text", "content": text}], **more}


def called(name: str, identity: str, **arguments: Any) -> dict[str, Any]:
    """A message of the assistant that calls a tool."""
    part = {"type": "tool_call", "id": identity, "name": name, "arguments": arguments}
    return {"role": "assistant", "parts": [part], "finish_reason": "tool_call"}


def chat(
    sent: Sequence[Any], back: Sequence[Any] = (), *, model: str = "small-1", tokens: tuple[int, int] = (10, 5)
) -> dict[str, Any]:
    """Attributes of a call of a model in the current form."""
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": tokens[0],
        "gen_ai.usage.output_tokens": tokens[1],
        "gen_ai.input.messages": json.dumps(list(sent)),
        "gen_ai.output.messages": json.dumps(list(back)),
    }


def messages(prefix: str, *listed: tuple[str, str]) -> dict[str, str]:
    """Messages in OpenInference's indexed attributes."""
    return {
        f"llm.{prefix}_messages.{place}.message.{key}": word
        for place, (role, text) in enumerate(listed)
        for key, word in (("role", role), ("content", text))
    }


def decoded(decoder: str, record: Any, defaults: Defaults | None = None) -> Decoded:
    return decoder_named(decoder).decode(record, at(0), defaults or Defaults(NOW))


def turns(decoder: str, record: Any) -> tuple[Turn, ...]:
    return decoded(decoder, record).turns
