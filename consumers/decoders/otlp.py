"""OTLP JSON: the spans of a record as plain values, whichever way their exporter spells them.

A record is an OTLP document (`resourceSpans`, or `resourceLogs` for what is told of a span in events), a list of
documents, or one span alone. Keys are camelCase or snake_case,
attributes a list of key and value or a plain object, ids beside the span's name or in its context, times nanoseconds as
a text or a number, `[seconds, nanoseconds]`, or ISO 8601.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from consumers.decoders.otlp_value import attributes_of, value_of
from consumers.fields import check_text, type_word
from monitor.errors import RecordError
from monitor.records import parse_time

__all__ = ["Span", "SpanEvent", "Unread", "in_order", "is_otlp", "is_span", "nested", "raw_spans", "read_spans"]

_RESOURCES = ("resourceSpans", "resource_spans")
_LOGS = ("resourceLogs", "resource_logs")
_LOG_SCOPES = ("scopeLogs", "scope_logs")
_LOG_RECORDS = ("logRecords", "log_records")
#: Of a message that was logged, and not of its span.
_BODY = frozenset(("content", "role", "message", "index", "finish_reason", "tool_calls", "id", "event.name"))
_SCOPES = ("scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans")
_CONTEXTS = ("context", "spanContext", "_spanContext", "span_context")
_TRACE, _SPAN = ("traceId", "trace_id"), ("spanId", "span_id")
_PARENT = ("parentSpanId", "parent_span_id", "parentId", "parent_id")
_PARENT_CONTEXTS = ("parentSpanContext", "parent_span_context")
_START = ("startTimeUnixNano", "start_time_unix_nano", "startTime", "start_time")
_END = ("endTimeUnixNano", "end_time_unix_nano", "endTime", "end_time")
_EVENT_TIME = ("timeUnixNano", "time_unix_nano", "time", "timestamp", "observedTimeUnixNano", "observed_time_unix_nano")
_HEX_ID = re.compile(r"(?:0x)?([0-9a-fA-F]{32}|[0-9a-fA-F]{16})")
_FAILED = (2, "2", "STATUS_CODE_ERROR", "ERROR", "Error", "error")
_LARGEST = 2**63
#: Names that share one first part, such as the texts of one message, are nested no deeper than this.
_LONGEST_NAME = 12


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """Something that happened within a span."""

    name: str
    time_ns: int | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """One span with its resource's attributes. A time of None is missing or unreadable; `odd_times` tells them apart."""

    where: str
    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start_ns: int | None
    end_ns: int | None
    odd_times: bool
    attributes: Mapping[str, Any]
    events: tuple[SpanEvent, ...]
    resource: Mapping[str, Any]
    error: str | None

    @property
    def latency_ms(self) -> float | None:
        if self.start_ns is None or self.end_ns is None or self.end_ns < self.start_ns:
            return None
        return (self.end_ns - self.start_ns) / 1e6


@dataclass(frozen=True, slots=True)
class Unread:
    """A span that cannot be read, and why. A `trace_id` of None: nor can it be told which trace it is of."""

    trace_id: str | None
    reason: str


def is_otlp(record: Any) -> bool:
    """Whether a record is an OTLP document, a list of them, or one span."""
    if isinstance(record, list):
        return bool(record) and all(isinstance(one, dict) and (_is_document(one) or is_span(one)) for one in record)
    return isinstance(record, dict) and (_is_document(record) or is_span(record))


def is_span(record: Mapping[str, Any]) -> bool:
    """Whether an object is a span: both its ids, and attributes or a start."""
    if not isinstance(record.get("attributes"), list | dict) and _first(record, _START) is None:
        return False
    context = _context(record)
    return isinstance(_first(context, _TRACE), str) and isinstance(_first(context, _SPAN), str)


