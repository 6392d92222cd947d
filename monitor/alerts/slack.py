"""Slack's incoming webhooks. The address is a secret: it is in no error and no log."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import SplitResult, urlsplit

from monitor.addresses import is_public, looked_up, reached
from monitor.alerts.notifier import Busy, Message, Notifier, Refused, Unreachable
from monitor.errors import SettingError
from monitor.retry_after import asked_pause
from monitor.settings import Settings

__all__ = ["SLACK", "SlackWebhook", "channels_of", "notifiers_of"]

SLACK = "slack"

_TIMEOUT = 10.0
_ANSWER_BYTES = 2_000
_LONGEST_WAIT = 3600.0
_PRIVATE = (
    "setting alerts.slack_webhook: its host is in a private range ({address}), where a webhook may not go; "
    "set OFFMAP_ALLOW_PRIVATE_WEBHOOKS=true when it is meant"
)
#: What Slack answers, and what to do about it.
_REMEDIES: Mapping[str, str] = {
    "no_service": "the webhook was removed or switched off: make a new one in Slack and set OFFMAP_SLACK_WEBHOOK",
    "no_team": "the workspace is gone: make a webhook in another one and set OFFMAP_SLACK_WEBHOOK",
    "invalid_token": "the webhook's address is not complete: copy it from Slack again into OFFMAP_SLACK_WEBHOOK",
    "channel_not_found": "the channel is gone: make a webhook for another one and set OFFMAP_SLACK_WEBHOOK",
    "channel_is_archived": "the channel is archived: open it again, or make a webhook for another one",
    "action_prohibited": "an administrator of the workspace does not allow it",
}


def channels_of(settings: Settings) -> tuple[str, ...]:
    """The channels that alerts are sent to; none without a webhook."""
    return (SLACK,) if settings.alerts.slack_webhook else ()


def notifiers_of(settings: Settings) -> dict[str, Notifier]:
    """A notifier for each channel. Raises `SettingError` for an address that is none."""
    if not settings.alerts.slack_webhook:
        return {}
    return {SLACK: SlackWebhook(settings.alerts.slack_webhook, private=settings.alerts.allow_private_webhooks)}


class SlackWebhook:
    """Posts a message to an incoming webhook.

    Only https to a public address, unless `private`. The address is looked up once, and the one that was checked is the one
    that is connected to. Redirects are not followed.
    """

    def __init__(self, address: str, *, private: bool = False, timeout: float = _TIMEOUT) -> None:
        self._address, self._private, self._timeout = _parsed(address, private), private, timeout

    def send(self, message: Message) -> None:
        body = json.dumps(message).encode()
        try:
            connection = self._connect()
            try:
                target = self._address.path or "/"
                if self._address.query:
                    target += f"?{self._address.query}"
                connection.request("POST", target, body, {"Content-Type": "application/json; charset=utf-8"})
                with connection.getresponse() as answer:  # what is not read of it holds the socket open
                    said = answer.read(_ANSWER_BYTES).decode("utf-8", "replace")
            finally:
                connection.close()
        except TimeoutError:
            raise Unreachable(f"the webhook did not answer within {self._timeout:.0f} s") from None
        except ssl.SSLError as error:
            raise Unreachable(f"the webhook's certificate was not accepted: {error.reason}") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the webhook cannot be reached: {_reason(error)}") from None
        _judge(answer.status, said, answer.headers.get("Retry-After"))

    def _connect(self) -> http.client.HTTPConnection:
        host, port = str(self._address.hostname), self._address.port or (443 if self._address.scheme == "https" else 80)
        try:
            addresses = looked_up(host, port)
        except UnicodeError:
            raise SettingError(
                "setting alerts.slack_webhook has a host that is no name: copy it from Slack again"
            ) from None
        if not self._private:
            for address in addresses:
                if not is_public(address):
                    raise SettingError(_PRIVATE.format(address=address))
        plain = reached(addresses, port, self._timeout)
        connection = http.client.HTTPConnection(host, port, timeout=self._timeout)
        try:
            secure = self._address.scheme == "https"
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host) if secure else plain
        except BaseException:
            plain.close()
            raise
        return connection


def _parsed(address: str, private: bool) -> SplitResult:
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018  a bad port is found when it is asked for
    except ValueError:
        raise SettingError("setting alerts.slack_webhook is no address: copy it from Slack again") from None
    # A blank that was copied with it would make every delivery fail without saying why.
    plain = all("!" <= letter <= "~" for letter in parts.path + parts.query)
    if not parts.hostname or not plain or parts.scheme not in ("https", "http"):
        raise SettingError("setting alerts.slack_webhook is no https:// address: copy it from Slack again")
    if parts.scheme == "http" and not private:
        raise SettingError(
            "setting alerts.slack_webhook is no https:// address; set OFFMAP_ALLOW_PRIVATE_WEBHOOKS=true for a local one"
        )
    return parts


def _judge(status: int, said: str, retry_after: str | None) -> None:
    """Raise what the answer means; nothing when the message was taken."""
    if 200 <= status < 300:
        return
    if status == 429:
        seconds = _seconds(retry_after, datetime.now(UTC))
        raise Busy(f"Slack asks to wait {seconds:.0f} s (429)", seconds)
    if status >= 500:
        raise Unreachable(f"Slack answered {status}")
    # Slack's own words are a code in small letters; anything else may repeat what we sent, or where.
    code = said.strip() if re.fullmatch(r"[a-z]+(_[a-z]+)*", said.strip()) and len(said) < 60 else ""
    remedy = _REMEDIES.get(code, "check the webhook with `offmap alerts test`")
    raise Refused(f"Slack refused it: {status} {code}".rstrip() + f"; {remedy}")


def _seconds(value: str | None, now: datetime) -> float:
    """`Retry-After`, at least a second and at most an hour; 30 seconds where it says nothing."""
    seconds = asked_pause(value, now)
    return 30.0 if seconds is None else min(max(seconds, 1.0), _LONGEST_WAIT)


def _reason(error: Exception) -> str:
    """Without the host: it is part of the address."""
    if isinstance(error, socket.gaierror):
        return "its host is not known"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
