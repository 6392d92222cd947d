"""A broker that takes connections and does not answer: the message names the setting that is wrong, and what to set."""

from __future__ import annotations

import gc
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from broker_doubles import Certificates, front_door
from kafka_support import settings_for

from consumers.diagnosis import wrong_setting
from consumers.kafka import KafkaSource
from consumers.source import SourceAway
from monitor.errors import SettingError
from sample_data.broker import broker

# kafka-python leaves the socket of a refused connection to the collector, which warns.
pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

USER = {"username": "reader", "password": "not-the-secret"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls") / "made")


@pytest.fixture(autouse=True)
def no_sockets_left() -> Iterator[None]:
    yield
    gc.collect()


def said(address: str, **values: object) -> str:
    found = wrong_setting(settings_for(address, "turns", **values).kafka)
    return "" if found is None else str(found)


@pytest.mark.parametrize(
    ("tls", "login", "values", "parts"),
    [
        (False, (), {"security": "SSL"}, ["kafka.security = 'SSL'", "speaks no TLS", "PLAINTEXT"]),
        (True, (), {}, ["kafka.security = 'PLAINTEXT'", "speaks TLS", "set SSL"]),
        (True, ("PLAIN",), {"security": "SASL_PLAINTEXT"}, ["speaks TLS", "set SASL_SSL"]),
        (True, (), {"security": "SSL"}, ["kafka.ca_file", "not known", "name the file"]),
        (False, ("PLAIN",), {}, ["kafka.security = 'PLAINTEXT'", "wants a login", "SASL_PLAINTEXT, kafka.username"]),
        (False, (), {"security": "SASL_PLAINTEXT"}, ["takes no login", "set PLAINTEXT"]),
        (
            False,
            ("SCRAM-SHA-512",),
            {"security": "SASL_PLAINTEXT"},
            ["kafka.sasl_mechanism = 'PLAIN'", "SCRAM-SHA-512"],
        ),
        (False, ("PLAIN",), {"security": "SASL_PLAINTEXT"}, ["refuses the user 'reader'", "kafka.password"]),
        (False, ("PLAIN",), {"security": "SASL_PLAINTEXT", "password": "secret"}, []),
    ],
)
def test_what_is_wrong_is_named_with_what_to_set(
    certificates: Certificates, tls: bool, login: tuple[str, ...], values: dict[str, Any], parts: list[str]
) -> None:
    with front_door(tls=certificates if tls else None, login=login) as address:
        found = said(address, **{**USER, **values})
    assert all(part in found for part in parts), found
    assert bool(found) == bool(parts)
    assert "secret" not in found


def test_a_known_authority_and_its_password_are_right(certificates: Certificates) -> None:
    values = {"security": "SASL_SSL", "ca_file": str(certificates.authority), **USER}
    with front_door(tls=certificates, login=("PLAIN",)) as address:
        assert said(address, **{**values, "password": "secret"}) == ""
        assert "refuses the user" in said(address, **values)


def test_a_certificate_for_another_name(tmp_path: Path) -> None:
    other = Certificates(tmp_path / "other", "192.0.2.1")
    with front_door(tls=other) as address:
        found = said(address, security="SSL", ca_file=str(other.authority))
    assert "kafka.bootstrap" in found and "not for the name '127.0.0.1'" in found


def test_a_file_that_holds_no_certificates(tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    made = settings_for("127.0.0.1:1", "turns", security="SSL", ca_file=str(file))
    with pytest.raises(SettingError, match="holds no certificates in PEM form"):
        KafkaSource(made.kafka, lambda partition: 0)


@pytest.mark.slow
@pytest.mark.parametrize("security", ["SSL", "SASL_SSL"])
def test_tls_to_a_real_broker_without_it_is_said_when_connecting(security: str) -> None:
    with broker() as address:
        made = settings_for(address, "turns", security=security, **USER)
        with pytest.raises(SettingError) as raised:
            KafkaSource(made.kafka, lambda partition: 0)
        assert "speaks no TLS" in str(raised.value)


@pytest.mark.slow
def test_no_tls_to_a_broker_with_it_is_said_when_connecting(certificates: Certificates) -> None:
    with front_door(tls=certificates) as address, pytest.raises(SettingError, match="speaks TLS"):
        KafkaSource(settings_for(address, "turns").kafka, lambda partition: 0)


@pytest.mark.slow
def test_tls_to_who_never_answers_is_a_broker_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(SourceAway, match="no broker answers"):
            KafkaSource(settings_for(address, "turns", security="SSL").kafka, lambda partition: 0)


@pytest.mark.slow
def test_a_wrong_password_is_said_when_connecting() -> None:
    with front_door(login=("PLAIN",)) as address:
        made = settings_for(address, "turns", security="SASL_PLAINTEXT", **USER)
        with pytest.raises(SettingError) as raised:
            KafkaSource(made.kafka, lambda partition: 0)
        assert "refuses the user 'reader'" in str(raised.value)
        assert USER["password"] not in str(raised.value)
