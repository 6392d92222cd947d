"""LiteLLM: a `StandardLoggingPayload`, or a row of the proxy's spend log.

| field of a turn | payload | spend log |
|---|---|---|
| user_text, system_prompt | the last user message of `messages` | of `proxy_server_request`: `messages` is always "{}" |
| turn_id | `id` | `request_id` |
| conversation_id | `session_id`, or one in `metadata`, else `trace_id`, else the turn's id | the same |
| created_at | `startTime`, UTC when it names no zone | the same |
| cost_usd | `response_cost` | `spend` |
| runtime_error | `error_information`, else `error_str`, when `status` is failure | the one in `metadata` |

The requests of one tool loop are one turn, as in `openai_exchange`. Calls that are no chat (embeddings, images, ...) and
messages that LiteLLM was told to leave out give no turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from consumers.decoders.completion import Completion, error_text, read_completion
from consumers.decoders.decoder import Decoded, Defaults, default_id
from consumers.decoders.exchange import LastExchange, last_exchange
from consumers.decoders.openai_messages import json_metadata, messages, named_conversation, unwrapped
from consumers.fields import check, check_text, type_word
from consumers.times import read_time
from monitor.errors import RecordError
from monitor.records import Coordinates, Turn, short_hash

__all__ = ["LiteLLMDecoder"]

# Calls in which somebody speaks with a model. A payload may leave the type empty.
_CHATS = ("completion", "anthropic_messages", "responses", "generate_content", "pass_through")
_LEFT_OUT = "redacted-by-litellm"
_KNOWN = frozenset(
    (
        *("id", "request_id", "trace_id", "session_id", "startTime", "endTime", "completionStartTime", "response_time"),
        *("status", "stream", "model", "custom_llm_provider", "prompt_tokens", "completion_tokens", "response_cost"),
        *("spend", "messages", "response", "proxy_server_request", "metadata", "end_user", "error_str"),
        *("error_information", "request_tags"),
        # Derived from the rest, and long: the price list's entry of the model, the answer's HTTP headers.
        *("hidden_params", "model_map_information", "status_fields", "total_tokens", "saved_cache_cost"),
    )
)
_KNOWN_OF_METADATA = frozenset(
    ("usage_object", "model_map_information", "additional_usage_values", "error_information", "status")
)
_NESTED = ("requester_metadata", "spend_logs_metadata")


class LiteLLMDecoder:
    """One call of a model through LiteLLM: one turn, or none without a user's text."""

    name = "litellm"

    def matches(self, record: Any) -> bool:
        if not isinstance(record, dict) or "call_type" not in record or "startTime" not in record:
            return False
        return "messages" in record or "proxy_server_request" in record

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        if not isinstance(record, dict) or "call_type" not in record:
            what = "one without it" if isinstance(record, dict) else type_word(record)
            raise RecordError(f"expected an object with call_type, got {what}")
        call = check_text("call_type", record["call_type"] or "")
        if call and not any(chat in call for chat in _CHATS):
            return Decoded()
        exchange = last_exchange(messages(_request(record)))
        if exchange is None or exchange.user.text == _LEFT_OUT:
            return Decoded()
        return Decoded((_turn(record, exchange, at, defaults),))


def _turn(record: Mapping[str, Any], exchange: LastExchange, at: Coordinates, defaults: Defaults) -> Turn:
    answer, about = _answer(record), _object(record, "metadata")
    exchange.tool_calls.extend(answer.tool_calls)
    named = _conversation_id(record, about)
    turn_id = _turn_id(record, exchange, named) or default_id(at)
    metadata = _metadata(record, about, answer)
    when = defaults.dated(record.get("startTime"), named or turn_id, exchange.index, metadata, name="startTime")
    user_id = record.get("end_user") or about.get("user_api_key_end_user_id")
    return Turn(
        turn_id=turn_id,
        conversation_id=named or turn_id,
        turn_index=exchange.index,
        created_at=when.at,
        user_text=exchange.user.text,
        assistant_text=None if answer.tool_calls or answer.text == _LEFT_OUT else answer.text,
        system_prompt=exchange.system_prompt,
        model=check("model", record.get("model")) or None,
        provider=check("provider", record.get("custom_llm_provider"), "custom_llm_provider") or None,
        tool_calls=check("tool_calls", exchange.tool_calls) or None,
        modalities=list(exchange.user.modalities) or None,
        user_id=check("user_id", user_id, "end_user") or None,
        metadata=when.metadata,
        **_outcome(record, about),
        **_durations(record, defaults.now),
    )


