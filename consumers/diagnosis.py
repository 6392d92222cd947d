"""Why a broker that takes connections does not answer: the client only says that it does not.

It is asked once more, by hand, in the way that is set, and then in the way that is not. The password goes only where the
settings send it.
"""

from __future__ import annotations

import re
import socket
import ssl
import struct
import time
from pathlib import Path
from typing import Any

from monitor.errors import SettingError
from monitor.settings import KafkaSettings

__all__ = ["answering", "check_ca", "refused", "wrong_setting"]

#: All questions together: somebody may be waiting for us to end.
_SECONDS = 4.0
_API_VERSIONS, _HANDSHAKE, _AUTHENTICATE = (18, 0), (17, 1), (36, 0)
_NO_MECHANISM = 33
#: An answer that is longer is none of Kafka's.
_LONGEST = 1 << 20


class _Silent(Exception):
    """Closed, too late, or something that is not Kafka's protocol."""


def wrong_setting(settings: KafkaSettings) -> SettingError | None:
    """The setting that keeps us from the broker; None when none is known to be wrong, and the broker is just away."""
    until = time.monotonic() + _SECONDS
    found = [_Asked(settings, address, until).wrong() for address in settings.bootstrap.split(",")]
    return next((SettingError(one) for one in found if one is not None), None)


def answering(settings: KafkaSettings) -> list[str]:
    """The addresses that answer as it is set. Raises `SettingError` when there is none and we know why."""
    until = time.monotonic() + _SECONDS
    asked = [_Asked(settings, address, until) for address in settings.bootstrap.split(",")]
    wrong = [one.wrong() for one in asked]
    found = [one.address for one, known in zip(asked, wrong, strict=True) if one.answered and known is None]
    if not found and any(wrong):
        raise SettingError(next(one for one in wrong if one))
    return found


def check_ca(settings: KafkaSettings) -> None:
    """Raise `SettingError` when `kafka.ca_file` holds no certificates."""
    if not Path(settings.ca_file).is_file():
        raise SettingError(f"setting kafka.ca_file = {settings.ca_file!r}: there is no such file")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(settings.ca_file)
    except OSError as error:  # also ssl.SSLError
        raise SettingError(
            f"setting kafka.ca_file = {settings.ca_file!r}: it holds no certificates in PEM form "
            f"({error.strerror or type(error).__name__})"
        ) from None


