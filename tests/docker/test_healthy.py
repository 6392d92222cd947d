"""The image's health check, against a real server."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from docker_files import ROOT


@contextmanager
def service(code: int, said: str) -> Iterator[tuple[int, list[str]]]:
    """A server that answers every request so; its port, and the paths that it was asked for."""
    asked: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(code)
            self.end_headers()
            self.wfile.write(said.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def check(folder: Path, port: int, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OFFMAP_")}
    environment |= {
        "OFFMAP_SERVE_HOST": "0.0.0.0",
        "OFFMAP_SERVE_PORT": str(port),
        "PYTHONPATH": str(ROOT),
        **variables,
    }
    command = [sys.executable, ROOT / "docker" / "healthy.py"]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, timeout=30)


def test_well(tmp_path: Path) -> None:
    with service(200, '{"ok": true}') as (port, asked):
        done = check(tmp_path, port)
    assert (done.returncode, done.stdout, done.stderr) == (0, '{"ok": true}\n', "")
    assert asked == ["/healthz"]


def test_not_well_says_what_the_service_says(tmp_path: Path) -> None:
    with service(503, "consumer: failing") as (port, _):
        done = check(tmp_path, port)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == f"http://127.0.0.1:{port}/healthz answers 503: consumer: failing\n"


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        done = check(tmp_path, taken.getsockname()[1])
    assert (done.returncode, done.stderr) == (1, "")
    assert "does not answer" in done.stdout


def test_it_asks_below_the_path_of_the_public_address(tmp_path: Path) -> None:
    with service(200, "ok") as (port, asked):
        assert check(tmp_path, port, OFFMAP_PUBLIC_URL="https://ops.example.org/offmap/").returncode == 0
    assert asked == ["/offmap/healthz"]


def test_a_proxy_of_the_environment_is_not_asked(tmp_path: Path) -> None:
    with service(200, "ok") as (port, asked), service(200, "the proxy") as (proxy, asked_of_proxy):
        done = check(tmp_path, port, http_proxy=f"http://127.0.0.1:{proxy}")
    assert done.stdout == "ok\n"
    assert (len(asked), asked_of_proxy) == (1, [])


def test_a_settings_file_counts(tmp_path: Path) -> None:
    with service(200, "ok") as (port, _):
        (tmp_path / "offmap.toml").write_text('[serve]\npublic_url = "https://ops.example.org/deep"\n')
        assert check(tmp_path, port).returncode == 0
        (tmp_path / "offmap.toml").write_text("[serve]\nports = 1\n")
        done = check(tmp_path, port)
    assert (done.returncode, done.stderr) == (1, "")
    assert "serve.port" in done.stdout
