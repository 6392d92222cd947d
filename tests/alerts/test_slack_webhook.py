"""The webhook against a real server: every answer means what it means, and the address stays secret."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from webhook_server import PATH, Answer, webhook

from monitor.alerts.notifier import Busy, Refused, Unreachable
from monitor.alerts.slack import SlackWebhook, _judge, channels_of, notifiers_of
from monitor.errors import OffmapError, SettingError
from monitor.settings import Settings

MESSAGE = {"text": "Gap: where is my parcel – ü \u2028"}
#: Parts of the address that nobody may read anywhere.
SECRETS = ("SECRET", "kEySeCrEt24", "/services", "hooks.test")


def sent(*answers: Answer, timeout: float = 5.0) -> OffmapError | None:
    """What sending raises, after a look at what it says."""
    with webhook(*answers) as server:
        return failure(server.address, timeout=timeout)


def failure(address: str, *, private: bool = True, timeout: float = 5.0) -> OffmapError | None:
    try:
        SlackWebhook(address, private=private, timeout=timeout).send(MESSAGE)
    except OffmapError as error:
        shown = "".join(traceback.format_exception(error)) + repr(error)
        assert not [secret for secret in SECRETS if secret in shown]
        return error
    return None


def setting(**values: object) -> Settings:
    settings = Settings()
    for name, value in values.items():
        settings = settings.with_value(f"alerts.{name}", value, source="test")
    return settings


def test_it_posts_json_to_the_whole_address() -> None:
    with webhook() as server:
        SlackWebhook(server.address + "?a=1&b=2", private=True).send(MESSAGE)
        SlackWebhook(f"http://127.0.0.1:{server.port}", private=True).send(MESSAGE)
    assert server.paths == [PATH + "?a=1&b=2", "/"]
    assert server.messages == [MESSAGE, MESSAGE]
    assert server.types == ["application/json; charset=utf-8"] * 2


def test_a_name_with_several_addresses_is_tried_at_each() -> None:
    with webhook() as server:
        SlackWebhook(server.address.replace("127.0.0.1", "localhost"), private=True, timeout=5).send(MESSAGE)
    assert server.messages == [MESSAGE]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        ("2.5", 2.5),
        ("0", 1),
        ("-3", 1),
        ("99999999", 3600),
        ("inf", 3600),
        ("nan", 30),
        ("", 30),
        ("soon", 30),
    ],
)
def test_429_asks_to_wait(value: str, seconds: float) -> None:
    error = sent(Answer(429, b"rate_limited", {"Retry-After": value}))
    assert isinstance(error, Busy)
    assert error.seconds == seconds


def test_429_without_a_time_waits_half_a_minute() -> None:
    error = sent(Answer(429, b"rate_limited"))
    assert isinstance(error, Busy)
    assert error.seconds == 30


def test_429_with_a_date() -> None:
    error = sent(Answer(429, b"", {"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=90), True)}))
    assert isinstance(error, Busy)
    assert 80 < error.seconds <= 90
    error = sent(Answer(429, b"", {"Retry-After": "Sun, 06 Nov 1994 08:49:37 GMT"}))
    assert isinstance(error, Busy)
    assert error.seconds == 1


@given(st.text(max_size=40))
@example("Mon, 01 Jan 2024 00:00:00 +9999999999999999")
@example("Mon, 01 Jan 2024 99999999999999999999:00:00 GMT")
@example("Mon, 01 Jan 2024 00:00:00 -0000")
@example("1" * 400)
def test_429_with_anything_waits_between_a_second_and_an_hour(value: str) -> None:
    with pytest.raises(Busy) as caught:
        _judge(429, "", value)
    assert 1 <= caught.value.seconds <= 3600


def test_500_is_worth_another_try_which_may_succeed() -> None:
    with webhook(Answer(500, b"kEySeCrEt24"), Answer(200)) as server:
        notifier = SlackWebhook(server.address, private=True)
        with pytest.raises(Unreachable, match="Slack answered 500"):
            notifier.send(MESSAGE)
        notifier.send(MESSAGE)
    assert len(server.messages) == 2


@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (404, "no_service", "make a new one in Slack and set OFFMAP_SLACK_WEBHOOK"),
        (404, "no_team", "the workspace is gone"),
        (403, "invalid_token", "copy it from Slack again"),
        (403, "action_prohibited", "an administrator"),
        (410, "channel_is_archived", "the channel is archived"),
        (404, "channel_not_found", "the channel is gone"),
        (400, "invalid_blocks", "`offmap alerts test`"),
    ],
)
def test_a_refusal_says_slacks_code_and_what_to_do(status: int, code: str, remedy: str) -> None:
    error = sent(Answer(status, code.encode() + b"\n"))
    assert isinstance(error, Refused)
    assert f"{status} {code}; " in str(error)
    assert remedy in str(error)


@pytest.mark.parametrize(
    "body", [b"kEySeCrEt24", b"T0SECRET", f"no route for {PATH}".encode(), b"<html>" * 9, b"\xff\xfe", b"a" * 100, b""]
)
def test_what_a_refusal_repeats_of_the_request_is_not_told_on(body: bytes) -> None:
    error = sent(Answer(404, body))
    assert isinstance(error, Refused)
    assert str(error) == "Slack refused it: 404; check the webhook with `offmap alerts test`"


def test_a_server_that_never_answers_is_left_in_time() -> None:
    over = threading.Event()
    began = time.monotonic()
    try:
        with webhook(Answer(act=lambda handler: over.wait(5) and None)) as server:
            error = failure(server.address, timeout=0.2)
            over.set()
    finally:
        over.set()
    assert isinstance(error, Unreachable)
    assert "did not answer" in str(error)
    assert time.monotonic() - began < 4


def _hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def _say(text: bytes) -> Answer:
    return Answer(act=lambda handler: handler.wfile.write(text) and None)


@pytest.mark.parametrize(
    "answer",
    [
        Answer(act=_hang_up),
        _say(b"what?\r\n\r\n"),
        _say(b"HTTP/1.1 abc\r\n\r\n"),
        _say(b"HTTP/1.1 200 " + b"a" * 70_000 + b"\r\n\r\n"),
        _say(b"HTTP/1.1 200 ok\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(200)) + b"\r\n"),
        _say(b"HTTP/1.1 200 ok\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n"),
    ],
    ids=["hangs up", "no http", "no status", "long line", "many headers", "bad chunks"],
)
def test_a_server_that_speaks_no_http_is_worth_another_try(answer: Answer) -> None:
    error = sent(answer)
    assert isinstance(error, Unreachable)
    assert "cannot be reached" in str(error)


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else can
        error = failure(f"http://127.0.0.1:{taken.getsockname()[1]}{PATH}")
    assert isinstance(error, Unreachable)
    assert str(error) == "the webhook cannot be reached: Connection refused"


def test_a_host_that_does_not_exist() -> None:
    error = failure(f"https://hooks.test.invalid{PATH}")
    assert isinstance(error, Unreachable)
    assert str(error) == "the webhook cannot be reached: its host is not known"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    with webhook() as other:
        error = sent(Answer(status, b"", {"Location": other.address}))
    assert isinstance(error, Refused)
    assert str(status) in str(error)
    assert other.paths == []


@pytest.mark.parametrize(("status", "kind"), [(200, type(None)), (404, Refused), (503, Unreachable)])
def test_a_huge_answer_is_not_read(status: int, kind: type) -> None:
    with webhook(Answer(status, b"x" * 50_000_000)) as server:
        began = time.monotonic()
        error = failure(server.address)
        took = time.monotonic() - began
    assert isinstance(error, kind)
    assert took < 4
    assert len(str(error)) < 200


@contextmanager
def self_signed(folder: Path) -> Iterator[int]:
    """A TLS server whose certificate nobody signed."""
    key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 2 -keyout {key} -out {certificate}".split(),
        check=True,
        capture_output=True,
        timeout=30,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            plain, _ = server.accept()
            with plain, suppress(OSError):
                context.wrap_socket(plain, server_side=True).close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def test_a_certificate_that_nobody_signed_is_not_accepted(tmp_path: Path) -> None:
    with self_signed(tmp_path) as port:
        error = failure(f"https://localhost:{port}{PATH}")
    assert isinstance(error, Unreachable)
    assert str(error) == "the webhook's certificate was not accepted: CERTIFICATE_VERIFY_FAILED"


def test_https_to_a_server_without_it() -> None:
    with webhook() as server:
        error = failure(server.address.replace("http:", "https:"))
    assert isinstance(error, Unreachable)
    assert server.messages == []


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.8",
            "172.16.3.4",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
        ),
        *("[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[2002:7f00:1::1]"),
        *("[64:ff9b::7f00:1]", "224.0.0.1", "255.255.255.255"),
        *("localhost", "LOCALHOST", "2130706433", "0x7f000001", "127.1", "0177.0.0.1"),
    ],
)
def test_private_addresses_are_refused_without_the_setting(host: str) -> None:
    with webhook() as server:
        error = failure(f"https://{host}:{server.port}{PATH}", private=False)
    assert isinstance(error, SettingError)
    assert "OFFMAP_ALLOW_PRIVATE_WEBHOOKS=true" in str(error)
    assert server.paths == []


@pytest.mark.parametrize(
    "address",
    [
        f"http://hooks.test{PATH}",
        f"ftp://hooks.test{PATH}",
        f"file://{PATH}",
        f"https:{PATH}",
        f"https://{PATH}",
        PATH,
        "kEySeCrEt24",
        f"https://hooks.test:99999{PATH}",
        f"https://hooks.test:port{PATH}",
        f"https://[hooks.test{PATH}",
        f"https://hooks..test{PATH}",
        f"https://{'h' * 70}.test{PATH}",
        f"https://hooks.test{PATH}ü",
        f"https://hooks.test{PATH} ",
        f"https://hooks.test{PATH}?a=b c",
        f"https://hooks.test{PATH}\x7f",
    ],
)
def test_what_is_no_address_is_a_setting_to_mend(address: str) -> None:
    error = failure(address, private=False)
    assert isinstance(error, SettingError)
    assert "alerts.slack_webhook" in str(error)


@given(st.text(max_size=60))
@example("https://hooks..test/")
@example("https://[::1%25" + "\0]/")
@example("https://\u2100/")
def test_any_text_is_an_address_or_a_setting_to_mend(text: str) -> None:
    for private in (False, True):
        try:
            SlackWebhook(text, private=private)
            SlackWebhook(f"https://{text}", private=private)
        except SettingError:
            continue


def test_channels_and_notifiers_follow_the_setting() -> None:
    assert channels_of(Settings()) == ()
    assert notifiers_of(Settings()) == {}
    settings = setting(slack_webhook=f"https://hooks.test{PATH}")
    assert channels_of(settings) == ("slack",)
    (notifier,) = notifiers_of(settings).values()
    for shown in (repr(settings), str(settings), repr(notifier), str(notifier)):
        assert not [secret for secret in SECRETS if secret in shown]
    with pytest.raises(SettingError):
        notifiers_of(setting(slack_webhook="no address"))


def test_the_setting_allows_private_addresses() -> None:
    with webhook() as server:
        for notifier in notifiers_of(setting(slack_webhook=server.address, allow_private_webhooks=True)).values():
            notifier.send(MESSAGE)
    assert server.messages == [MESSAGE]
