"""What a signal is: evidence of how a reply landed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from monitor.records import Turn

__all__ = ["Conversations", "Finder", "Signal"]


@dataclass(frozen=True, slots=True)
class Signal:
    """One piece of evidence about one reply.

    `turn_key` is the turn whose reply is judged. `span` are the characters that prove it, in the user message of the
    NEXT turn of the conversation; None where the evidence is no text. `detail` says which evidence; it holds no text of
    a user.
    """

    turn_key: int
    signal: str
    span: tuple[int, int] | None
    detail: str


#: Conversations, the turns of each in order.
Conversations = Sequence[Sequence[Turn]]

#: The one signature of all signals.
Finder = Callable[[Conversations], list[Signal]]
