"""The topic of dead letters, by kafka-python.

Kafka Connect marks its dead letters with headers `__connect.errors.*`, which also promise a connector, a task, a stage and a
Java class: tools that know them would look for these and find nothing. Ours are named `offmap-*` and say what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from consumers.connection import CONNECT_MS, connect, meaning
from consumers.source import SourceAway
from monitor.errors import SettingError
from monitor.records import DeadLetter
from monitor.redaction import redact_payload
from monitor.settings import KafkaSettings

__all__ = ["KafkaLetters", "headers_of"]

_REQUEST_MS, _DELIVERY_MS = 5_000, 10_000
_CLOSE_SECONDS = 1.0
#: The client's own limit; the topic's, which is smaller, says what is too large.
_LARGEST = 64 << 20


class KafkaLetters:
    """A producer to `kafka.dead_letter_topic`. Connects at once: `SourceAway`, `SettingError`."""

    def __init__(self, settings: KafkaSettings, *, redact: bool = False) -> None:
        from kafka import KafkaProducer

        self._settings, self._redact = settings, redact
        self._check_topic()
        self._producer, _ = connect(
            KafkaProducer,
            settings,
            acks="all",
            # A letter may come twice anyway, and an idempotent producer needs a right of its own.
            enable_idempotence=False,
            # A topic that nobody made is a mistake in a name.
            allow_auto_create_topics=False,
            max_block_ms=CONNECT_MS,
            request_timeout_ms=_REQUEST_MS,
            delivery_timeout_ms=_DELIVERY_MS,
            linger_ms=5,
            max_request_size=_LARGEST,
        )

    def send(self, letters: Sequence[DeadLetter]) -> None:
        from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

        try:
            sent = [self._send(letter, headers_of(letter, redact=self._redact), letter.payload) for letter in letters]
            for letter, one in zip(letters, sent, strict=True):
                try:
                    one.get(_DELIVERY_MS / 1000)
                except (MessageSizeTooLargeError, RecordListTooLargeError):
                    # The store has it whole, and one letter must not hold up the others for ever.
                    omitted = str(len(letter.payload)).encode()
                    headers = [*headers_of(letter, redact=self._redact), ("offmap-omitted-bytes", omitted)]
                    self._send(letter, headers, b"").get(_DELIVERY_MS / 1000)
        except KafkaError as error:
            raise self._away(error) from None

    def close(self) -> None:
        from kafka.errors import KafkaError

        with suppress(KafkaError, OSError):
            self._producer.close(timeout=_CLOSE_SECONDS)

    def _send(self, letter: DeadLetter, headers: Sequence[tuple[str, bytes]], payload: bytes) -> Any:
        return self._producer.send(
            self._settings.dead_letter_topic, value=payload, key=letter.key, headers=list(headers)
        )

    def _check_topic(self) -> None:
        """Asked by hand: there are brokers that make a topic when a producer names it, whatever they are told."""
        from kafka.admin import KafkaAdminClient
        from kafka.errors import KafkaError

        admin, _ = connect(KafkaAdminClient, self._settings, request_timeout_ms=_REQUEST_MS)
        try:
            topics = admin.list_topics()
        except KafkaError as error:
            raise meaning(error, self._settings) from None
        finally:
            with suppress(KafkaError, OSError):
                admin.close()
        if self._settings.dead_letter_topic not in topics:
            raise SourceAway(f"the broker at {self._settings.bootstrap} has no such topic, which must be made first")

    def _away(self, error: Exception) -> SourceAway | SettingError:
        from kafka import errors

        if isinstance(error, errors.KafkaTimeoutError | errors.UnknownTopicOrPartitionError):
            return SourceAway(f"the broker at {self._settings.bootstrap} does not answer, or has it no more")
        if isinstance(error, errors.AuthorizationError):
            return SourceAway(f"the user {self._settings.username!r} may not write to it ({type(error).__name__})")
        return SourceAway(str(meaning(error, self._settings)))


def headers_of(letter: DeadLetter, *, redact: bool = False) -> list[tuple[str, bytes]]:
    """The message's own headers as they are kept, and behind them why and from where it came."""
    at = letter.coordinates
    # A reason may quote the value that is wrong.
    reason = letter.reason.encode("utf-8", "backslashreplace")
    ours = {
        "offmap-reason": redact_payload(reason) if redact else reason,
        # As `offmap deadletters show` names it: the same letter that is sent twice has it twice.
        "offmap-letter": letter.letter_id.encode(),
        # Without the number that tells the logs of one name apart.
        "offmap-topic": at.source.removeprefix("kafka:").partition("#")[0].encode(),
        "offmap-partition": at.partition.encode(),
        "offmap-offset": str(at.position).encode(),
        "offmap-at": f"{letter.received_at.isoformat(timespec='milliseconds')}Z".encode(),
    }
    return [(name, value.encode("utf-8", "backslashreplace")) for name, value in letter.headers] + list(ours.items())
