"""The health of an eval set itself: what repeats, contradicts itself, is asked by nobody, or is out of proportion.

What was found, as it is stored and shown. `monitor.coverage.examination` finds it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Balance", "Conflict", "Demand", "Doubt", "Health", "KindDemand", "unbalanced"]

#: Weight of the own kind's nearness against the nearest turn's, between 0.3 and 0.7 about as good (benchmarks/eval_health.py).
_KIN = 0.5


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two items that ask nearly the same and have different labels."""

    first: str
    second: str
    labels: tuple[str, str]
    cosine: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """An item whose label may be wrong: `likely` is nearer than its own by `nearer`, a difference of cosines."""

    item: str
    label: str
    likely: str
    nearer: float


@dataclass(frozen=True, slots=True)
class Demand:
    """How near the traffic comes to an item, by cosine: `turn` is its nearest text, `kin` the nearest item of its kind.

    `value` is what items are ranked by: the lower, the less it is asked for.
    """

    item: str
    label: str | None
    turn: float
    kin: float

    @property
    def value(self) -> float:
        return self.turn - _KIN * self.kin

    @property
    def asked(self) -> bool:
        """Some turn is nearer to it than its own kind is."""
        return self.turn >= self.kin


@dataclass(frozen=True, slots=True)
class KindDemand:
    """The items of one label: how many, the mean of their `value`, and how many no turn is as near to as their kin."""

    label: str
    items: int
    value: float
    unasked: int


@dataclass(frozen=True, slots=True)
class Balance:
    """A middle topic's share of the turns and of the items."""

    topic: str
    share: float
    items: int
    items_share: float


@dataclass(frozen=True, slots=True)
class Health:
    """Of eval sets as they were compared with the traffic.

    There are `items`, which ask `texts` different texts under `labels` labels; `left_out` more texts are in languages that
    the encoder does not know. `repeats` are groups of ids that say the same;
    `conflicts` and `doubts` concern labels; `least_asked` and `least_asked_kinds` are what the traffic comes least near to, at
    most 50 each; `needed` the ids of a smallest subset that is as near to the traffic, the most useful first; `balance` by
    topic, the largest first; `diversity` the number of equally different texts that would be as diverse; `unasked` items are
    nearer to their kind than any turn is to them, None of what was examined before this was counted.
    """

    items: int
    texts: int
    labels: int
    left_out: int
    repeats: tuple[tuple[str, ...], ...]
    conflicts: tuple[Conflict, ...]
    doubts: tuple[Doubt, ...]
    least_asked: tuple[Demand, ...]
    least_asked_kinds: tuple[KindDemand, ...]
    needed: tuple[str, ...]
    balance: tuple[Balance, ...]
    diversity: float
    unasked: int | None = None

    @property
    def repeated(self) -> int:
        """Items that say what another says already."""
        return sum(len(group) - 1 for group in self.repeats)

    @property
    def spare(self) -> int:
        """Items without which the set would be as near to the traffic."""
        return self.items - len(self.needed) if self.needed else 0

    def document(self) -> dict[str, Any]:
        """As JSON has it. It holds ids and labels of the eval sets and ids of topics, and no text of anybody."""
        return asdict(self)

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Health:
        """What `document` made."""
        conflicts = [Conflict(**{**one, "labels": tuple(one["labels"])}) for one in document["conflicts"]]
        return cls(
            **{
                **document,
                "repeats": tuple(tuple(group) for group in document["repeats"]),
                "conflicts": tuple(conflicts),
                "doubts": tuple(Doubt(**one) for one in document["doubts"]),
                "least_asked": tuple(Demand(**one) for one in document["least_asked"]),
                "least_asked_kinds": tuple(KindDemand(**one) for one in document["least_asked_kinds"]),
                "needed": tuple(document["needed"]),
                "balance": tuple(Balance(**one) for one in document["balance"]),
            }
        )


def unbalanced(balance: Sequence[Balance], *, times: float = 3.0) -> list[Balance]:
    """Topics with so many times more or fewer items than their share of the turns asks for, the largest difference first.

    A thousandth is added to both shares: a topic as small as that lacks nothing.
    """

    def off(one: Balance) -> float:
        return abs(math.log((one.items_share + 1e-3) / (one.share + 1e-3)))

    far = [one for one in balance if off(one) >= math.log(times)]
    return sorted(far, key=lambda one: (-abs(one.share - one.items_share), one.topic))
