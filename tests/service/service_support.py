"""`offmap serve` as a process of its own, and a webhook that remembers what it got."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MAIN = "import sys; from monitor.cli import main; sys.exit(main())"


@dataclass
class Serve:
    """One `offmap serve` on one store; start it again after a kill."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    url: str = ""

    @property
    def store(self) -> Path:
        return self.folder / "store.duckdb"

    @property
    def environment(self) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("OFFMAP_")}
        settings = self.folder / "settings.toml"
        settings.write_text(
            '[encoder]\nkind = "hashing"\n[schedule]\nassign_seconds = 1\ndeliver_seconds = 1\nretry_seconds = 1\n'
        )
        return {**clean, "OFFMAP_STORE": str(self.store), "OFFMAP_CONFIG": str(settings), **self.variables}

    def start(self, patience: float = 40) -> None:
        log = self.folder / "serve.log"
        with log.open("ab") as out:
            start = out.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "serve", "--port", "0", *self.options],
                env=self.environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + patience
        while time.monotonic() < end:
            found = re.search(r"url=(http://\S+)", log.read_text()[start:])
            if found:
                self.url = found[1]
                with suppress(OSError):
                    if self.get("/readyz")["ok"]:
                        return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError(log.read_text()[start:])

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return json.loads(answer.read())

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> tuple[int, float]:
        """SIGTERM; the exit code and the seconds that it took."""
        assert self.process is not None
        started = time.monotonic()
        self.process.terminate()
        code = self.process.wait(20)
        return code, time.monotonic() - started

    def offmap(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", MAIN, *map(str, arguments)]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=120)
        assert not check or done.returncode == 0, done.stderr
        return done


@contextmanager
def serving(folder: Path, *options: str, **variables: str) -> Iterator[Serve]:
    serve = Serve(folder, variables, options)
    try:
        yield serve
    finally:
        if serve.process is not None and serve.process.poll() is None:
            serve.process.terminate()
            try:
                serve.process.wait(15)
            except subprocess.TimeoutExpired:
                serve.process.kill()


@dataclass
class Webhook:
    """A local Slack: what it got, and what it answers."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    status: int = 200
    url: str = ""


@contextmanager
def webhook() -> Iterator[Webhook]:
    slack = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if slack.status == 200:
                slack.messages.append(body)
            self.send_response(slack.status)
            self.end_headers()
            self.wfile.write(b"ok" if slack.status == 200 else b"no_service")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    slack.url = f"http://127.0.0.1:{server.server_port}/services/T0/B0/secret"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield slack
    server.shutdown()
    server.server_close()
    thread.join()


def until(condition: Any, patience: float, what: str) -> Any:
    """Wait for a true answer."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {patience:.0f} s: {what}")