def raw_spans(record: Any) -> Iterator[Mapping[str, Any]]:
    """The span objects of a record, unread. Never raises: what is malformed is passed over."""
    for document in record if isinstance(record, list) else [record]:
        if not isinstance(document, dict):
            continue
        if not _is_document(document):
            yield document
            continue
        for resource in _objects(_first(document, _RESOURCES)):
            for scope in _objects(_first(resource, _SCOPES)):
                yield from _objects(scope.get("spans"))


def read_spans(record: Any) -> Iterator[Span | Unread]:
    """All spans of a record in their order. Raises `RecordError` for a record that is not OTLP, naming the field."""
    documents = record if isinstance(record, list) else [record]
    if not documents:
        raise RecordError("resourceSpans: expected an OTLP document, got an empty list")
    for place, document in enumerate(documents):
        prefix = f"[{place}]." if isinstance(record, list) else ""
        if not isinstance(document, dict):
            raise RecordError(f"{prefix}resourceSpans: expected an OTLP document, got {type_word(document)}")
        if not _is_document(document):
            _check_lone_span(prefix, document)
            yield _one(prefix, document, {})
            continue
        for where, owner in _list(prefix, document, _RESOURCES):
            resource = _resource_or_fault(where, owner)
            for inner, scope in _list(f"{where}.", owner, _SCOPES):
                for path, raw in _items(f"{inner}.", scope, ("spans",)):
                    yield _one(f"{path}.", raw, resource)
        yield from _logged(prefix, document)


def _one(prefix: str, raw: Any, resource: Mapping[str, Any] | RecordError) -> Span | Unread:
    try:
        if isinstance(resource, RecordError):
            raise resource
        if not isinstance(raw, dict):
            raise RecordError(f"{prefix.removesuffix('.')}: expected an object, got {type_word(raw)}")
        return _span(prefix, raw, resource)
    except RecordError as error:
        return Unread(_trace_of(raw), str(error))


def _trace_of(raw: Any) -> str | None:
    """The trace of a span, or of a log, that cannot be read for something else."""
    try:
        return _id("", _first(_context(raw), _TRACE)) if isinstance(raw, dict) else None
    except RecordError:
        return None


def _resource_or_fault(where: str, owner: Mapping[str, Any]) -> Mapping[str, Any] | RecordError:
    """A resource that cannot be read spoils the spans below it, and no others."""
    try:
        return _resource(where, owner)
    except RecordError as error:
        return error


def nested(attributes: Mapping[str, Any], prefix: str) -> list[Any]:
    """The list that indexed names spell, in the order of the indices; a list that is one already, as it is.

    >>> nested({"p.1.content": "b", "p.0.role": "user", "p.0.tool_calls.0.name": "look"}, "p")
    [{'role': 'user', 'tool_calls': {'0': {'name': 'look'}}}, {'content': 'b'}]
    """
    whole = attributes.get(prefix)
    if isinstance(whole, list):
        return [_unfolded(item) if isinstance(item, dict) else item for item in whole]
    start = f"{prefix}."
    tree: dict[str, Any] = {}
    for name, value in attributes.items():
        if name.startswith(start):
            _put(tree, name[len(start) :].split(".", _LONGEST_NAME), value)
    return in_order(tree)


def in_order(tree: Any) -> list[Any]:
    """The values of an object whose names are indices, in their order; a list as it is, anything else as none."""
    if isinstance(tree, list):
        return tree
    if not isinstance(tree, dict):
        return []
    return [tree[index] for index in sorted((name for name in tree if name.isdecimal()), key=_index)]


def _index(name: str) -> tuple[int, str]:
    return len(name.lstrip("0")), name.lstrip("0")


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        inner = tree.get(part)
        if not isinstance(inner, dict):
            inner = tree[part] = {}
        tree = inner
    if not isinstance(tree.get(path[-1]), dict):
        tree[path[-1]] = value


