"""Turns over HTTP: `POST /api/v1/turns` (JSON, NDJSON) and `POST /v1/traces` (OTLP as protobuf or JSON), answered when they
are durable.

A WSGI app beside the pages. What was answered with 200 is committed and on the disk; the same request again changes
nothing, since a turn is stored once, and one without an id gets one made of its content.

| answer | when |
|---|---|
| 200 | stored; the body counts what became of the records |
| 400 | of spans: a body that is no OTLP; nothing was stored, and nothing would be the next time |
| 401 | no key, or one that is not among `ingest.keys` |
| 404, 405 | another path, another method |
| 413 | more bytes, or more when unpacked, than `ingest.most_mb` |
| 415 | a content type or encoding that is not read here |
| 422 | records that cannot be read, each with the field at fault; nothing was stored |
| 429, 503 | too many requests at once; a store that is full or busy: after `Retry-After` seconds again |

Spans are answered as OTLP says, in the encoding of the request, errors as `google.rpc.Status`. `/v1/logs` and `/v1/metrics`,
which exporters send beside them, are 404: a status that no exporter tries again.

A content type that a browser sends without asking first is refused: no page of another site can write here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, BinaryIO

import orjson
import structlog

from consumers.batches import Batch, Counts
from consumers.decoders import DECODERS, Decoder, Defaults, decoder_named, decoder_of
from consumers.decoders.otlp import raw_spans
from consumers.otlp_protobuf import document, otlp_answer
from consumers.raw import MAX_RECORD, RawRecord, parse_record
from monitor.clock import Clock
from monitor.errors import InputError, SettingError, StoreError
from monitor.records import Coordinates, short_hash
from monitor.settings import Settings
from monitor.store import Store

__all__ = ["PATHS", "HttpIntake"]

TURNS, TRACES = "/api/v1/turns", "/v1/traces"
#: What exporters send beside their spans.
UNREAD = ("/v1/logs", "/v1/metrics")
PATHS = (TURNS, TRACES, *UNREAD)

_JSON, _PROTOBUF = "application/json", "application/x-protobuf"
_LINES = ("application/x-ndjson", "application/jsonl", "application/ndjson")
#: Requests that are read or stored at once; more wait at the client and not in our memory.
_AT_ONCE = 4
_WAIT = 2.0
#: Faults that an answer lists.
_LISTED = 20
_CHUNK = 64 << 10

_log = structlog.get_logger("offmap")

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class _Refused(Exception):
    """An answer that is not 200. `body` is what it says, as JSON."""

    def __init__(self, status: str, message: str, *, retry: int | None = None, **more: object) -> None:
        super().__init__(message)
        self.status, self.body, self.retry = status, {"error": message, **more}, retry


class HttpIntake:
    """The app. `answers` says which paths are its own."""

    def __init__(
        self, store: Store, settings: Settings, *, clock: Clock, on_stored: Callable[[Counts], None] = lambda done: None
    ) -> None:
        self._store, self._clock, self._on_stored = store, clock, on_stored
        self._keys = [_checked(key) for key in settings.ingest.keys]
        self._open = not settings.serve.behind_proxy
        self._redact = settings.ingest.redact
        self._most = settings.ingest.most_mb << 20
        self._room = threading.BoundedSemaphore(_AT_ONCE)

    def __call__(self, environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        try:
            status, body, retry = "200 OK", self._answer(environ), None
        except _Refused as refused:
            status, body, retry = refused.status, refused.body, refused.retry
        kind, content = _JSON, orjson.dumps(body) + b"\n"
        if environ.get("PATH_INFO") != TURNS:
            status, kind, content = otlp_answer(status, body, protobuf=_kind(environ) == _PROTOBUF)
        headers = [("Content-Type", kind), ("Content-Length", str(len(content))), ("Cache-Control", "no-store")]
        if retry is not None:
            headers.append(("Retry-After", str(retry)))
        if status.startswith("401"):
            headers.append(("WWW-Authenticate", 'Bearer realm="offmap"'))
        if status.startswith("405"):
            headers.append(("Allow", "POST"))
        start_response(status, headers)
        return [content]

    def _answer(self, environ: Mapping[str, Any]) -> Mapping[str, object]:
        path = str(environ.get("PATH_INFO", ""))
        if path in UNREAD:
            name = path.rpartition("/")[2]
            raise _Refused(
                "404 Not Found",
                f"offmap reads spans at {TRACES} and no {name}: set OTEL_{name.upper()}_EXPORTER=none, or send them elsewhere",
            )
        if environ.get("REQUEST_METHOD") != "POST":
            raise _Refused("405 Method Not Allowed", f"{path} takes POST")
        self._authorise(environ)
        kind = _content_type(environ, path)
        if not self._room.acquire(timeout=_WAIT):
            raise _Refused("429 Too Many Requests", f"{_AT_ONCE} requests are being stored", retry=1)
        try:
            body = self._body(environ)
            if path == TRACES:
                return self._traces(body, kind)
            return self._turns(body, kind, _query(environ))
        finally:
            self._room.release()

    def _authorise(self, environ: Mapping[str, Any]) -> None:
        """Keys are compared by their hashes: the settings hold no key."""
        if not self._keys:
            if self._open:
                return  # loopback alone reaches us
            raise _Refused(
                "401 Unauthorized", "no key is set here: set ingest.keys to the SHA-256 of a key (offmap config key)"
            )
        scheme, _, key = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
        given = key.strip() if scheme.lower() == "bearer" else str(environ.get("HTTP_X_API_KEY", ""))
        digest = hashlib.sha256(given.encode("utf-8", "surrogateescape")).hexdigest()
        # Every key is compared, and each in constant time.
        if not sum(hmac.compare_digest(digest, known) for known in self._keys):
            raise _Refused("401 Unauthorized", "send a key as `Authorization: Bearer KEY` or `X-API-Key: KEY`")

    def _body(self, environ: Mapping[str, Any]) -> bytes:
        length = str(environ.get("CONTENT_LENGTH") or "")
        if length.isdecimal() and int(length) > self._most:
            raise self._too_large("the body has")
        encoding = str(environ.get("HTTP_CONTENT_ENCODING", "identity")).strip().lower() or "identity"
        if encoding not in ("identity", "gzip"):
            raise _Refused("415 Unsupported Media Type", f"content encoding {encoding!r} is not read: gzip or none")
        pieces, size = [], 0
        for piece in _unpacked(environ["wsgi.input"], gzip=encoding == "gzip"):
            size += len(piece)
            if size > self._most:
                raise self._too_large("unpacked, the body has" if encoding == "gzip" else "the body has")
            pieces.append(piece)
        return b"".join(pieces)

    def _too_large(self, what: str) -> _Refused:
        return _Refused(
            "413 Content Too Large",
            f"{what} more than {self._most >> 20} MiB (setting ingest.most_mb): send fewer at once",
        )

    def _turns(self, body: bytes, kind: str, query: Mapping[str, str]) -> Mapping[str, object]:
        decoders = self._decoders(query.get("format", "auto"))
        batch, faults = self._read("http", _records(body, kind), decoders)
        if faults and query.get("partial") != "true":
            raise _Refused(
                "422 Unprocessable Content",
                f"{len(faults)} of {batch.records} records cannot be read, and nothing was stored; "
                "?partial=true stores the others and keeps these as dead letters",
                records=faults[:_LISTED],
            )
        return {**asdict(self._store_batch(batch)), "unread": faults[:_LISTED]}

    def _traces(self, body: bytes, kind: str) -> Mapping[str, object]:
        """As OTLP says: what can be read is accepted, and the answer counts what was not. That is kept as a dead letter."""
        otlp = tuple(one for one in DECODERS if one.name in ("openinference", "otel-genai"))
        self._check_size(body)
        if kind == _PROTOBUF:
            try:
                body = orjson.dumps(document(body))
            except InputError as error:
                raise _Refused("400 Bad Request", str(error)) from error
            self._check_size(body)
        record = parse_record(0, body)
        if record.reason is not None:
            raise _Refused("400 Bad Request", f"the body is no OTLP: {record.reason}")
        batch, faults = self._read("otlp", [record], otlp)
        self._store_batch(batch)
        if not faults:
            return {"partialSuccess": {}}
        rejected = batch.refused or sum(1 for _ in raw_spans(record.value)) or 1
        return {"partialSuccess": {"rejectedSpans": rejected, "errorMessage": faults[0]["fault"]}}

    def _check_size(self, body: bytes) -> None:
        """Spans are one record. Kept as a dead letter that was cut, they would be lost."""
        if len(body) > MAX_RECORD:
            raise _Refused(
                "413 Content Too Large", f"the spans are more than {MAX_RECORD >> 20} MiB: send fewer at once"
            )

    def _decoders(self, name: str) -> Sequence[Decoder]:
        if name == "auto":
            return DECODERS
        known = {one.name for one in DECODERS}
        if name not in known:
            raise _Refused(
                "422 Unprocessable Content", f"format {name[:40]!r} is not known: {', '.join(sorted(known))}"
            )
        return (decoder_named(name),)

    def _read(
        self, source: str, records: Iterable[RawRecord], decoders: Sequence[Decoder]
    ) -> tuple[Batch, list[dict[str, object]]]:
        batch = Batch(0)
        faults: list[dict[str, object]] = []
        defaults = Defaults(self._clock())
        for record in records:
            decoder = decoder_of(record, decoders)
            # Where it stands says nothing here: the same record sent again is the same record.
            at = Coordinates(source, short_hash(record.payload.decode("utf-8", "surrogateescape"), length=20), 0)
            before = len(batch.letters)
            batch.take(record, decoder, at, defaults, redact=self._redact)
            faults += ({"record": record.position, "fault": letter.reason} for letter in batch.letters[before:])
        return batch, faults

    def _store_batch(self, batch: Batch) -> Counts:
        try:
            done = self._store.retrying(lambda: batch.store(self._store))
        except StoreError as error:
            _log.warning("http ingest", reason=str(error))
            raise _Refused("503 Service Unavailable", f"{error}; nothing was stored", retry=5) from error
        self._on_stored(done)
        return done


def _checked(key: str) -> str:
    digest = key.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", digest):
        raise SettingError(
            "setting ingest.keys holds something that is no SHA-256 in hexadecimal: `offmap config key` makes one"
        )
    return digest


def _kind(environ: Mapping[str, Any]) -> str:
    return str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()


def _content_type(environ: Mapping[str, Any], path: str) -> str:
    kind = _kind(environ)
    if kind == _JSON or kind in (_LINES if path == TURNS else (_PROTOBUF,)):
        return kind
    if path == TRACES:
        remedy = f"OTLP as {_PROTOBUF} or {_JSON}: set OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf"
    else:
        remedy = f"{_JSON} or {_LINES[0]}"
    raise _Refused("415 Unsupported Media Type", f"content type {kind[:60]!r} is not read here: {remedy}")


def _query(environ: Mapping[str, Any]) -> Mapping[str, str]:
    from urllib.parse import parse_qsl

    return dict(parse_qsl(str(environ.get("QUERY_STRING", "")), max_num_fields=10))


def _unpacked(stream: BinaryIO, *, gzip: bool) -> Iterator[bytes]:
    """The body in pieces of bounded size, however much a few bytes unpack to."""
    if not gzip:
        while piece := stream.read(_CHUNK):
            yield piece
        return
    unpacking = zlib.decompressobj(wbits=31)
    try:
        while piece := stream.read(_CHUNK):
            while piece:
                yield unpacking.decompress(piece, _CHUNK)
                piece = unpacking.unconsumed_tail
                if unpacking.eof:
                    piece = unpacking.unused_data
                    if piece:  # another member follows
                        unpacking = zlib.decompressobj(wbits=31)
    except zlib.error:
        raise _Refused("415 Unsupported Media Type", "the body is not gzip, and Content-Encoding says so") from None
    while not unpacking.eof and (rest := unpacking.decompress(b"", _CHUNK)):
        yield rest
    if not unpacking.eof:
        raise _Refused("422 Unprocessable Content", "the gzip body is cut")


def _records(body: bytes, kind: str) -> Iterator[RawRecord]:
    """One record a line; of JSON the elements of a list, of an object with `turns`, or the object itself."""
    if kind != _JSON:
        for place, line in enumerate(body.splitlines()):
            if line.strip():
                yield parse_record(place, line)
        return
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        yield parse_record(0, body)  # its fault is named like any other's
        return
    if isinstance(whole, dict) and isinstance(whole.get("turns"), list) and len(whole) == 1:
        whole = whole["turns"]
    if not isinstance(whole, list):
        yield parse_record(0, body)
        return
    for place, record in enumerate(whole):
        yield parse_record(place, orjson.dumps(record))
