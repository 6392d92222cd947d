"""Closing the server of the pages, while requests are under way."""

from __future__ import annotations

import http.client
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import waitress
from waitress.server import TcpWSGIServer

from monitor.service.web import close_server


def _hello(_environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


@contextmanager
def running(app: Any) -> Iterator[tuple[TcpWSGIServer, threading.Thread]]:
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=4)
    loop = threading.Thread(target=server.run, daemon=True)
    loop.start()
    try:
        yield server, loop
    finally:
        close_server(server, looping=True)
        loop.join(5)


def _ask(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


@contextmanager
def asking(port: int, people: int = 4) -> Iterator[list[bytes]]:
    """People that ask again and again; what they were answered."""
    stop, answers = threading.Event(), list[bytes]()

    def person() -> None:
        while not stop.is_set():
            try:
                answers.append(_ask(port))
            except (OSError, http.client.HTTPException):  # the server is being closed
                time.sleep(0.001)

    threads = [threading.Thread(target=person, daemon=True) for _ in range(people)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def _open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_a_server_closes_quietly_under_fire(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR, logger="waitress")
    before, answered = _open_files(), 0
    for _ in range(40):
        with running(_hello) as (server, loop):
            with asking(server.effective_port) as answers:
                while not answers:
                    time.sleep(0.001)
                close_server(server, looping=True)
            loop.join(5)
            assert not loop.is_alive()
            assert not server.task_dispatcher.threads
            answered += len(answers)
    assert answered >= 40
    assert [record.getMessage() for record in caplog.records] == []
    assert _open_files() == before


def test_another_pull_may_wake_the_loop_before_ours_does() -> None:
    """A task that ends at that moment pulls too: the loop then ends while we are about to write to its pipe."""
    with running(_hello) as (server, loop):
        pull = server.trigger._physical_pull

        def pulled_by_another_first() -> None:
            if threading.current_thread() is threading.main_thread():
                pull()
                loop.join(5)
                assert not loop.is_alive()
            pull()

        server.trigger._physical_pull = pulled_by_another_first
        close_server(server, looping=True)
        assert not server._map


def test_a_request_that_outlives_the_server_finds_its_pipe_still_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("monitor.service.web._SECONDS_TO_ANSWER", 0.05)
    began, go_on = threading.Event(), threading.Event()

    def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        began.set()
        go_on.wait(10)
        return _hello(environ, start_response)

    before = _open_files()
    with running(slow) as (server, loop), asking(server.effective_port, people=1):
        assert began.wait(5)
        close_server(server, looping=True)
        loop.join(5)
        assert not loop.is_alive()
        os.write(server.trigger.trigger, b"x")  # as the thread that still answers may do
        go_on.set()
    end = time.monotonic() + 5
    while _open_files() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert _open_files() == before
    assert not server.task_dispatcher.threads


def test_closing_twice_or_before_it_runs_is_no_error() -> None:
    before = _open_files()
    with running(_hello) as (server, _):
        assert _ask(server.effective_port) == b"hello"
        close_server(server, looping=True)
        close_server(server, looping=True)
    idle = waitress.create_server(_hello, host="127.0.0.1", port=0, threads=2)
    close_server(idle, looping=False)
    close_server(idle, looping=False)
    idle.run()  # has nothing left to wait for
    assert _open_files() == before
