"""The records that every part of offmap speaks of: turns, events, eval items, windows.

Times are naive `datetime`s in UTC. Identity is (tenant, turn_id); a 64-bit `turn_key` of it carries look-ups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

__all__ = [
    "EVENT_KINDS",
    "Coordinates",
    "DeadLetter",
    "EvalItem",
    "EvalSet",
    "Event",
    "Turn",
    "Window",
    "key_of",
    "parse_time",
    "short_hash",
    "turn_key",
]

EVENT_KINDS = ("feedback", "outcome", "deletion")


def key_of(*parts: str) -> int:
    """64-bit key of some strings, the same in every process.

    >>> key_of("eu", "c42-0") == key_of("eu", "c42-0") != key_of("euc42", "-0")
    True
    """
    digest = blake2b(digest_size=8)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return int.from_bytes(digest.digest(), "little")


def turn_key(tenant: str | None, turn_id: str) -> int:
    """Key of a turn's identity. An absent tenant and an empty one are the same tenant."""
    return key_of(tenant or "", turn_id)


def short_hash(*parts: str, length: int = 12) -> str:
    """Hexadecimal id made of content, so that the same content has the same id everywhere."""
    digest = blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:length]


def parse_time(value: object) -> datetime:
    """Read an ISO 8601 text, epoch seconds or epoch milliseconds as naive UTC.

    A text without a zone is UTC. Raises `ValueError` for anything else.

    >>> parse_time("2026-03-01T09:30:00+01:00")
    datetime.datetime(2026, 3, 1, 8, 30)
    >>> parse_time(1772357400) == parse_time(1772357400000) == parse_time("2026-03-01T09:30:00Z")
    True
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str):
        moment = datetime.fromisoformat(value.strip())
    elif isinstance(value, int | float) and not isinstance(value, bool):
        # Milliseconds from 2001 on are larger than seconds until the year 33658.
        seconds = value / 1000 if abs(value) >= 1e11 else value
        try:
            moment = datetime.fromtimestamp(seconds, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(f"not a time: {value!r}") from error
    else:
        raise ValueError(f"not a time: {value!r}")
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where a record came from: a source (`file:<sha256>` or a topic), its partition, and the record's position."""

    source: str
    partition: str
    position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One user message and the reply to it: the unit that is counted, embedded and exported.

    Field by field offmap's own JSON (`consumers/turn.schema.json`). Lists and mappings hold plain JSON values.
    """

    turn_id: str
    user_text: str
    created_at: datetime
    conversation_id: str
    turn_index: int | None = None
    assistant_text: str | None = None
    system_prompt: str | None = None
    prompt_template: str | None = None
    prompt_version: str | None = None
    prompt_variables: Mapping[str, Any] | None = None
    model: str | None = None
    provider: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    latency_ms: float | None = None
    time_to_first_token_ms: float | None = None
    feedback_score: float | None = None
    feedback_comment: str | None = None
    suggestion_shown: str | None = None
    suggestion_accepted: bool | None = None
    time_to_accept_ms: float | None = None
    rolled_back: bool | None = None
    runtime_error: str | None = None
    tool_calls: Sequence[Any] | None = None
    retrieved_documents: Sequence[Any] | None = None
    language: str | None = None
    user_id: str | None = None
    tenant: str | None = None
    app: str | None = None
    environment: str | None = None
    modalities: Sequence[str] | None = None
    calls: Sequence[Any] | None = None
    metadata: Mapping[str, Any] | None = None

    @property
    def key(self) -> int:
        return turn_key(self.tenant, self.turn_id)

    @property
    def conversation_key(self) -> int:
        return key_of(self.tenant or "", self.conversation_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A later fact about a turn. It may arrive before its turn, twice, or a week later."""

    kind: str
    turn_id: str
    created_at: datetime
    tenant: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> int:
        return turn_key(self.tenant, self.turn_id)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be read, kept whole with the reason."""

    coordinates: Coordinates
    reason: str
    payload: bytes
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalItem:
    """One item of an eval set. `messages` holds the conversation when the item is one; `prompt` is then the
    message that it is about, the last of the user's unless its format says otherwise."""

    item_id: str
    prompt: str
    reference: str | None = None
    label: str | None = None
    tags: tuple[str, ...] = ()
    messages: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class EvalSet:
    """A named, versioned list of eval items. The version is a hash of the items: the same items are the same version."""

    name: str
    version: str
    created_at: datetime
    items: tuple[EvalItem, ...]

    @property
    def eval_set_id(self) -> str:
        return short_hash(self.name, self.version)


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open time range [start, end) in naive UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start >= self.end:
            raise ValueError(f"a window must end after it starts, and {self} does not")

    def __str__(self) -> str:
        return f"{self.start.isoformat()}/{self.end.isoformat()}"

    @classmethod
    def parse(cls, text: str) -> Window:
        """Read `START/END`, each an ISO 8601 time or date. Raises `ValueError` with the reason.

        >>> Window.parse("2026-03-01/2026-03-08").end
        datetime.datetime(2026, 3, 8, 0, 0)
        """
        start, separator, end = text.partition("/")
        if not separator:
            raise ValueError(f"a window is START/END, such as 2026-03-01/2026-03-08, and not {text!r}")
        return cls(parse_time(start), parse_time(end))
