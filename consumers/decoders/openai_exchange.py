"""OpenAI chat completions: a log line that pairs `request` with `response`, and a stored completion.

| field of a turn | log line | stored completion |
|---|---|---|
| user_text, system_prompt | the last user message of `request.messages`; earlier ones are other lines | `messages` or `input` |
| turn_id | `response.id`, else the line's `id` or `request_id`, else the conversation and the text, else the place | `id` |
| conversation_id | a `conversation_id`, `session_id` or `thread_id` of the line or a metadata, else the turn's id | the same |
| created_at | the line's `created_at`, `timestamp` or `time`, else `response.created` | `created` |
| runtime_error | the line's or the response's `error`; "no response" for none | - |

The requests of one tool loop repeat one user message. They are one turn, named after the loop's first tool call: the
last reply fills it, what the first request says of tokens and time stays. OpenAI's list of stored completions leaves
the request out; such a record is refused with the remedy, and its dead letter can be replayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from consumers.decoders.completion import Completion, error_text, read_completion
from consumers.decoders.decoder import Decoded, Defaults, default_id
from consumers.decoders.exchange import LastExchange, last_exchange
from consumers.decoders.openai_messages import CONVERSATION_KEYS, json_metadata, messages, named_conversation, unwrapped
from consumers.fields import check, check_text, type_word
from monitor.errors import RecordError
from monitor.records import Coordinates, Turn, short_hash

__all__ = ["OpenAIExchangeDecoder"]

#: Fields of a turn that a line may have under their own name.
_LINE = (
    *("tenant", "environment", "app", "language", "provider", "cost_usd", "time_to_first_token_ms"),
    *("prompt_template", "prompt_version", "prompt_variables", "retrieved_documents"),
    *("feedback_score", "feedback_comment"),
)
_TIMES = ("created_at", "timestamp", "time")
_MILLISECONDS = {
    **dict.fromkeys(("latency_ms", "duration_ms", "elapsed_ms", "response_time_ms"), 1.0),
    **dict.fromkeys(("latency_s", "latency_seconds", "duration_s", "duration_seconds"), 1000.0),
}
_KNOWN_OF_LINE = frozenset(
    (
        *("request", "response", "error", "metadata", "user", "user_id"),
        *(*_LINE, *_TIMES, *_MILLISECONDS, *CONVERSATION_KEYS),
    )
)
_KNOWN_OF_REQUEST = frozenset(("messages", "model", "metadata", "user"))
_KNOWN_OF_RESPONSE = frozenset(
    ("id", "object", "created", "model", "choices", "usage", "error", "metadata", "messages", "input", "user")
)
_USAGE = frozenset(("prompt_tokens", "completion_tokens", "total_tokens"))
_LONG_ID = 16
_REMEDY = (
    "messages: missing; OpenAI's list of stored completions leaves the request out: "
    "add what GET /chat/completions/{id}/messages returns as messages, and send the record again"
)


class OpenAIExchangeDecoder:
    """One request and its response: one turn, or none without a user's text."""

    name = "openai-exchange"

    def matches(self, record: Any) -> bool:
        return isinstance(record, dict) and (_is_line(record) or _is_stored(record))

    def decode(self, record: Any, at: Coordinates, defaults: Defaults) -> Decoded:
        if not isinstance(record, dict):
            raise RecordError(f"expected an object with request and response, got {type_word(record)}")
        if "request" not in record and "choices" in record:
            return _turn({}, _stored_request(record), record, at, defaults)
        request, response = unwrapped(record.get("request")), unwrapped(record.get("response"))
        if not isinstance(request, dict):
            raise RecordError(f"request: expected an object, or one as JSON, got {type_word(request)}")
        if not isinstance(request.get("messages"), list):
            raise RecordError(f"request.messages: expected a list, got {type_word(request.get('messages'))}")
        if response is not None and not isinstance(response, dict):
            raise RecordError(f"response: expected an object, one as JSON, or null, got {type_word(response)}")
        return _turn(record, request, response, at, defaults)


def _is_line(record: Mapping[str, Any]) -> bool:
    request = record.get("request")
    if "response" not in record and "error" not in record:
        return False
    if isinstance(request, str):
        return request.lstrip()[:1] in ("{", '"') and "messages" in request
    return isinstance(request, dict) and isinstance(request.get("messages"), list)


def _is_stored(record: Mapping[str, Any]) -> bool:
    if not isinstance(record.get("choices"), list) or "request" in record:
        return False
    return record.get("object") == "chat.completion" or "messages" in record or "input" in record


