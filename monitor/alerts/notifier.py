"""Where alerts go: a protocol of one method, its errors, and the twin in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from monitor.errors import OffmapError

__all__ = ["Busy", "Memory", "Message", "Notifier", "Refused", "Unreachable"]

Message = Mapping[str, Any]


class Unreachable(OffmapError):
    """The other side did not take it now: it is worth trying again."""


class Busy(Unreachable):
    """The other side asks to be left alone for `seconds`."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


class Refused(OffmapError):
    """The other side will never take it as it is."""


class Notifier(Protocol):
    """Sends one message, as JSON. Raises `Refused`, `Busy` or `Unreachable`, none of which names a secret."""

    def send(self, message: Message) -> None: ...


@dataclass(slots=True)
class Memory:
    """Keeps what was sent."""

    sent: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> None:
        self.sent.append(message)
