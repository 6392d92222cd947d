"""The records that every part of offmap speaks of: turns, events, eval items, windows.

Times are naive `datetime`s in UTC. Identity is (tenant, turn_id); a 64-bit `turn_key` of it carries look-ups.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b, sha256
from struct import Struct
from typing import Any, TypeVar, dataclass_transform

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
    "streamed",
    "turn_key",
]

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def streamed(made: type[T]) -> type[T]:
    """A frozen dataclass for those that are made for every message of a stream.

    It is the type checker that holds it frozen. What holds a dataclass frozen at run time sets each field by a call: 4.5
    microseconds for a `Turn` and not 0.9, where a whole message has 40.
    """
    return dataclass(slots=True, unsafe_hash=True)(made)


_LENGTH = Struct("<Q")
EVENT_KINDS = ("feedback", "outcome", "deletion")


def key_of(*parts: str) -> int:
    """64-bit key of some strings, the same in every process.

    >>> key_of("eu", "c42-0") == key_of("eu", "c42-0") != key_of("euc42", "-0")
    True
    """
    whole = b""
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        whole += _LENGTH.pack(len(data)) + data
    key: int = _LENGTH.unpack(blake2b(whole, digest_size=8).digest())[0]
    return key


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
    """Read an ISO 8601 text, or an epoch in seconds, milli-, micro- or nanoseconds, as naive UTC.

    An epoch may be a text of digits, as OTLP sends it. A text without a zone is UTC. Raises `ValueError` for all else.

    >>> parse_time("2026-03-01T09:30:00+01:00")
    datetime.datetime(2026, 3, 1, 8, 30)
    >>> parse_time(1772357400) == parse_time(1772357400000) == parse_time("2026-03-01T09:30:00Z")
    True
    >>> parse_time("1772357400123456789")
    datetime.datetime(2026, 3, 1, 9, 30, 0, 123456)
    """
    if isinstance(value, datetime):
        moment = value
    elif isinstance(value, str):
        text = value.strip()
        # Before ISO: a colon is optional there, and so 13 digits can be read as a date and a time of long ago.
        if text[4:5] != "-" and _EPOCH_TEXT.fullmatch(text):
            return _from_epoch(float(text) if "." in text else int(text))
        moment = datetime.fromisoformat(text)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return _from_epoch(value)
    else:
        raise ValueError(f"not a time: {value!r}")
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


# Eight digits and fewer are a date, or nothing.
_EPOCH_TEXT = re.compile(r"[0-9]{9,20}(?:\.[0-9]{1,9})?", re.ASCII)
_EPOCH = datetime(1970, 1, 1)


def _from_epoch(value: int | float) -> datetime:
    """Each unit's numbers from 1973 on are larger than those of the next coarser one until the year 5138."""
    size = abs(value)
    try:
        if size < 1e11:
            return _EPOCH + timedelta(seconds=value)
        if size < 1e14:
            return _EPOCH + timedelta(milliseconds=value)
        return _EPOCH + timedelta(microseconds=value if size < 1e17 else value // 1000)
    except (OverflowError, ValueError) as error:
        raise ValueError(f"not a time: {value!r}") from error


@streamed
class Coordinates:
    """Where a record came from: a source (`file:<sha256>` or a topic), its partition, and the record's position."""

    source: str
    partition: str
    position: int

    @property
    def letter_id(self) -> str:
        """What a dead letter from here is called. The store computes the same in SQL (`monitor.store.dead_letters`)."""
        return "dl" + sha256(f"{self.source}\n{self.partition}\n{self.position}".encode()).hexdigest()[:12]


@streamed
class Turn:
    """One user message and the reply to it: the unit that is counted, embedded and exported.

    Field by field offmap's own JSON (`consumers/turn.schema.json`). Lists and mappings hold plain JSON values.
    """

    _: KW_ONLY
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
    """A record that could not be read, kept whole with the reason. `headers` are pairs of a name and a value; `key` is the
    message's, of a stream."""

    coordinates: Coordinates
    reason: str
    payload: bytes
    received_at: datetime
    headers: Sequence[tuple[str, str]] = ()
    key: bytes | None = None

    @property
    def letter_id(self) -> str:
        return self.coordinates.letter_id


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