def _request(record: Mapping[str, Any]) -> list[Any]:
    """The messages of the call. Where the log has none, the proxy may have kept the body of the request."""
    found = _listed("messages", record.get("messages"))
    if not found:
        body = unwrapped(_object(record, "proxy_server_request"))
        body = _object(body, "body") if "body" in body else body
        asked = next((body[name] for name in ("messages", "input", "prompt") if body.get(name)), None)
        system = next((body[name] for name in ("system", "instructions") if body.get(name)), None)
        found = _listed("proxy_server_request", asked)
        if system:
            found = [{"role": "system", "content": system}, *found]
    return found


def _listed(name: str, value: Any) -> list[Any]:
    """Messages as a list: they may be JSON in a text, one message, an object that holds them, or the prompt itself."""
    found = unwrapped(value)
    if isinstance(found, dict):
        if found and isinstance(value, str) and not {"role", "messages"} & found.keys():
            found = value  # a prompt that happens to be JSON
        else:
            found = [found] if "role" in found else found.get("messages")
    if not found:
        return []
    if isinstance(found, str):
        return [{"role": "user", "content": found}]
    if not isinstance(found, list):
        raise RecordError(f"{name}: expected a text, a list, or one as JSON, got {type_word(found)}")
    return found


def _answer(record: Mapping[str, Any]) -> Completion:
    found = unwrapped(record.get("response"))
    if isinstance(found, str):
        return Completion(check_text("response", found) or None)
    if not isinstance(found, dict):
        return Completion()
    if isinstance(found.get("content"), list):  # Anthropic's own form, passed through
        return read_completion({"choices": [{"message": {"content": found["content"]}}]})
    return read_completion(found)


def _turn_id(record: Mapping[str, Any], exchange: LastExchange, named: str | None) -> str | None:
    if loop := exchange.loop_id():
        return short_hash(named or "", loop, exchange.user.text, length=24)
    for name in ("id", "request_id"):
        if record.get(name):
            return check_text(name, record[name])
    return None


def _conversation_id(record: Mapping[str, Any], about: Mapping[str, Any]) -> str | None:
    places = (record, *(unwrapped(about.get(name)) for name in _NESTED), about)
    found = named_conversation(*places)
    return found or (check_text("trace_id", record["trace_id"]) if record.get("trace_id") else None)


def _outcome(record: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens, cost and error. The zeros of a call that failed are no measurement."""
    failed = "failure" in (record.get("status"), about.get("status"))
    cost = "response_cost" if record.get("response_cost") is not None else "spend"
    found = {
        "input_tokens": check("input_tokens", record.get("prompt_tokens"), "prompt_tokens"),
        "output_tokens": check("output_tokens", record.get("completion_tokens"), "completion_tokens"),
        "cost_usd": check("cost_usd", record.get(cost), cost),
    }
    if not failed:
        return found
    places = (record.get("error_information"), about.get("error_information"), record.get("error_str"))
    errors = (error_text(unwrapped(place)) for place in places)
    error = next((one for one in errors if one), "failure")
    return {**{name: value or None for name, value in found.items()}, "runtime_error": error}


def _durations(record: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Latency, and the time to the first token: without streaming, LiteLLM lets the first token come at the end."""
    start, first, end = (
        read_time(name, record.get(name), now).at for name in ("startTime", "completionStartTime", "endTime")
    )
    found: dict[str, Any] = {}
    if start and end and start <= end:
        found["latency_ms"] = (end - start).total_seconds() * 1000
    elif not record.get("stream") and record.get("response_time"):
        found["latency_ms"] = 1000 * check("latency_ms", record["response_time"], "response_time")
    if start and first and end and start < first < end:
        found["time_to_first_token_ms"] = (first - start).total_seconds() * 1000
    return found


def _metadata(record: Mapping[str, Any], about: Mapping[str, Any], answer: Completion) -> Mapping[str, Any] | None:
    found = {name: value for name, value in record.items() if name not in _KNOWN}
    found["request_tags"] = unwrapped(record.get("request_tags"))
    found["trace_id"] = record.get("trace_id")
    found["finish_reason"] = answer.finish_reason
    found["other_choices"] = list(answer.others)
    found["said_with_tool_calls"] = answer.text if answer.tool_calls else None
    found |= {name: value for name, value in about.items() if name not in _KNOWN_OF_METADATA}
    # Every payload names every field, most of them empty.
    return json_metadata({name: value for name, value in found.items() if value not in (None, "", [], {})}) or None


def _object(place: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = unwrapped(place.get(name))
    if found is not None and not isinstance(found, dict):
        raise RecordError(f"{name}: expected an object, or one as JSON, got {type_word(found)}")
    return found or {}
