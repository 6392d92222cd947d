"""The app on a real server, and stores to run it on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import waitress

from dashboards.app import make_app
from dashboards.service import Service
from monitor.service.web import close_server
from monitor.settings import Settings
from monitor.store import Store

#: Tabs that are open. They leave their page before its server ends: a request under way would fail, and count as an error.
TABS: list[Any] = []


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


@contextmanager
def served(store: Store, settings: Settings, service: Service | None = None, prefix: str = "/") -> Iterator[str]:
    app = make_app(store, settings, service=service, prefix=prefix)
    server = waitress.create_server(app.server, host="127.0.0.1", port=0, threads=6)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}{prefix.rstrip('/')}"
    finally:
        for tab in TABS:
            tab.goto("about:blank")
        close_server(server, looping=True)
        thread.join(5)


@dataclass
class Watched:
    """A page whose errors and foreign requests are kept."""

    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
