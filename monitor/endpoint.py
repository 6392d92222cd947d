"""One POST to an OpenAI-compatible endpoint, and what its answer means: what embeddings and names have in common.

Only https to a public address, unless the setting `allow_private`. Redirects are not followed: the key would go along. What an
endpoint says in an error may repeat what it was sent, so only words that look like its codes are passed on.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from monitor.addresses import is_public, looked_up, reached
from monitor.errors import ModelError, SettingError
from monitor.retry_after import asked_pause

__all__ = ["ATTEMPTS", "Address", "Endpoint", "Unfit"]

T = TypeVar("T")

#: A request is tried so often; the pauses between are half a second, one, two, four ... or what the endpoint asks for.
ATTEMPTS, _FIRST_PAUSE, _LONGEST_PAUSE = 6, 0.5, 60.0

#: Statuses that may pass: the endpoint is busy, restarts or loads its model.
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})

#: Statuses of a request that is not taken as it is, such as a text with too many tokens.
_UNFIT = frozenset({400, 413, 422})

#: More of an answer is not read: 2,048 vectors of 4,096 numbers in base64 are 45 MB.
_MOST_BYTES = 128 << 20


class Unfit(Exception):
    """The endpoint does not take this request as it is. `status` and `code` are its own."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}".rstrip())


class _Passing(Exception):
    """This attempt failed in a way that may pass; `pause` is what the endpoint asks for, in seconds, 0 for nothing."""

    def __init__(self, why: str, pause: float = 0.0) -> None:
        super().__init__(why)
        self.pause = pause


@dataclass(frozen=True, slots=True)
class Address:
    """Where an endpoint is and how it is asked: the settings `url`, `model`, `api_key` ... of `section`.

    `purpose` is what its model does, as errors say it; `kept` is what they add about work that was done before.
    """

    section: str
    url: str
    model: str
    api_key: str
    allow_private: bool
    timeout_seconds: float
    purpose: str
    kept: str = ""

    def variable(self, key: str) -> str:
        """The environment's name of a setting of the section."""
        return f"OFFMAP_{self.section}_{key}".upper()


