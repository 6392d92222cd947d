"""An embeddings endpoint on this machine: answers as the API does, or what a test tells it to, and keeps what it was sent."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from monitor.encoding.hashing import HashingEncoder
from monitor.settings import EncoderSettings

KEY = "sk-very-secret-0123456789"
MODEL = "small-embeddings"


@dataclass(frozen=True, slots=True)
class Said:
    """An answer; the body is JSON, or bytes as they are. `act` is run before it."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    act: Callable[[], object] = lambda: None


Answer = Callable[[Mapping[str, Any]], Said]


@dataclass(slots=True)
class Endpoint:
    """`answer` gives the answer to a request, or None for the usual one. It may be changed between two requests."""

    port: int
    answer: Callable[[Mapping[str, Any]], Said | None] = lambda request: None
    requests: list[Mapping[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def texts(self) -> list[str]:
        return [text for request in self.requests for text in request["input"]]

    def settings(self, **changes: Any) -> EncoderSettings:
        usual = {"kind": "openai", "url": self.url, "model": MODEL, "api_key": KEY, "allow_private": True, "threads": 2}
        return EncoderSettings(**{**usual, **changes})


def usual(request: Mapping[str, Any]) -> Said:
    """The vectors of the hashing encoder, twice as long as a unit, in the form that was asked for."""
    texts: Sequence[str] = request["input"]
    vectors = 2 * HashingEncoder().encode(texts)[:, : request.get("dimensions")]
    written = [
        base64.b64encode(vector.astype("<f4").tobytes()).decode()
        if request["encoding_format"] == "base64"
        else vector.tolist()
        for vector in vectors
    ]
    rows = [{"object": "embedding", "index": place, "embedding": one} for place, one in enumerate(written)]
    words = sum(len(text.split()) for text in texts)
    return Said(body={"object": "list", "data": rows, "usage": {"prompt_tokens": words, "total_tokens": words}})


@contextmanager
def embeddings_server(answer: Callable[[Mapping[str, Any]], Said | None] = lambda request: None) -> Iterator[Endpoint]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with kept.lock:
                kept.paths.append(self.path)
                kept.keys.append(self.headers["Authorization"])
                kept.requests.append(request)
                said = kept.answer(request)
            said = usual(request) if said is None else said
            said.act()
            body = said.body if isinstance(said.body, bytes) else json.dumps(said.body).encode()
            try:
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                self.close_connection = True  # whoever asked waits no longer

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    kept = Endpoint(server.server_address[1], answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