def _unfolded(item: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, value in item.items():
        _put(tree, name.split(".", _LONGEST_NAME), value)
    return tree


def _is_document(record: Mapping[str, Any]) -> bool:
    return any(isinstance(record.get(name), list) for name in (*_RESOURCES, *_LOGS))


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    return (one for one in value if isinstance(one, dict)) if isinstance(value, list) else iter(())


def _first(record: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((record[name] for name in names if record.get(name) is not None), None)


def _context(record: Mapping[str, Any]) -> Mapping[str, Any]:
    if _first(record, _TRACE) is not None and _first(record, _SPAN) is not None:
        return record
    context = _first(record, _CONTEXTS)
    return context if isinstance(context, dict) else record


def _list(prefix: str, record: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a list and their places."""
    for where, item in _items(prefix, record, names):
        if not isinstance(item, dict):
            raise RecordError(f"{where}: expected an object, got {type_word(item)}")
        yield where, item


def _items(prefix: str, record: Mapping[str, Any], names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Whatever a list holds."""
    name = next((name for name in names if record.get(name) is not None), names[0])
    value = record.get(name)
    if value is None:
        return
    if not isinstance(value, list):
        raise RecordError(f"{prefix}{name}: expected a list, got {type_word(value)}")
    yield from ((f"{prefix}{name}[{place}]", item) for place, item in enumerate(value))


def _resource(where: str, owner: Mapping[str, Any]) -> Mapping[str, Any]:
    resource = owner.get("resource")
    if resource is None:
        return {}
    if not isinstance(resource, dict):
        raise RecordError(f"{where}.resource: expected an object, got {type_word(resource)}")
    return attributes_of(f"{where}.resource.attributes", resource.get("attributes"))


def _check_lone_span(prefix: str, raw: Mapping[str, Any]) -> None:
    value = _first(raw, _RESOURCES)
    if value is not None:
        raise RecordError(f"{prefix}resourceSpans: expected a list, got {type_word(value)}")
    context = _context(raw)
    if _first(context, _TRACE) is None or _first(context, _SPAN) is None:
        raise RecordError(f"{prefix}resourceSpans: missing, and this is no span with traceId and spanId either")


def _span(prefix: str, raw: Mapping[str, Any], resource: Mapping[str, Any]) -> Span:
    where = prefix.removesuffix(".") or "span"
    attributes = attributes_of(f"{prefix}attributes", raw.get("attributes"))
    events = tuple(_event(place, event) for place, event in _list(prefix, raw, ("events",)))
    context = _context(raw)
    start, end = _first(raw, _START), _first(raw, _END)
    start_ns, end_ns = _nanoseconds(start), _nanoseconds(end)
    return Span(
        where=where,
        trace_id=_id(f"{prefix}traceId", _first(context, _TRACE)),
        span_id=_id(f"{prefix}spanId", _first(context, _SPAN)),
        parent_id=_parent(prefix, raw),
        name=check_text(f"{prefix}name", raw.get("name") or ""),
        start_ns=start_ns,
        end_ns=end_ns,
        odd_times=start_ns is None and start not in (None, 0, "0", ""),
        attributes=attributes,
        events=events,
        resource=resource or _resource(where, raw),
        error=_error(raw.get("status"), attributes, events),
    )


def _logged(prefix: str, document: Mapping[str, Any]) -> Iterator[Span | Unread]:
    """What logs tell of spans: a span for each, with its logs as events. Logs outside any span are somebody else's."""
    told: dict[tuple[str, str], list[SpanEvent]] = {}
    places: dict[tuple[str, str], tuple[str, Mapping[str, Any]]] = {}
    for where, owner in _list(prefix, document, _LOGS):
        resource = _resource_or_fault(where, owner)
        for inner, scope in _list(f"{where}.", owner, _LOG_SCOPES):
            for path, raw in _list(f"{inner}.", scope, _LOG_RECORDS):
                trace, span = _first(raw, _TRACE), _first(raw, _SPAN)
                if not trace or not span:
                    continue
                try:
                    if isinstance(resource, RecordError):
                        raise resource
                    key = _id(f"{path}.traceId", trace), _id(f"{path}.spanId", span)
                    event = _log_event(path, raw)
                except RecordError as error:
                    yield Unread(_trace_of(raw), str(error))
                    continue
                places.setdefault(key, (path, resource))
                told.setdefault(key, []).append(event)
    yield from (_span_of_logs(key, *places[key], events) for key, events in told.items())


def _span_of_logs(key: tuple[str, str], where: str, resource: Mapping[str, Any], events: Sequence[SpanEvent]) -> Span:
    attributes: dict[str, Any] = {}
    for event in events:
        if not event.name.startswith("gen_ai.evaluation"):  # what was found about the span later
            attributes |= {name: value for name, value in event.attributes.items() if name not in _BODY}
    start = min((event.time_ns for event in events if event.time_ns is not None), default=None)
    return Span(where, *key, None, "", start, None, False, attributes, tuple(events), resource, None)


def _log_event(where: str, raw: Mapping[str, Any]) -> SpanEvent:
    """A log record as an event; its body holds what an event of a span has as attributes."""
    attributes = attributes_of(f"{where}.attributes", raw.get("attributes"))
    body = raw.get("body")
    body = value_of(f"{where}.body", body) if isinstance(body, dict) else body
    name = _first(raw, ("eventName", "event_name")) or attributes.get("event.name") or ""
    told = body if isinstance(body, dict) else {} if body is None else {"content": body}
    return SpanEvent(
        check_text(f"{where}.eventName", name), _nanoseconds(_first(raw, _EVENT_TIME)), {**told, **attributes}
    )


def _id(where: str, value: Any) -> str:
    text = check_text(where, value)
    if not text.strip():
        raise RecordError(f"{where}: blank")
    # Hexadecimal is the same id in either case; an id in base64 is not.
    match = _HEX_ID.fullmatch(text)
    return match[1].lower() if match else text


def _parent(prefix: str, raw: Mapping[str, Any]) -> str | None:
    value = _first(raw, _PARENT)
    if value is None:
        context = _first(raw, _PARENT_CONTEXTS)
        value = _first(context, _SPAN) if isinstance(context, dict) else None
    if value is None or value == "":
        return None
    found = _id(f"{prefix}parentSpanId", value)
    return found if found.strip("0") else None


def _event(where: str, raw: Mapping[str, Any]) -> SpanEvent:
    name = check_text(f"{where}.name", raw.get("name") or "")
    attributes = attributes_of(f"{where}.attributes", raw.get("attributes"))
    return SpanEvent(name, _nanoseconds(_first(raw, _EVENT_TIME)), attributes)


def _error(status: Any, attributes: Mapping[str, Any], events: Sequence[SpanEvent]) -> str | None:
    code = _first(status, ("code", "status_code", "statusCode")) if isinstance(status, dict) else None
    if isinstance(code, dict | list) or code not in _FAILED:
        return None
    thrown = next((event.attributes for event in events if event.name == "exception"), {})
    reasons = (
        _first(status, ("message", "description")),
        thrown.get("exception.message"),
        thrown.get("exception.type"),
        attributes.get("error.type"),
    )
    return next((reason for reason in reasons if isinstance(reason, str) and reason.strip()), "error")


def _nanoseconds(value: Any) -> int | None:
    """A time in nanoseconds since 1970; None for 0, which is no time, and for what is none."""
    try:
        if isinstance(value, list) and len(value) == 2:
            found = int(value[0]) * 10**9 + int(value[1])
        elif isinstance(value, str) and not value.isdecimal():
            found = (parse_time(value) - _EPOCH) // timedelta(microseconds=1) * 1000
        elif isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        else:
            found = _scaled(int(value) if isinstance(value, str) and len(value) < 40 else value)
    except (ValueError, OverflowError, TypeError):
        return None
    return found if 0 < found < _LARGEST else None


_EPOCH = parse_time(0)
_SCALES = ((10**11, 10**9), (10**14, 10**6), (10**17, 10**3))


def _scaled(number: Any) -> int:
    """Seconds, milliseconds and microseconds of this century are told from nanoseconds by their size."""
    factor = next((factor for limit, factor in _SCALES if number < limit), 1)
    return int(number * factor)
