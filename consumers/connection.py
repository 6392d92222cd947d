"""A client of the brokers that the settings name, and what its errors mean."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from consumers import checksum
from consumers.diagnosis import answering, check_ca, refused, wrong_setting
from consumers.source import SourceAway
from monitor.errors import SettingError
from monitor.settings import KafkaSettings

__all__ = ["CONNECT_MS", "connect", "meaning"]

CONNECT_MS = 5_000
_NO_BROKER = "no broker answers at {} (setting kafka.bootstrap)"


def connect(make: Callable[..., Any], settings: KafkaSettings, **options: Any) -> tuple[Any, Any]:
    """A consumer or a producer, and its network client. Raises `SourceAway` when no broker answers, and `SettingError` for a
    setting that cannot be right."""
    from kafka.errors import KafkaError
    from kafka.net import KafkaNetClient

    checksum.quicken()
    # It reports every reconnection as an error: how the source is, is said by us.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    _check_addresses(settings.bootstrap)
    security, addresses = _security(settings), [one.strip() for one in settings.bootstrap.split(",")]
    if "SSL" in settings.security:
        # The client waits for ever for a TLS handshake that is not answered, such as by a port without TLS.
        addresses = answering(settings)
        if not addresses:
            raise SourceAway(_NO_BROKER.format(settings.bootstrap))
    clients: list[Any] = []

    def client(**given: Any) -> Any:
        clients.append(KafkaNetClient(**given))
        return clients[-1]

    try:
        made = make(
            bootstrap_servers=addresses,
            client_id="offmap",
            bootstrap_timeout_ms=CONNECT_MS,
            kafka_client=client,
            **security,
            **options,
        )
    except KafkaError as error:
        # It does not clean up itself: each attempt would leave a thread and its sockets behind.
        for one in clients:
            with suppress(KafkaError, OSError):
                one.close()
        # The client gives up on what it may not read, too, with no other word than for a broker that is not there.
        raise wrong_setting(settings) or meaning(error, settings) from None
    return made, clients[-1]


def _check_addresses(bootstrap: str) -> None:
    for one in bootstrap.split(","):
        host, separator, port = one.strip().rpartition(":")
        if not host or not separator or not port.isdigit() or any(letter.isspace() for letter in host):
            raise SettingError(f"setting kafka.bootstrap = {bootstrap!r}: {one.strip()!r} is not HOST:PORT")


def _security(settings: KafkaSettings) -> dict[str, Any]:
    options: dict[str, Any] = {"security_protocol": settings.security}
    if "SASL" in settings.security:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.username,
            "sasl_plain_password": settings.password,
        }
    if "SSL" in settings.security and settings.ca_file:
        check_ca(settings)
        options["ssl_cafile"] = settings.ca_file
    return options


def meaning(error: Exception, settings: KafkaSettings) -> SourceAway | SettingError:
    from kafka import errors

    if isinstance(error, errors.SaslAuthenticationFailedError | errors.AuthorizationError):
        return SettingError(refused(settings, type(error).__name__))
    if isinstance(error, errors.KafkaTimeoutError | errors.KafkaConnectionError):
        return SourceAway(_NO_BROKER.format(settings.bootstrap))
    return SourceAway(f"the broker at {settings.bootstrap} answers {type(error).__name__}")
