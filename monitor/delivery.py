"""One request of a client: a batch of lines to `POST /api/v1/turns`, and what the answer means."""

from __future__ import annotations

import gzip
import http.client
import json
from dataclasses import dataclass
from urllib.parse import urlsplit

from monitor.errors import UsageError

__all__ = ["Answer", "Delivery"]

_PATH = "/api/v1/turns?partial=true"
#: Statuses that the same batch gets every time, whatever is mended at the server.
_UNFIT = (400, 413, 422)
_LONGEST_WAIT = 300.0
_MOST_OF_AN_ANSWER = 64 << 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a batch. `refused` of a stored one could not be read, and are the server's dead letters.

    `unfit`: it will never be taken as it is. Otherwise it is tried again, not before `retry_after` seconds.
    """

    stored: bool = False
    refused: int = 0
    unfit: bool = False
    retry_after: float = 0.0
    fault: str = ""


class Delivery:
    """A connection that is kept, and opened again when it is gone."""

    def __init__(self, url: str, key: str | None, timeout: float) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise UsageError("url has no port that can be: write it like http://127.0.0.1:8050") from None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
            raise UsageError("url is no address of offmap: write it like http://127.0.0.1:8050, and a key as key=")
        if key is not None and not (key.isascii() and key.isprintable() and key.strip()):
            raise UsageError("key holds characters that a header cannot: give it as `offmap config key` printed it")
        self._made = url, key, timeout
        self._host, self._port, self._secure = parts.hostname, port, parts.scheme == "https"
        self._path = parts.path.rstrip("/") + _PATH
        self._timeout = timeout
        self._headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key.strip()}"
        self._connection: http.client.HTTPConnection | None = None

    def anew(self) -> Delivery:
        """The same without the connection, which belongs to the process that opened it."""
        return Delivery(*self._made)

    def post(self, lines: list[bytes]) -> Answer:
        """Send a batch. Never raises: whatever goes wrong is an answer."""
        body = gzip.compress(b"\n".join(lines) + b"\n", compresslevel=3)
        kept = self._connection is not None
        try:
            return self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            # A connection that was idle may have been closed by the server; that says nothing about the server.
            if not kept or isinstance(error, TimeoutError):
                return Answer(fault=_fault(error))
        try:
            return self._post(body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(fault=_fault(error))

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _post(self, body: bytes) -> Answer:
        if self._connection is None:
            kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
            self._connection = kind(self._host, self._port, timeout=self._timeout)
        self._connection.request("POST", self._path, body, self._headers)
        response = self._connection.getresponse()
        content = response.read(_MOST_OF_AN_ANSWER)
        if not response.isclosed():
            self.close()  # the rest of an answer that nobody of ours gave
        told = _object(content)
        if response.status == 200 and isinstance(told.get("records"), int):
            return Answer(stored=True, refused=_whole(told.get("dead_letters")))
        error = told.get("error")
        fault = f"the server answered {response.status}: {error[:300] if isinstance(error, str) else response.reason}"
        return Answer(
            unfit=response.status in _UNFIT, retry_after=_seconds(response.getheader("Retry-After")), fault=fault
        )


def _object(content: bytes) -> dict[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _seconds(text: str | None) -> float:
    return min(float(text), _LONGEST_WAIT) if text and text.strip().isdecimal() else 0.0


def _fault(error: Exception) -> str:
    words = getattr(error, "strerror", None) or str(error)
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