class Endpoint:
    """Sends a request and reads its answer. A connection a request, so that threads share nothing.

    `given_up` is set by who no longer wants what threads still ask for: they make no further attempt.
    """

    def __init__(
        self,
        address: Address,
        *,
        wait: Callable[[float], object] | None = None,
        deadline: float | None = None,
    ) -> None:
        """Raises `SettingError` for an address or a key that cannot be. Connects to nothing.

        After `deadline`, by `time.monotonic`, nothing is waited for: neither an answer, however slowly it comes, nor another
        attempt.
        """
        self.given_up = threading.Event()
        #: How many requests were sent, those that came to nothing included; threads that ask at once may lose one.
        self.requests = 0
        self._address, self._wait, self._deadline = address, wait or self.given_up.wait, deadline
        self._parts = _parsed(address)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if address.api_key:
            key = address.api_key.strip()
            if not (key.isascii() and key.isprintable()):
                raise SettingError(
                    f"setting {address.section}.api_key holds characters that a header cannot: copy it again into "
                    f"{address.variable('api_key')}"
                )
            self._headers["Authorization"] = f"Bearer {key}"

    @property
    def where(self) -> str:
        section = self._address.section
        return f"the endpoint at {section}.url = {self._address.url!r} ({section}.model = {self._address.model!r})"

    def ask(self, path: str, request: Mapping[str, Any], read: Callable[[bytes], T], *, attempts: int = ATTEMPTS) -> T:
        """What `read` makes of the answer. `Unfit` when the endpoint does not take the request, `ModelError` when it cannot
        answer."""
        body = json.dumps(request).encode()
        for attempt in range(1, attempts + 1):
            try:
                return read(self._post(path, body))
            except _Passing as error:
                pause = error.pause or min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)
                if attempt == attempts or self.given_up.is_set() or self._left() <= pause:
                    raise ModelError(
                        f"{self.where} does not answer after {attempt} attempt{'s' if attempt > 1 else ''} ({error}): "
                        f"see that it runs and that {self._address.section}.url is right{self._address.kept}"
                    ) from None
                self._wait(pause)
        raise AssertionError("the last attempt returns or raises")

    def garbled(self, how: str) -> ModelError:
        """The error about an answer that is none."""
        return ModelError(
            f"{self.where} gives an answer that {how}: check that {self._address.section}.url is the base of an "
            f"OpenAI-compatible API, mostly ending in /v1, and that {self._address.section}.model {self._address.purpose}"
        )

    def _left(self) -> float:
        return float("inf") if self._deadline is None else self._deadline - time.monotonic()

    def _post(self, path: str, body: bytes) -> bytes:
        timeout = min(self._address.timeout_seconds, self._left())
        if timeout <= 0:
            raise _Passing("no time is left")
        late = threading.Event()
        slow = f"no answer within {timeout:.3g} s, setting {self._address.section}.timeout_seconds"
        try:
            connection = self._connect(timeout)
            watch = self._watch(connection.sock, timeout, late)
            try:
                self.requests += 1
                connection.request("POST", self._parts.path.rstrip("/") + path, body, self._headers)
                with connection.getresponse() as answer:
                    content = answer.read(_MOST_BYTES + 1)
            finally:
                watch.cancel()
                connection.close()
        except TimeoutError:
            raise _Passing(slow) from None
        except ssl.SSLError as error:
            if late.is_set():
                raise _Passing(slow) from None
            raise ModelError(f"{self.where} has a certificate that is not accepted: {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            raise _Passing(slow if late.is_set() else _reason(error)) from None
        if late.is_set():
            raise _Passing(slow)
        self._judge(answer.status, content, answer.headers.get("Retry-After"))
        return content

    def _watch(self, sock: Any, timeout: float, late: threading.Event) -> threading.Timer:
        """Ends a connection that gives its answer byte by byte: a socket's own timeout is for each of them.

        Only where there is a deadline: a large answer may take as long as it comes.
        """

        def end() -> None:
            late.set()
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(timeout, end)
        timer.daemon = True
        if self._deadline is not None:
            timer.start()
        return timer

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        where = f"setting {self._address.section}.url = {self._address.url!r}"
        secure = self._parts.scheme == "https"
        host, port = str(self._parts.hostname), self._parts.port or (443 if secure else 80)
        try:
            addresses = looked_up(host, port)
        except UnicodeError:
            raise SettingError(f"{where} has a host that is no name") from None
        for address in addresses:
            if not self._address.allow_private and not is_public(address):
                raise SettingError(
                    f"{where}: its host is in a private range ({address}); set {self._address.section}.allow_private = true "
                    f"({self._address.variable('allow_private')}=true) when it is a server of yours"
                )
            if not secure and is_public(address):
                raise SettingError(f"{where} would send texts over the internet in the open: use https")
        plain = reached(addresses, port, timeout)
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
        except BaseException:
            plain.close()
            raise
        return connection

    def _judge(self, status: int, content: bytes, retry_after: str | None) -> None:
        """Raise what the answer means; nothing when it holds what was asked for."""
        if status == 200:
            if len(content) > _MOST_BYTES:
                raise self.garbled("is larger than any that was asked for")
            return
        code = _code(content)
        if status in _PASSING and code != "insufficient_quota":  # that one is also a 429, and does not pass
            pause = min(max(asked_pause(retry_after, datetime.now(UTC)) or 0.0, 0.0), _LONGEST_PAUSE)
            raise _Passing(f"it answered {status} {code}".rstrip(), pause)
        if status in _UNFIT:
            raise Unfit(status, code)
        section = self._address.section
        if 300 <= status < 400:
            remedy = (
                "it redirects, which is not followed because the key would go along: "
                f"set {section}.url to where it leads"
            )
        elif status in (401, 403):
            given = "the key that was given" if self._address.api_key else "a request without a key"
            remedy = f"it refuses {given}: set {self._address.variable('api_key')}"
        elif status in (404, 405):
            remedy = f"no such address or model: check {section}.url, which mostly ends in /v1, and {section}.model"
        else:
            remedy = "see the endpoint's own log or account"
        raise ModelError(f"{self.where} answered {status} {code}".rstrip() + f": {remedy}")


def _parsed(address: Address) -> SplitResult:
    where = f"setting {address.section}.url = {address.url!r}"
    try:
        parts = urlsplit(address.url)
        parts.port  # noqa: B018  a bad port is found when it is asked for
    except ValueError:
        raise SettingError(f"{where} is no address: write it like https://api.openai.com/v1") from None
    plain = all("!" <= letter <= "~" for letter in address.url)
    if parts.scheme not in ("https", "http") or not parts.hostname or not plain:
        raise SettingError(f"{where} must be the endpoint's address: write it like https://api.openai.com/v1")
    if parts.scheme == "http" and not address.allow_private:
        raise SettingError(
            f"{where} is no https:// address; set {address.section}.allow_private = true "
            f"({address.variable('allow_private')}=true) when it is a server of yours"
        )
    return parts


def _code(content: bytes) -> str:
    """The endpoint's code of its error, in small letters; anything else may repeat what we sent."""
    try:
        error = json.loads(content[:10_000])["error"]
        found = error.get("code") or error.get("type")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ""
    return found if isinstance(found, str) and re.fullmatch(r"[a-z]+(_[a-z]+){1,5}", found) and len(found) < 50 else ""


def _reason(error: Exception) -> str:
    if isinstance(error, socket.gaierror):
        return "its host is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