class _Asked:
    """One address and what is wrong with how we ask it."""

    def __init__(self, settings: KafkaSettings, address: str, until: float) -> None:
        self.address, self.answered = address.strip(), False
        host, _, port = self.address.rpartition(":")
        self._settings, self._host, self._port, self._until = settings, host.strip("[]"), int(port), until
        self._where = f"the broker at {self.address}"
        self._tls, self._sasl = "SSL" in settings.security.split("_"), "SASL" in settings.security

    def wrong(self) -> str | None:
        try:
            first = self._connected()
        except (OSError, _Silent):
            return None
        try:
            with first as plain, self._dressed(plain) as connection:
                self._ask(connection, _API_VERSIONS)
                self.answered = True
                return self._wrong_login(connection)
        except ssl.SSLCertVerificationError as error:
            return self._wrong_certificate(error)
        except (OSError, _Silent):
            pass
        # Not as it is set: the other way?
        try:
            with self._connected() as plain, self._other(plain) as connection:
                self._ask(connection, _API_VERSIONS)
        except (OSError, _Silent):
            return None
        speaks = "no TLS" if self._tls else "TLS"
        kind = "PLAINTEXT" if self._tls else "SSL"
        right = f"SASL_{kind}" if self._sasl else f"{kind}, or SASL_{kind} with a login,"
        return (
            f"setting kafka.security = {self._settings.security!r}: {self._where} speaks {speaks}; "
            f"set {right} or name its other port in kafka.bootstrap"
        )

    def _left(self) -> float:
        """A share of the time: whoever is silent must leave some for the next question."""
        left = self._until - time.monotonic()
        if left <= 0.05:
            raise _Silent
        return left / 2

    def _connected(self) -> socket.socket:
        return socket.create_connection((self._host, self._port), self._left())

    def _dressed(self, plain: socket.socket) -> socket.socket:
        if not self._tls:
            return plain
        context = ssl.create_default_context(cafile=self._settings.ca_file or None)
        return context.wrap_socket(plain, server_hostname=self._host)

    def _other(self, plain: socket.socket) -> socket.socket:
        if self._tls:
            return plain
        # Only asked whether it speaks TLS, and told nothing.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(plain, server_hostname=self._host)

    def _wrong_certificate(self, error: ssl.SSLCertVerificationError) -> str:
        # Numbers of OpenSSL: the name does not fit (62, 64), not valid yet or any more (9, 10).
        if error.verify_code in (62, 64):
            return (
                f"setting kafka.bootstrap: the certificate of {self._where} is not for the name {self._host!r}; "
                "name the broker as its certificate does"
            )
        if error.verify_code in (9, 10):
            return f"the certificate of {self._where} is not valid today: it must be renewed, or this clock set"
        ours = (
            f"setting kafka.ca_file = {self._settings.ca_file!r}" if self._settings.ca_file else "setting kafka.ca_file"
        )
        return (
            f"{ours}: the certificate of {self._where} is signed by an authority that is not known; "
            "name the file with the certificates of the authority that signed it"
        )

    def _wrong_login(self, connection: socket.socket) -> str | None:
        settings = self._settings
        mechanism = settings.sasl_mechanism if self._sasl else "PLAIN"
        try:
            answer = self._ask(connection, _HANDSHAKE, _text(mechanism))
        except (OSError, _Silent):
            if not self._sasl:
                return None
            return self._no_login()
        code, offered = _handshake(answer)
        if not self._sasl:
            # One that wants no login calls the handshake an illegal state.
            if code not in (0, _NO_MECHANISM):
                return None
            return (
                f"setting kafka.security = {settings.security!r}: {self._where} wants a login; set "
                f"SASL_{settings.security}, kafka.username and kafka.password"
            )
        if code == _NO_MECHANISM or (code == 0 and offered and mechanism not in offered):
            known = f"it knows {', '.join(offered)}" if offered else "it does not know it"
            return f"setting kafka.sasl_mechanism = {mechanism!r}: {self._where} takes no such login; {known}"
        if code:
            return self._no_login()
        return self._refusal(connection)

    def _no_login(self) -> str:
        return (
            f"setting kafka.security = {self._settings.security!r}: {self._where} takes no login here; "
            f"set {self._settings.security.removeprefix('SASL_')}, or name its other port in kafka.bootstrap"
        )

    def _refusal(self, connection: socket.socket) -> str | None:
        """Log in as the client would."""
        from kafka.errors import KafkaError
        from kafka.net.sasl import get_sasl_mechanism

        settings = self._settings
        login: Any = get_sasl_mechanism(settings.sasl_mechanism)(
            host=self._host,
            sasl_mechanism=settings.sasl_mechanism,
            sasl_plain_username=settings.username,
            sasl_plain_password=settings.password,
        )
        try:
            while not login.is_done():
                token = login.auth_bytes()
                answer = self._ask(connection, _AUTHENTICATE, struct.pack(">i", len(token)) + token)
                if struct.unpack_from(">h", answer)[0]:
                    return refused(settings, "SaslAuthenticationFailedError")
                login.receive(_authenticated(answer))
        # A login of our client that does not understand an answer says so in errors of many kinds.
        except (KafkaError, ValueError, KeyError, struct.error):
            return refused(settings, "SaslAuthenticationFailedError")
        return None

    def _ask(self, connection: socket.socket, what: tuple[int, int], body: bytes = b"") -> bytes:
        """The answer, behind its correlation id."""
        request = struct.pack(">hhi", *what, 1) + _text("offmap") + body
        connection.settimeout(self._left())
        connection.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", self._read(connection, 4))
        # A correlation id and an error.
        if not 6 <= size <= _LONGEST:
            raise _Silent
        answer = self._read(connection, size)
        if answer[:4] != struct.pack(">i", 1):
            raise _Silent
        return answer[4:]

    def _read(self, connection: socket.socket, size: int) -> bytes:
        read = b""
        while len(read) < size:
            connection.settimeout(self._left())
            part = connection.recv(size - len(read))
            if not part:
                raise _Silent
            read += part
        return read


def refused(settings: KafkaSettings, error: str) -> str:
    return (
        f"the broker at {settings.bootstrap} refuses the user {settings.username!r}: check kafka.username, "
        f"kafka.password and what it may read ({error})"
    )


def _text(text: str) -> bytes:
    return struct.pack(">h", len(text)) + text.encode()


def _handshake(answer: bytes) -> tuple[int, list[str]]:
    """Its error, and the mechanisms that are offered, as far as they are names."""
    code, count = struct.unpack_from(">hi", answer) if len(answer) >= 6 else (0, 0)
    offered, at = [], 6
    for _ in range(max(0, min(count, 20))):
        if at + 2 > len(answer):
            break
        (size,) = struct.unpack_from(">h", answer, at)
        name = answer[at + 2 : at + 2 + max(0, size)]
        at += 2 + max(0, size)
        if re.fullmatch(rb"[A-Z0-9_-]{1,30}", name):
            offered.append(name.decode())
    return code, offered


def _authenticated(answer: bytes) -> bytes:
    """What the broker says in a login that goes on: behind the error and its text."""
    (length,) = struct.unpack_from(">h", answer, 2)
    at = 4 + max(0, length)
    (size,) = struct.unpack_from(">i", answer, at)
    return answer[at + 4 : at + 4 + max(0, size)]
