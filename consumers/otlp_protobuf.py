"""OTLP over HTTP: a request in protobuf, which most SDKs send, as the JSON document that the decoder reads; and answers in
either encoding.

What differs between the two encodings is levelled here, so that there is one decoder: ids are bytes and become hexadecimal,
64-bit numbers become texts. Links and dropped counts are not read by anybody and stay out.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from consumers.protobuf_size import holds_more_than
from monitor.errors import InputError

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

__all__ = ["document", "otlp_answer"]

#: Spans, attributes, events and values of a request. Batches of exporters have a tenth of it.
_MOST_THINGS = 300_000
#: What a request takes while it is read is needed once, and not for each request at work.
_ONE_AT_A_TIME = threading.Lock()
_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
#: Statuses of HTTP as google.rpc.Code has them.
_CODES = {400: 3, 401: 16, 404: 12, 405: 12, 413: 8, 415: 3, 429: 8, 503: 14}


def document(body: bytes) -> dict[str, Any]:
    """An `ExportTraceServiceRequest` as OTLP JSON has it. Raises `InputError` for bytes that are none."""
    # 0.05 s and 2 MB that a service without such an exporter does not pay for.
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    if holds_more_than(_MOST_THINGS, body):
        raise InputError(f"the spans hold more than {_MOST_THINGS:,} values: send fewer at once")
    with _ONE_AT_A_TIME:
        request = ExportTraceServiceRequest()
        try:
            request.ParseFromString(body)
        except DecodeError:  # its words name our library's types, and may quote the body
            raise InputError(
                "the body is no ExportTraceServiceRequest in protobuf: it is cut, damaged or something else"
            ) from None
        return _document(request)


def otlp_answer(status: str, body: Mapping[str, Any], *, protobuf: bool) -> tuple[str, str, bytes]:
    """Status, content type and bytes of an answer: an `ExportTraceServiceResponse`, or a `google.rpc.Status`."""
    if status.startswith("422"):
        status = "400 Bad Request"  # OTLP knows no other for what cannot be read
    if not status.startswith("200"):
        code, message = _CODES[int(status[:3])], str(body["error"])
        if protobuf:
            return status, _PROTOBUF, _rpc_status(code, message)
        return status, _JSON, orjson.dumps({"code": code, "message": message}) + b"\n"
    if protobuf:
        return status, _PROTOBUF, _success(body["partialSuccess"])
    return status, _JSON, orjson.dumps(body) + b"\n"


def _success(partial: Mapping[str, Any]) -> bytes:
    """Without anything rejected the message is empty, as OTLP asks."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    answer = ExportTraceServiceResponse()
    if partial:
        answer.partial_success.rejected_spans = partial["rejectedSpans"]
        answer.partial_success.error_message = partial["errorMessage"]
    return bytes(answer.SerializeToString())


def _rpc_status(code: int, message: str) -> bytes:
    """Field 1 is the code, field 2 the message: not worth a library."""
    text = message.encode("utf-8", "replace")
    return b"\x08" + _varint(code) + b"\x12" + _varint(len(text)) + text


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _document(request: ExportTraceServiceRequest) -> dict[str, Any]:
    return {"resourceSpans": [_resource_spans(one) for one in request.resource_spans]}


def _resource_spans(owner: ResourceSpans) -> dict[str, Any]:
    return {
        "resource": {"attributes": _attributes(owner.resource.attributes)},
        "scopeSpans": [_scope_spans(one) for one in owner.scope_spans],
    }


def _scope_spans(scope: ScopeSpans) -> dict[str, Any]:
    named = {"name": scope.scope.name, "version": scope.scope.version}
    return {"scope": named, "spans": [_span(one) for one in scope.spans]}


def _span(span: Span) -> dict[str, Any]:
    found: dict[str, Any] = {
        "traceId": span.trace_id.hex(),
        "spanId": span.span_id.hex(),
        "name": span.name,
        "kind": int(span.kind),
        "startTimeUnixNano": str(span.start_time_unix_nano),
        "endTimeUnixNano": str(span.end_time_unix_nano),
        "attributes": _attributes(span.attributes),
        "events": [
            {
                "timeUnixNano": str(event.time_unix_nano),
                "name": event.name,
                "attributes": _attributes(event.attributes),
            }
            for event in span.events
        ],
        "status": {"code": int(span.status.code), "message": span.status.message},
    }
    if span.parent_span_id:
        found["parentSpanId"] = span.parent_span_id.hex()
    return found


def _attributes(pairs: Sequence[KeyValue]) -> list[Mapping[str, Any]]:
    return [{"key": one.key, "value": _value(one.value)} for one in pairs]


def _value(value: AnyValue) -> dict[str, Any]:
    """An AnyValue by the name that JSON has for its kind. Protobuf reads no more than 100 levels, so this ends."""
    match value.WhichOneof("value"):
        case "string_value":
            return {"stringValue": value.string_value}
        case "bool_value":
            return {"boolValue": value.bool_value}
        case "int_value":
            return {"intValue": str(value.int_value)}
        case "double_value":
            return {"doubleValue": value.double_value}
        case "bytes_value":
            return {"bytesValue": base64.b64encode(value.bytes_value).decode()}
        case "array_value":
            return {"arrayValue": {"values": [_value(one) for one in value.array_value.values]}}
        case "kvlist_value":
            return {"kvlistValue": {"values": _attributes(value.kvlist_value.values)}}
    return {}
