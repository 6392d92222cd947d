"""Turns over HTTP: what is stored, what is refused and why, and that the same request twice is as once."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from ingest_support import clock
from otlp_support import chat, document, said, span

from consumers import http
from consumers.http import TRACES, TURNS, HttpIntake
from monitor.errors import SettingError, StoreFullError
from monitor.settings import Settings
from monitor.store import Store

FIXTURES = Path(__file__).parents[1] / "fixtures"
KEY = "a key that somebody was given"


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


@dataclass
class Client:
    """Requests to the app, without a server."""

    intake: HttpIntake
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)

    def post(self, path: str, body: Any, *, kind: str | None = None, query: str = "", **environ: str) -> Answer:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        said: list[Any] = []
        whole = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.kind if kind is None else kind,
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.input": io.BytesIO(data),
            **self.headers,
            **environ,
        }
        content = b"".join(self.intake(whole, lambda status, headers: said.extend((status, dict(headers)))))
        status, headers = said
        assert headers["Content-Length"] == str(len(content))
        return Answer(int(status[:3]), headers, json.loads(content))


def settings(**values: object) -> Settings:
    made = Settings()
    for name, value in values.items():
        made = made.with_value(name.replace("__", "."), value, source="test")
    return made


@pytest.fixture
def client(store: Store) -> Client:
    return Client(HttpIntake(store, Settings(), clock=clock))


def turn(number: int = 1, **fields: object) -> dict[str, Any]:
    return {"turn_id": f"t{number}", "user_text": f"question {number}", "created_at": "2026-03-01T09:00:00Z", **fields}


def ids(store: Store) -> set[str]:
    return set(store.turns.read(columns=["turn_id"]).column(0).to_pylist())


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ([turn(1), turn(2)], "application/json"),
        ({"turns": [turn(1), turn(2)]}, "application/json; charset=utf-8"),
        (b"\n".join(map(orjson.dumps, (turn(1), turn(2)))) + b"\n\n", "application/x-ndjson"),
        ({"turns": [turn(1), turn(2)]}, "Application/JSON"),
    ],
)
def test_turns_in_every_form_are_stored_once(client: Client, store: Store, body: Any, kind: str) -> None:
    first = client.post(TURNS, body, kind=kind)
    assert (first.status, first.body["turns"], first.body["unread"]) == (200, 2, [])
    again = client.post(TURNS, body, kind=kind)
    assert (again.status, again.body["turns"], again.body["repeated"]) == (200, 0, 2)
    assert ids(store) == {"t1", "t2"} and store.turns.conflicts() == 0


def test_one_object_is_one_record_of_any_format(client: Client, store: Store) -> None:
    assert client.post(TURNS, turn(1)).body["turns"] == 1
    chat = {"id": "c1", "created": 1_772_355_600, "messages": [{"role": "user", "content": "hello"}]}
    assert client.post(TURNS, chat).body["turns"] == 1
    assert client.post(TURNS, chat, query="format=offmap").status == 422
    assert "format 'offmop' is not known" in client.post(TURNS, chat, query="format=offmop").body["error"]
    feedback = {"event": "feedback", "turn_id": "t1", "feedback_score": 1, "created_at": "2026-03-01T10:00:00Z"}
    assert client.post(TURNS, feedback).body["events"] == 1
    assert len(ids(store)) == 2


def test_a_turn_without_an_id_that_is_sent_again_is_the_same_turn(client: Client, store: Store) -> None:
    record = {"user_text": "where is my refund?", "created_at": "2026-03-01T09:00:00Z"}
    for _ in range(3):
        assert client.post(TURNS, [record, {**record, "user_text": "and my parcel?"}]).status == 200
    assert store.turns.count() == 2


def test_faults_are_named_and_nothing_is_stored(client: Client, store: Store) -> None:
    body = [turn(1), turn(2, user_text=7), turn(3, latency_ms="fast"), {"no": "format"}]
    answer = client.post(TURNS, body)
    assert answer.status == 422
    assert answer.body["records"] == [
        {"record": 1, "fault": "user_text: expected a text, got a number"},
        {"record": 2, "fault": "latency_ms: expected a number, got 'fast'"},
        {"record": 3, "fault": "in no known format"},
    ]
    assert "?partial=true" in answer.body["error"]
    assert (store.turns.count(), store.dead_letters.count()) == (0, 0)
    for _ in range(2):
        partial = client.post(TURNS, body, query="partial=true")
        assert (partial.status, len(partial.body["unread"])) == (200, 3)
    assert (store.turns.count(), store.dead_letters.count()) == (1, 3)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1, 2", b"null", b"42", b'"text"', b"\xff\xfe", b"[" * 5_000, b'{"a": NaN}']
)
def test_what_is_no_record_is_refused(client: Client, store: Store, body: bytes) -> None:
    answer = client.post(TURNS, body)
    assert answer.status == 422 and answer.body["records"][0]["record"] == 0
    assert store.turns.count() == 0


def test_an_empty_batch_is_nothing(client: Client) -> None:
    assert client.post(TURNS, []).body["records"] == 0
    assert client.post(TURNS, b"\n\n", kind="application/x-ndjson").body["records"] == 0


def test_spans_of_an_exporter(client: Client, store: Store) -> None:
    lines = (FIXTURES / "otel_genai.jsonl").read_bytes().splitlines()
    for line in lines[:5]:
        answer = client.post(TRACES, line)
        assert (answer.status, answer.body) == (200, {"partialSuccess": {}})
    assert store.turns.count() > 0
    bad = client.post(TRACES, {"resourceSpans": 7})
    assert bad.status == 200 and bad.body["partialSuccess"]["rejectedSpans"] == 1
    assert store.dead_letters.count() == 1
    whole = span("2" * 16, chat([said("user", "whole")]), trace="a" * 32)
    mixed = document(span("1" * 16, chat([said("user", "half")]), name=5), whole)
    partly = client.post(TRACES, mixed).body["partialSuccess"]
    assert partly["rejectedSpans"] == 1 and partly["errorMessage"].startswith(
        "resourceSpans[0].scopeSpans[0].spans[0].name"
    )
    assert "whole" in store.turns.read(columns=["user_text"]).column(0).to_pylist() and store.dead_letters.count() == 2
    thrift = client.post(TRACES, b"\x0a", kind="application/x-thrift")
    assert thrift.status == 415 and "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in thrift.body["message"]


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
)
def test_what_a_page_of_another_site_can_send_is_refused(client: Client, store: Store, kind: str) -> None:
    assert client.post(TURNS, turn(), kind=kind).status == 415
    assert store.turns.count() == 0


def test_other_methods_are_refused(client: Client) -> None:
    answer = client.post(TURNS, b"", REQUEST_METHOD="GET")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


def test_gzip_in_several_members(client: Client, store: Store) -> None:
    lines = [orjson.dumps(turn(number)) + b"\n" for number in range(3_000)]
    packed = gzip.compress(b"".join(lines[:1_000])) + gzip.compress(b"".join(lines[1_000:]))
    answer = client.post(TURNS, packed, kind="application/x-ndjson", HTTP_CONTENT_ENCODING="gzip")
    assert (answer.status, answer.body["turns"]) == (200, 3_000)


@pytest.mark.parametrize(
    ("body", "encoding", "status"),
    [
        (b"no gzip at all", "gzip", 415),
        (gzip.compress(orjson.dumps(turn()), mtime=0)[:-9], "gzip", 422),
        (zlib.compress(orjson.dumps(turn())), "deflate", 415),
        (orjson.dumps(turn()), "br", 415),
    ],
)
def test_bad_encodings(client: Client, store: Store, body: bytes, encoding: str, status: int) -> None:
    assert client.post(TURNS, body, HTTP_CONTENT_ENCODING=encoding).status == status
    assert store.turns.count() == 0


@pytest.mark.slow
def test_too_much_is_refused_before_it_is_in_memory(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(HttpIntake(store, settings(ingest__most_mb=1), clock=clock))
    assert client.post(TURNS, b"x" * ((1 << 20) + 1)).status == 413
    assert client.post(TURNS, b"x" * ((1 << 20) + 1), CONTENT_LENGTH="").status == 413, "it did not say how much comes"
    bomb = gzip.compress(b" " * (300 << 20), compresslevel=9)
    assert len(bomb) < 1 << 20
    largest = 0
    unpacked = http._unpacked

    def watched(stream: Any, *, gzip: bool) -> Iterator[bytes]:
        nonlocal largest
        for piece in unpacked(stream, gzip=gzip):
            largest += len(piece)
            yield piece

    monkeypatch.setattr(http, "_unpacked", watched)
    started = time.monotonic()
    answer = client.post(TURNS, bomb, HTTP_CONTENT_ENCODING="gzip")
    assert answer.status == 413 and "ingest.most_mb" in answer.body["error"]
    assert largest < 2 << 20 and time.monotonic() - started < 2


def test_keys(store: Store) -> None:
    digests = (hashlib.sha256(b"another").hexdigest(), hashlib.sha256(KEY.encode()).hexdigest().upper())
    client = Client(HttpIntake(store, settings(ingest__keys=digests, serve__behind_proxy=True), clock=clock))
    bad: Sequence[dict[str, str]] = (
        {},
        {"HTTP_AUTHORIZATION": "Bearer wrong"},
        {"HTTP_AUTHORIZATION": KEY},
        {"HTTP_AUTHORIZATION": "Bearer " + digests[0]},
        {"HTTP_X_API_KEY": ""},
        {"HTTP_X_API_KEY": "\udcff"},
    )
    for headers in bad:
        answer = client.post(TURNS, turn(), **headers)
        assert answer.status == 401 and "Bearer" in answer.headers["WWW-Authenticate"]
        assert KEY not in str(answer.body)
    assert store.turns.count() == 0
    assert client.post(TURNS, turn(1), HTTP_AUTHORIZATION=f"Bearer {KEY}").status == 200
    assert client.post(TRACES, {"resourceSpans": []}, HTTP_X_API_KEY="another").status == 200
    with pytest.raises(SettingError, match="offmap config key"):
        HttpIntake(store, settings(ingest__keys=(KEY,)), clock=clock)


def test_behind_a_proxy_without_keys_nobody_may_send(store: Store) -> None:
    client = Client(HttpIntake(store, settings(serve__behind_proxy=True), clock=clock))
    answer = client.post(TURNS, turn())
    assert answer.status == 401 and "ingest.keys" in answer.body["error"]


def test_a_full_store_is_said_and_nothing_is_half_done(
    client: Client, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(turns: object) -> object:
        raise StoreFullError("no room left on the disk")

    with monkeypatch.context() as patched:
        patched.setattr(store.turns, "append", full)
        answer = client.post(TURNS, turn())
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert "nothing was stored" in answer.body["error"]
    assert client.post(TURNS, turn()).body["turns"] == 1


def test_too_many_at_once_wait_at_the_client(client: Client, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    append = store.turns.append

    def slow(turns: Any) -> Any:
        gate.wait(10)
        return append(turns)

    monkeypatch.setattr(store.turns, "append", slow)
    monkeypatch.setattr(http, "_WAIT", 0.05)
    answers: list[Answer] = []
    threads = [
        threading.Thread(target=lambda one=one: answers.append(client.post(TURNS, turn(one)))) for one in range(7)
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    gate.set()
    for thread in threads:
        thread.join(10)
    refused = [one for one in answers if one.status == 429]
    assert len(refused) == 3 and {one.headers["Retry-After"] for one in refused} == {"1"}
    assert store.turns.count() == 4
    assert client.post(TURNS, turn(9)).status == 200, "the room is given back"


def test_redaction_comes_before_the_store(store: Store) -> None:
    client = Client(HttpIntake(store, settings(ingest__redact=True), clock=clock))
    assert client.post(TURNS, turn(user_text="mail ann@example.org")).status == 200
    assert store.turns.read(columns=["user_text"]).column(0).to_pylist() == ["mail [email]"]
