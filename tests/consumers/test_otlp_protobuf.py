"""OTLP as protobuf: the exporter of OpenTelemetry's SDK points at offmap and works, and what is malformed is a 400."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
from typing import Any

import orjson
import pytest
from google.protobuf.json_format import ParseDict, ParseError
from google.rpc.status_pb2 import Status
from ingest_support import clock, fixture_lines
from listening_support import listening
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from otlp_support import document as json_document
from otlp_support import said, span, turns

from consumers.http import TRACES, HttpIntake
from consumers.otlp_protobuf import document
from consumers.protobuf_size import holds_more_than
from monitor.errors import InputError, StoreFullError
from monitor.settings import Settings
from monitor.store import Store

PROTOBUF = "application/x-protobuf"


@pytest.fixture
def intake(store: Store) -> HttpIntake:
    return HttpIntake(store, Settings(), clock=clock)


def post(
    intake: HttpIntake, body: bytes, *, path: str = TRACES, kind: str = PROTOBUF, **environ: str
) -> tuple[int, dict[str, str], bytes]:
    whole = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_TYPE": kind,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **environ,
    }
    answered: list[Any] = []
    content = b"".join(intake(whole, lambda status, headers: answered.extend((status, dict(headers)))))
    return int(answered[0][:3]), answered[1], content


def packed(plain: Any) -> bytes:
    """OTLP JSON as an exporter would have sent it in protobuf; only ids differ from protobuf's own JSON."""

    def with_ids(value: Any) -> Any:
        if isinstance(value, list):
            return [with_ids(one) for one in value]
        if not isinstance(value, dict):
            return value
        ids = ("traceId", "spanId", "parentSpanId")
        return {
            name: base64.b64encode(bytes.fromhex(one)).decode() if name in ids else with_ids(one)
            for name, one in value.items()
        }

    return bytes(ParseDict(with_ids(plain), ExportTraceServiceRequest()).SerializeToString())


def message(number: int = 1) -> bytes:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m-1",
        "gen_ai.usage.input_tokens": 7,
        "large": 2**62,
        "gen_ai.input.messages": json.dumps([said("user", f"question {number} ünïcode")]),
        "gen_ai.output.messages": json.dumps([said("assistant", "an answer")]),
        "list": ["a", 1, True, 0.5, {"deep": ["b"]}],
    }
    return packed(json_document(span(f"{number:016x}", attributes, trace=f"{number:032x}"), service_name="shop"))


def ask(tracer: trace.Tracer, text: str) -> None:
    with tracer.start_as_current_span("chat m-1") as one:
        one.set_attribute("gen_ai.operation.name", "chat")
        one.set_attribute("gen_ai.request.model", "m-1")
        one.set_attribute("gen_ai.usage.input_tokens", 7)
        one.set_attribute("gen_ai.input.messages", json.dumps([said("user", text)]))
        one.set_attribute("gen_ai.output.messages", json.dumps([said("assistant", "an answer")]))


