"""One request to an OpenAI-compatible embeddings endpoint, and what its answer means.

Only https to a public address, unless `encoder.allow_private`. Redirects are not followed: the key would go along. What an
endpoint says in an error may repeat what it was sent, so only words that look like its codes are passed on.
"""

from __future__ import annotations

import base64
import binascii
import http.client
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

import numpy as np
from numpy.typing import NDArray

from monitor.addresses import is_public, looked_up, reached
from monitor.errors import ModelError, SettingError
from monitor.retry_after import asked_pause
from monitor.settings import EncoderSettings

__all__ = ["ATTEMPTS", "Embeddings", "EmbeddingsApi", "Unfit"]

#: A request is tried so often; the pauses between are half a second, one, two, four ... or what the endpoint asks for.
ATTEMPTS, _FIRST_PAUSE, _LONGEST_PAUSE = 6, 0.5, 60.0

#: The first request is somebody waiting for an answer, often to a mistyped address.
_PROBE_ATTEMPTS = 2

#: Statuses that may pass: the endpoint is busy, restarts or loads its model.
_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})

#: Statuses of a request that is not taken as it is, such as a text with too many tokens.
_UNFIT = frozenset({400, 413, 422})

#: More of an answer is not read: 2,048 vectors of 4,096 numbers in base64 are 45 MB.
_MOST_BYTES = 128 << 20


class Unfit(Exception):
    """The endpoint does not take these texts as they are. `status` and `code` are its own."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}".rstrip())


class _Passing(Exception):
    """This attempt failed in a way that may pass; `pause` is what the endpoint asks for, in seconds, 0 for nothing."""

    def __init__(self, why: str, pause: float = 0.0) -> None:
        super().__init__(why)
        self.pause = pause


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors [n, d] in the order of the texts, as the model gives them, and the tokens that were counted for them."""

    vectors: NDArray[np.float32]
    tokens: int


