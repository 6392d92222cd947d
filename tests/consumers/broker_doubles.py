"""A broker's front door, by hand: what it answers until a client is logged in, with and without TLS."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Certificates", "front_door"]

#: ApiVersions, SaslHandshake, Metadata, SaslAuthenticate, as (key, least version, last version).
_KNOWN = ((18, 0, 0), (17, 1, 1), (3, 0, 1), (36, 0, 0))


class Certificates:
    """An authority and a certificate that it signed for `name`, an address."""

    def __init__(self, folder: Path, name: str = "127.0.0.1") -> None:
        folder.mkdir()
        self.authority, self.chain, self.key = folder / "ca.pem", folder / "chain.pem", folder / "key.pem"
        ours, theirs = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        authority = _signed("authority", "authority", theirs, theirs, x509.BasicConstraints(ca=True, path_length=None))
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))])
        made = _signed("broker", "authority", ours, theirs, address)
        self.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        self.chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            ours.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def _signed(
    name: str, by: str, key: ec.EllipticCurvePrivateKey, signer: ec.EllipticCurvePrivateKey, more: x509.ExtensionType
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(more, critical=isinstance(more, x509.BasicConstraints))
        .sign(signer, hashes.SHA256())
    )


@contextmanager
def front_door(
    *, tls: Certificates | None = None, login: tuple[str, ...] = (), password: str = "secret"
) -> Iterator[str]:
    """Its address. With `login` it takes these mechanisms and, by PLAIN, one password; without it none."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        door = _Door(tls, login, password)
        thread = threading.Thread(target=door.serve, args=[server])
        thread.start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            door.ends = True
            with suppress(OSError):
                socket.create_connection(server.getsockname()[:2], 1).close()
            thread.join()
            for one in door.guests:
                one.join()


class _Door:
    def __init__(self, tls: Certificates | None, login: tuple[str, ...], password: str) -> None:
        self.login, self.password, self.ends = login, password, False
        self.guests: list[threading.Thread] = []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if tls and self.context:
            self.context.load_cert_chain(tls.chain, tls.key)

    def serve(self, server: socket.socket) -> None:
        while not self.ends:
            guest, _ = server.accept()
            self.guests.append(threading.Thread(target=self._receive, args=[guest]))
            self.guests[-1].start()

    def _receive(self, guest: socket.socket) -> None:
        with guest, suppress(OSError, EOFError):
            guest.settimeout(10)
            if self.context is None:
                self._talk(guest)
                return
            with self.context.wrap_socket(guest, server_side=True) as dressed:
                self._talk(dressed)

    def _talk(self, guest: socket.socket) -> None:
        known = False
        while not self.ends:
            (size,) = struct.unpack(">i", _read(guest, 4))
            if not 0 < size < 1 << 20:
                return
            request = _read(guest, size)
            key, _, correlation = struct.unpack_from(">hhi", request)
            (length,) = struct.unpack_from(">h", request, 8)
            body = request[10 + max(0, length) :]
            if key == 18:
                answer = struct.pack(">hi", 0, len(_KNOWN)) + b"".join(struct.pack(">hhh", *one) for one in _KNOWN)
            elif key == 17:
                answer = self._handshake(body)
            elif key == 36:
                known = body[4:].endswith(b"\0" + self.password.encode())
                answer = struct.pack(">hhi", 0 if known else 58, -1, 0)
            elif self.login and not known:
                return  # as Kafka does with who asks before the login
            else:
                return
            guest.sendall(struct.pack(">ii", len(answer) + 4, correlation) + answer)

    def _handshake(self, body: bytes) -> bytes:
        if not self.login:
            return struct.pack(">hi", 34, 0)
        code = 0 if body[2:].decode() in self.login else 33
        names = b"".join(struct.pack(">h", len(name)) + name.encode() for name in self.login)
        return struct.pack(">hi", code, len(self.login)) + names


def _read(guest: socket.socket, size: int) -> bytes:
    read = b""
    while len(read) < size:
        part = guest.recv(size - len(read))
        if not part:
            raise EOFError
        read += part
    return read
