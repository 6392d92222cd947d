"""The intake behind the web server of the service, in this process: real sockets, no pages."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from consumers.http import PATHS
from monitor.service.web import WebServer
from monitor.settings import Settings

App = Callable[[Mapping[str, Any], Any], Any]


class NoPages:
    """What stands where the pages are."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> list[bytes]:
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"no page\n"]


@contextmanager
def listening(intake: App, *, port: int = 0, settings: Settings | None = None) -> Iterator[str]:
    """The address at which the intake answers, until the block ends."""
    server = WebServer((settings or Settings()).with_value("serve.port", port, source="test"))
    thread = threading.Thread(target=server.run, args=(NoPages(),), kwargs={"beside": dict.fromkeys(PATHS, intake)})
    thread.start()
    try:
        yield server.url
    finally:
        server.close()
        thread.join(10)
        assert not thread.is_alive()