class EmbeddingsApi:
    """Sends texts, gets vectors. A connection a request, so that threads share nothing.

    `given_up` is set by who no longer wants what threads still ask for: they make no further attempt.
    """

    def __init__(self, settings: EncoderSettings, *, wait: Callable[[float], object] | None = None) -> None:
        """Raises `SettingError` for an address or a key that cannot be. Connects to nothing."""
        self.given_up = threading.Event()
        self._settings, self._wait = settings, wait or self.given_up.wait
        self._address = _parsed(settings)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if settings.api_key:
            key = settings.api_key.strip()
            if not (key.isascii() and key.isprintable()):
                raise SettingError(
                    "setting encoder.api_key holds characters that a header cannot: copy it again into OFFMAP_ENCODER_API_KEY"
                )
            self._headers["Authorization"] = f"Bearer {key}"
        self._format = "base64"
        self._dimension = 0

    def probe(self, text: str) -> int:
        """Ask for one vector; how many numbers it has. `ModelError` when there is none."""
        for encoding_format in ("base64", "float"):
            self._format = encoding_format
            try:
                self._dimension = self._embed([text], _PROBE_ATTEMPTS).vectors.shape[1]
            except Unfit as error:
                refusal = error
                continue
            return self._dimension
        raise ModelError(
            f"{self._where} does not take a request ({refusal}): check encoder.model, and encoder.dimensions, which not every "
            "model takes"
        )

    def embed(self, texts: Sequence[str]) -> Embeddings:
        """The texts' vectors. `Unfit` when the endpoint does not take them as they are, `ModelError` when it cannot answer."""
        return self._embed(texts, ATTEMPTS)

    def refused(self, characters: int) -> ModelError:
        """The error about a text that is refused even when it is cut."""
        return ModelError(
            f"{self._where} refuses a text of {characters:,} characters, even when it is cut: check the endpoint's own log, "
            "and that encoder.model embeds text"
        )

    @property
    def _where(self) -> str:
        return f"the endpoint at encoder.url = {self._settings.url!r} (encoder.model = {self._settings.model!r})"

    def _embed(self, texts: Sequence[str], attempts: int) -> Embeddings:
        request: dict[str, Any] = {
            "model": self._settings.model,
            # JSON and UTF-8 have no half a surrogate pair; "?" is what UTF-8 makes of it.
            "input": [text.encode("utf-8", "replace").decode("utf-8") for text in texts],
            "encoding_format": self._format,
        }
        if self._settings.dimensions:
            request["dimensions"] = self._settings.dimensions
        body = json.dumps(request).encode()
        for attempt in range(1, attempts + 1):
            try:
                return self._read(self._post(body), len(texts))
            except _Passing as error:
                if attempt == attempts or self.given_up.is_set():
                    raise ModelError(
                        f"{self._where} does not answer after {attempt} attempts ({error}): see that it runs and that "
                        "encoder.url is right; what was encoded is kept, so the next run goes on from there"
                    ) from None
                self._wait(error.pause or min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE))
        raise AssertionError("the last attempt returns or raises")

    def _post(self, body: bytes) -> bytes:
        try:
            connection = self._connect()
            try:
                path = self._address.path.rstrip("/") + "/embeddings"
                connection.request("POST", path, body, self._headers)
                with connection.getresponse() as answer:
                    content = answer.read(_MOST_BYTES + 1)
            finally:
                connection.close()
        except TimeoutError:
            raise _Passing(
                f"no answer within {self._settings.timeout_seconds:g} s, setting encoder.timeout_seconds"
            ) from None
        except ssl.SSLError as error:
            raise ModelError(f"{self._where} has a certificate that is not accepted: {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            raise _Passing(_reason(error)) from None
        self._judge(answer.status, content, answer.headers.get("Retry-After"))
        return content

    def _connect(self) -> http.client.HTTPConnection:
        secure = self._address.scheme == "https"
        host, port = str(self._address.hostname), self._address.port or (443 if secure else 80)
        try:
            addresses = looked_up(host, port)
        except UnicodeError:
            raise SettingError(f"setting encoder.url = {self._settings.url!r} has a host that is no name") from None
        for address in addresses:
            if not self._settings.allow_private and not is_public(address):
                raise SettingError(
                    f"setting encoder.url = {self._settings.url!r}: its host is in a private range ({address}); "
                    "set encoder.allow_private = true (OFFMAP_ENCODER_ALLOW_PRIVATE=true) when it is a server of yours"
                )
            if not secure and is_public(address):
                raise SettingError(
                    f"setting encoder.url = {self._settings.url!r} would send texts over the internet in the open: use https"
                )
        timeout = self._settings.timeout_seconds
        plain = reached(addresses, port, timeout)
        connection = http.client.HTTPConnection(host, port, timeout=timeout)
        try:
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
        except BaseException:
            plain.close()
            raise
        return connection

    def _judge(self, status: int, content: bytes, retry_after: str | None) -> None:
        """Raise what the answer means; nothing when it holds vectors."""
        if status == 200:
            if len(content) > _MOST_BYTES:
                raise self._garbled("is larger than any that was asked for")
            return
        code = _code(content)
        if status in _PASSING and code != "insufficient_quota":  # that one is also a 429, and does not pass
            pause = min(max(asked_pause(retry_after, datetime.now(UTC)) or 0.0, 0.0), _LONGEST_PAUSE)
            raise _Passing(f"it answered {status} {code}".rstrip(), pause)
        if status in _UNFIT:
            raise Unfit(status, code)
        if 300 <= status < 400:
            remedy = (
                "it redirects, which is not followed because the key would go along: set encoder.url to where it leads"
            )
        elif status in (401, 403):
            given = "the key that was given" if self._settings.api_key else "a request without a key"
            remedy = f"it refuses {given}: set OFFMAP_ENCODER_API_KEY"
        elif status in (404, 405):
            remedy = "no such address or model: check encoder.url, which mostly ends in /v1, and encoder.model"
        else:
            remedy = "see the endpoint's own log or account"
        raise ModelError(f"{self._where} answered {status} {code}".rstrip() + f": {remedy}")

    def _read(self, content: bytes, count: int) -> Embeddings:
        try:
            document = json.loads(content)
            rows, usage = document["data"], document.get("usage")
            if len(rows) != count:
                raise self._garbled(f"has {len(rows)} vectors for {count} texts")
            order = [row.get("index", place) for place, row in enumerate(rows)]
            if sorted(order) != list(range(count)):
                raise self._garbled("has an index twice or beyond the texts")
            found: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * count
            for place, row in zip(order, rows, strict=True):
                found[place] = _vector(row["embedding"])
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError, binascii.Error):
            raise self._garbled("is no list of embeddings") from None
        dimension = self._dimension or len(found[0])
        for vector in found:
            if len(vector) != dimension or not dimension:
                raise self._garbled(f"has a vector of {len(vector)} numbers where {dimension or 'some'} are expected")
        vectors = np.stack(found)
        if not np.isfinite(vectors).all():
            raise self._garbled("has a number that is not finite")
        tokens = usage.get("total_tokens") or usage.get("prompt_tokens") if isinstance(usage, dict) else 0
        return Embeddings(vectors, tokens if isinstance(tokens, int) and tokens > 0 else 0)

    def _garbled(self, how: str) -> ModelError:
        return ModelError(
            f"{self._where} gives an answer that {how}: check that encoder.url is the base of an OpenAI-compatible API, "
            "mostly ending in /v1, and that encoder.model embeds text"
        )


def _parsed(settings: EncoderSettings) -> SplitResult:
    where = f"setting encoder.url = {settings.url!r}"
    try:
        parts = urlsplit(settings.url)
        parts.port  # noqa: B018  a bad port is found when it is asked for
    except ValueError:
        raise SettingError(f"{where} is no address: write it like https://api.openai.com/v1") from None
    plain = all("!" <= letter <= "~" for letter in settings.url)
    if parts.scheme not in ("https", "http") or not parts.hostname or not plain:
        raise SettingError(
            f"{where} must be the endpoint's address when encoder.kind = 'openai': write it like https://api.openai.com/v1"
        )
    if parts.scheme == "http" and not settings.allow_private:
        raise SettingError(
            f"{where} is no https:// address; set encoder.allow_private = true (OFFMAP_ENCODER_ALLOW_PRIVATE=true) when it "
            "is a server of yours"
        )
    return parts


def _vector(given: object) -> NDArray[np.float32]:
    """A vector as base64 of little-endian float32, or as numbers."""
    if isinstance(given, str):
        return np.frombuffer(base64.b64decode(given, validate=True), dtype="<f4").astype(np.float32)
    vector = np.array(given, dtype=np.float64)
    if vector.ndim != 1:
        raise ValueError("no vector")
    with np.errstate(over="ignore"):
        return vector.astype(np.float32)


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
