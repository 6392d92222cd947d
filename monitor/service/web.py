"""The HTTP server of the pages: waitress, on loopback unless a proxy in front authenticates everybody."""

from __future__ import annotations

import ipaddress
import logging
import math
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from monitor.errors import SettingError
from monitor.settings import Settings

__all__ = ["WebServer", "close_server"]

_THREADS = 12
#: A request that a page makes is small; what is larger is none of a page.
_MOST_OF_A_PAGE = 1 << 20
#: How long a closing server waits for requests at work, and for its loop to leave the sockets.
_SECONDS_TO_ANSWER = 1
_SECONDS_TO_LEAVE = 3


class WebServer:
    """Takes its port when it is made, so that a port in use is said before anything else begins."""

    def __init__(self, settings: Settings) -> None:
        import waitress

        serve = settings.serve
        if not serve.behind_proxy and not _is_loopback(serve.host):
            raise SettingError(
                f"setting serve.host = {serve.host!r} is reached from other machines, and offmap has no accounts yet: use "
                "127.0.0.1, or set serve.behind_proxy = true when a proxy in front of it authenticates everybody"
            )
        self.prefix = _prefix(serve.public_url)
        logging.getLogger("waitress").setLevel(logging.ERROR)
        options: dict[str, Any] = {}
        if serve.trusted_proxy:
            options = {
                "trusted_proxy": serve.trusted_proxy,
                "trusted_proxy_headers": {
                    "x-forwarded-for",
                    "x-forwarded-host",
                    "x-forwarded-proto",
                    "x-forwarded-port",
                },
                "clear_untrusted_proxy_headers": True,
            }
        try:
            self._server = waitress.create_server(
                self._answer,
                # On most machines localhost is two addresses, and one is listened on.
                host="127.0.0.1" if serve.host == "localhost" else serve.host,
                port=serve.port,
                threads=_THREADS,
                # One more than the intake refuses, so that it is the one to say so.
                max_request_body_size=(settings.ingest.most_mb << 20) + 1,
                ident=None,
                **options,
            )
        except OSError as error:
            if error.errno in (98, 48):
                raise SettingError(
                    f"setting serve.port = {serve.port}: another program listens on {serve.host}:{serve.port} already; "
                    "stop it, or choose another with --port (0 takes a free one)"
                ) from None
            raise SettingError(f"setting serve.host = {serve.host!r}: cannot listen there: {error.strerror}") from None
        except ValueError:
            raise SettingError(f"setting serve.host = {serve.host!r} is no address of this machine") from None
        if not hasattr(self._server, "effective_port"):
            close_server(self._server, looping=False)
            raise SettingError(
                f"setting serve.host = {serve.host!r} names more than one address: write the one to listen on"
            )
        self._looping = False
        self._app: Any = None
        self._beside: dict[str, Any] = {}

    @property
    def url(self) -> str:
        """The address on this machine."""
        port = self._server.effective_port
        host = str(self._server.effective_host)
        shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104  what is shown, not what is listened on
        return f"http://{shown}:{port}{self.prefix.rstrip('/')}"

    def run(self, app: Any, *, beside: Mapping[str, Any] | None = None) -> None:
        """Answer with the app until `close`; the apps `beside` it answer their own paths."""
        app.config["MAX_CONTENT_LENGTH"] = _MOST_OF_A_PAGE
        self._app, self._beside = app, dict(beside or {})
        self._looping = True
        self._server.run()

    def close(self) -> None:
        close_server(self._server, looping=self._looping)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        if self._app is None:
            start_response("503 Service Unavailable", [("Content-Type", "text/plain"), ("Retry-After", "1")])
            return [b"offmap is starting\n"]
        path = str(environ.get("PATH_INFO", ""))
        inner = f"/{path.removeprefix(self.prefix)}" if path.startswith(self.prefix) else path
        if (beside := self._beside.get(inner)) is not None:
            return beside({**environ, "PATH_INFO": inner}, start_response)
        return self._app(environ, start_response)


def close_server(server: Any, *, looping: bool) -> None:
    """End a waitress server from another thread than the one that runs it.

    Requests at work get a second to be answered, then the loop is told to leave its sockets, and only then are they closed:
    `select` fails on one that is closed under it. The pipe that wakes the loop goes last, when nobody is left to write to it.
    A pull is a write to a number, so one that came after the closing would fail, or would land in whatever file the process
    has opened under that number since.
    """
    from waitress import trigger, wasyncore

    sockets = server._map if hasattr(server, "_map") else server.map
    if not sockets:  # closed before
        return
    held: list[Any] = []
    left = threading.Event()

    def leave() -> None:
        held.extend(sockets.values())
        sockets.clear()
        left.set()

    server.task_dispatcher.shutdown(timeout=_SECONDS_TO_ANSWER)
    if looping:
        server.trigger.pull_trigger(leave)
        left.wait(_SECONDS_TO_LEAVE)
    if not left.is_set():
        leave()
    pipes = [one for one in held if isinstance(one, trigger.trigger)]
    for one in held:
        if one not in pipes:
            # What one socket says when it goes must not keep the others open.
            with suppress(OSError):
                # A connection's answer may lie in a temporary file; a listener's own `close` would take the pipe along.
                one.handle_close() if hasattr(one, "outbufs") else wasyncore.dispatcher.close(one)
    if server.task_dispatcher.threads:
        threading.Thread(target=_close_pipes, args=(pipes, server.task_dispatcher), daemon=True).start()
    else:
        _close_pipes(pipes, server.task_dispatcher)


def _close_pipes(pipes: list[Any], dispatcher: Any) -> None:
    """Close what wakes the loop, once no thread can pull it any more."""
    dispatcher.shutdown(timeout=math.inf)
    for pipe in pipes:
        pipe.close()


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _prefix(public_url: str) -> str:
    """The path under which the app is reached, with slashes around it."""
    if not public_url:
        return "/"
    parts = urlsplit(public_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingError(
            f"setting serve.public_url = {public_url!r} is no address: write it like https://offmap.example.org/offmap"
        )
    return f"/{parts.path.strip('/')}/" if parts.path.strip("/") else "/"