def provider_of(exporter: SpanExporter) -> TracerProvider:
    provider = TracerProvider(resource=Resource({"service.name": "shop", "deployment.environment.name": "staging"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_the_exporter_of_the_sdk_points_here_and_works(
    intake: HttpIntake, store: Store, compression: Compression
) -> None:
    with listening(intake) as url:
        provider = provider_of(OTLPSpanExporter(endpoint=url + TRACES, compression=compression))
        tracer = provider.get_tracer("test")
        for number in range(40):
            ask(tracer, f"question {number}")
        with tracer.start_as_current_span("GET /cart"):  # whoever traces, traces everything
            pass
        assert provider.force_flush()
        provider.shutdown()
    table = store.turns.read(columns=["user_text", "assistant_text", "model", "input_tokens", "app", "environment"])
    found = sorted(tuple(row.values()) for row in table.to_pylist())
    assert found == sorted((f"question {number}", "an answer", "m-1", 7, "shop", "staging") for number in range(40))
    assert store.dead_letters.count() == 0


class _Kept(SpanExporter):
    """Keeps what the exporter was given, so that the same spans go out twice."""

    def __init__(self, inner: SpanExporter) -> None:
        self.inner = inner
        self.results: list[SpanExportResult] = []

    def export(self, spans: Any) -> SpanExportResult:
        self.results += [self.inner.export(spans), self.inner.export(spans)]
        return self.results[-1]

    def shutdown(self) -> None:
        self.inner.shutdown()


def test_a_batch_that_is_sent_again_is_stored_once(intake: HttpIntake, store: Store) -> None:
    with listening(intake) as url:
        kept = _Kept(OTLPSpanExporter(endpoint=url + TRACES))
        provider = provider_of(kept)
        ask(provider.get_tracer("test"), "once?")
        provider.force_flush()
        provider.shutdown()
    assert kept.results == [SpanExportResult.SUCCESS] * 2
    assert (store.turns.count(), store.turns.conflicts()) == (1, 0)


@pytest.mark.parametrize(("name", "decoder"), [("otel_genai", "otel-genai"), ("openinference", "openinference")])
def test_both_encodings_are_the_same_turns(name: str, decoder: str) -> None:
    compared = 0
    for line in fixture_lines(f"{name}.jsonl"):
        plain = orjson.loads(line)
        try:
            body = packed(plain)
        except (AttributeError, ParseError, ValueError):
            continue  # what protobuf cannot say: a span alone, a list of documents, attributes as a plain object
        if plain.get("resourceSpans") and turns(decoder, plain):
            assert turns(decoder, document(body)) == turns(decoder, plain)
            compared += 1
    assert compared >= 2


def test_an_answer_is_in_protobuf(intake: HttpIntake, store: Store) -> None:
    status, headers, content = post(intake, message())
    assert (status, headers["Content-Type"], content) == (200, PROTOBUF, b"")
    assert post(intake, b"")[0] == 200, "an empty request is a request"
    assert post(intake, gzip.compress(message(2)), HTTP_CONTENT_ENCODING="gzip")[0] == 200
    assert store.turns.count() == 2
    nameless = packed(json_document(span("00000000000000aa", {"gen_ai.operation.name": "chat"}), span("", {})))
    status, _, content = post(intake, nameless)
    partial = ExportTraceServiceResponse.FromString(content).partial_success
    assert (status, partial.rejected_spans) == (200, 2)
    assert partial.error_message == "resourceSpans[0].scopeSpans[0].spans[1].spanId: blank"
    [letter] = store.dead_letters.read()
    assert orjson.loads(letter.payload)["resourceSpans"], "it is kept as JSON, to be read and replayed like any other"


def refused(intake: HttpIntake, body: bytes, **environ: str) -> tuple[int, Status]:
    status, headers, content = post(intake, body, **environ)
    assert headers["Content-Type"] == PROTOBUF
    return status, Status.FromString(content)


def test_what_is_refused_says_so_in_protobuf(intake: HttpIntake, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    status, said_ = refused(intake, message()[:-5])
    assert (status, said_.code) == (400, 3) and "ExportTraceServiceRequest" in said_.message
    assert refused(intake, message(), HTTP_CONTENT_ENCODING="br")[0] == 415
    assert refused(intake, gzip.compress(message())[:-9], HTTP_CONTENT_ENCODING="gzip")[0] == 400
    assert refused(intake, b"", REQUEST_METHOD="GET")[0] == 405
    small = HttpIntake(store, Settings().with_value("ingest.most_mb", 1, source="test"), clock=clock)
    status, said_ = refused(small, b"x" * ((1 << 20) + 1))
    assert (status, said_.code) == (413, 8) and "ingest.most_mb" in said_.message
    proxied = HttpIntake(store, Settings().with_value("serve.behind_proxy", True, source="test"), clock=clock)
    assert refused(proxied, message())[0] == 401

    def full(turns: object) -> object:
        raise StoreFullError("no room left on the disk")

    with monkeypatch.context() as patched:
        patched.setattr(store.turns, "append", full)
        status, headers, content = post(intake, message())
    assert (status, headers["Retry-After"], Status.FromString(content).code) == (503, "5", 14)
    assert (store.turns.count(), store.dead_letters.count()) == (0, 0)


def test_json_is_refused_in_json(intake: HttpIntake, store: Store) -> None:
    status, _, content = post(intake, b'{"resourceSpans": [', kind="application/json")
    body = json.loads(content)
    assert (status, body["code"]) == (400, 3) and "not JSON" in body["message"]
    assert post(intake, b"{}", kind="text/plain")[0] == 415
    assert store.dead_letters.count() == 0


@pytest.mark.parametrize("path", ["/v1/logs", "/v1/metrics"])
def test_other_signals_are_told_where_to_go(intake: HttpIntake, path: str) -> None:
    status, said_ = refused(intake, message(), path=path)
    assert status == 404 and "/v1/traces" in said_.message and "_EXPORTER=none" in said_.message
    status, _, content = post(intake, b"{}", path=path, kind="application/json")
    assert status == 404 and json.loads(content)["code"] == 12


def test_spans_that_are_more_than_a_record_are_refused_whole(intake: HttpIntake, store: Store) -> None:
    """Cut to the first 64 KiB, a dead letter of them would have lost the rest."""
    large = packed(json_document(span("00000000000000aa", {"gen_ai.prompt": "x" * (17 << 20)})))
    status, said_ = refused(intake, large)
    assert status == 413 and "send fewer" in said_.message
    assert store.dead_letters.count() == 0


@pytest.mark.parametrize("content", ["spans", "attributes"])
def test_a_few_bytes_that_are_many_things_are_refused(
    intake: HttpIntake, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty spans and attributes are two bytes each, and hundreds when they are parsed: they must be refused before."""
    monkeypatch.setattr("consumers.otlp_protobuf._ONE_AT_A_TIME", None)  # what is parsed is parsed under this lock
    inner = b"\x12\x00" * 400_000 if content == "spans" else _field(2, b"\x4a\x00" * 400_000)
    status, said_ = refused(intake, _field(1, _field(2, inner)))
    assert status == 400 and "300,000" in said_.message


def test_messages_are_counted_in_the_bytes() -> None:
    def inside(message: Any) -> int:
        count = 0
        for field, value in message.ListFields():
            if field.type == field.TYPE_MESSAGE:
                many = value if field.is_repeated else [value]
                count += sum(1 + inside(one) for one in many)
        return count

    body = b"".join(message(number) for number in range(40))
    parsed = inside(ExportTraceServiceRequest.FromString(body))
    assert parsed > 500
    assert holds_more_than(parsed - 1, body) and not holds_more_than(parsed, body)
    assert not holds_more_than(parsed, body[:-7])


@pytest.mark.parametrize("kind", ["array", "kvlist"])
def test_deep_values_are_no_crash(intake: HttpIntake, kind: str) -> None:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

    for depth in (20, 31, 40, 200, 5_000):
        inner = AnyValue(string_value="x").SerializeToString()
        for _ in range(depth):
            inner = _nested(inner, kind)
        body = _field(1, _field(2, _field(2, _field(9, _field(1, b"k") + _field(2, inner)))))
        status, _, _ = post(intake, body)
        assert status in (200, 400)


def _field(number: int, content: bytes) -> bytes:
    length, size = len(content), bytearray()
    while length > 0x7F:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2]) + bytes(size) + bytes([length]) + content


def _nested(inner: bytes, kind: str) -> bytes:
    if kind == "array":
        return _field(5, _field(1, inner))
    return _field(6, _field(1, _field(1, b"k") + _field(2, inner)))


def test_mutated_bytes_are_read_or_refused(intake: HttpIntake) -> None:
    """5,000 mutations of a message and 2,000 random texts; every 50th goes the whole way into the store."""
    chance = random.Random(7)
    whole = message() + message(2)
    outcomes = {"read": 0, "refused": 0}
    for number in range(7_000):
        body = bytearray(whole) if number < 5_000 else bytearray(chance.randbytes(chance.randrange(300)))
        for _ in range(chance.randrange(1, 6)):
            if body:
                _mutate(body, chance)
        try:
            orjson.dumps(document(bytes(body)))
            outcomes["read"] += 1
        except InputError:
            outcomes["refused"] += 1
        if number % 50 == 0:
            assert post(intake, bytes(body))[0] in (200, 400)
    assert min(outcomes.values()) > 300, outcomes


def _mutate(body: bytearray, chance: random.Random) -> None:
    place = chance.randrange(len(body))
    match chance.randrange(4):
        case 0:
            body[place] ^= 1 << chance.randrange(8)
        case 1:
            del body[place : place + chance.randrange(1, 20)]
        case 2:
            body[place:place] = chance.randbytes(chance.randrange(1, 10))
        case _:
            del body[place:]