def _stored_request(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """The request of a stored completion. The second endpoint's answer may stand there whole, as an object's `data`."""
    raw = unwrapped(record.get("messages") or record.get("input"))
    if isinstance(raw, dict):
        raw = raw.get("data")
    if isinstance(raw, str):
        raw = [{"role": "user", "content": raw}]
    if raw is None:
        raise RecordError(_REMEDY)
    if not isinstance(raw, list):
        raise RecordError(f"messages: expected a list, got {type_word(raw)}")
    return {"messages": raw, "user": record.get("user")}


def _turn(
    line: Mapping[str, Any],
    request: Mapping[str, Any],
    response: Mapping[str, Any] | None,
    at: Coordinates,
    defaults: Defaults,
) -> Decoded:
    exchange = last_exchange(messages(request["messages"], "request.messages" if line else "messages"))
    answer = read_completion(response) if response else Completion()
    if exchange is None:
        return Decoded()
    exchange.tool_calls.extend(answer.tool_calls)
    named = named_conversation(line, *(_object(one, "metadata") for one in (line, request, response)))
    turn_id = _turn_id(line, response, exchange, named, at)
    metadata = _metadata(line, request, response, answer)
    when = defaults.dated(_time(line, response), named or turn_id, exchange.index, metadata)
    return Decoded(
        (
            Turn(
                turn_id=turn_id,
                conversation_id=named or turn_id,
                turn_index=exchange.index,
                created_at=when.at,
                user_text=exchange.user.text,
                # What is said along with a call of a tool is not the reply yet, and the first reply stays.
                assistant_text=None if answer.tool_calls else answer.text,
                system_prompt=exchange.system_prompt,
                tool_calls=check("tool_calls", exchange.tool_calls) or None,
                modalities=list(exchange.user.modalities) or None,
                user_id=check("user_id", line.get("user_id") or line.get("user") or request.get("user"), "user"),
                runtime_error=_error(line, response),
                metadata=when.metadata,
                **_facts(line, request, response),
            ),
        )
    )


def _turn_id(
    line: Mapping[str, Any],
    response: Mapping[str, Any] | None,
    exchange: LastExchange,
    named: str | None,
    at: Coordinates,
) -> str:
    text = exchange.user.text
    if loop := exchange.loop_id():
        return short_hash(named or "", loop, text, length=24)
    if response and response.get("id"):
        found = check_text("response.id", response["id"])
        # Some servers that speak OpenAI's form draw ids of three digits.
        return found if len(found) >= _LONG_ID else f"{found}-{short_hash(text, str(response.get('created')))}"
    for name in ("id", "request_id"):
        if line.get(name):
            return check_text(name, line[name])
    if named is None:
        return default_id(at)
    return f"{named}-{short_hash(text, str(exchange.index), str(_time(line, response)))}"


def _time(line: Mapping[str, Any], response: Mapping[str, Any] | None) -> Any:
    stated = (line.get(name) for name in _TIMES)
    return next((one for one in stated if one is not None), (response or {}).get("created"))


def _error(line: Mapping[str, Any], response: Mapping[str, Any] | None) -> str | None:
    for error in (line.get("error"), (response or {}).get("error")):
        if error:
            return error_text(error) or "error"
    return None if response else "no response"


def _facts(line: Mapping[str, Any], request: Mapping[str, Any], response: Mapping[str, Any] | None) -> dict[str, Any]:
    """Model, tokens, latency, and what the line says under the names of a turn's fields."""
    usage = _object(response, "usage")
    facts = {name: check(name, line.get(name)) for name in _LINE}
    facts["model"] = check("model", (response or {}).get("model") or request.get("model"))
    facts["input_tokens"] = check("input_tokens", usage.get("prompt_tokens"), "response.usage.prompt_tokens")
    facts["output_tokens"] = check("output_tokens", usage.get("completion_tokens"), "response.usage.completion_tokens")
    for name, factor in _MILLISECONDS.items():
        if line.get(name) is not None:
            facts["latency_ms"] = check("latency_ms", line[name], name) * factor
            break
    return facts


def _metadata(
    line: Mapping[str, Any], request: Mapping[str, Any], response: Mapping[str, Any] | None, answer: Completion
) -> Mapping[str, Any] | None:
    """What no field of a turn holds: unknown fields and parameters, and the metadata of request and response."""
    found = {name: value for name, value in line.items() if name not in _KNOWN_OF_LINE}
    found |= {name: value for name, value in request.items() if name not in _KNOWN_OF_REQUEST}
    found |= {name: value for name, value in (response or {}).items() if name not in _KNOWN_OF_RESPONSE}
    details = {name: value for name, value in _object(response, "usage").items() if name not in _USAGE}
    asked = request.get("model")
    extra = {
        "finish_reason": answer.finish_reason,
        "usage": details,
        "other_choices": list(answer.others),
        "said_with_tool_calls": answer.text if answer.tool_calls else None,
        "requested_model": asked if response and response.get("model") not in (None, asked) else None,
    }
    found = {name: value for name, value in (found | extra).items() if value not in (None, [], {})}
    for one in (response, request, line):
        found |= _object(one, "metadata")
    return json_metadata(found) or None


def _object(place: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    found = unwrapped((place or {}).get(name))
    if found is not None and not isinstance(found, dict):
        raise RecordError(f"{name}: expected an object, got {type_word(found)}")
    return found or {}
