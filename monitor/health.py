"""How the parts of the service are, in words that a page, a probe and a log can show."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

__all__ = ["Health", "PartHealth", "State"]

#: `starting` and `waiting` (for a broker, for data) are no failures; `failing` is tried again by itself; `stopped` is not.
State = Literal["starting", "running", "waiting", "failing", "stopped"]


@dataclass(frozen=True, slots=True)
class PartHealth:
    """One part: what it is called, how it is since when, what it says about it, and how often it was started again."""

    name: str
    state: State
    since: datetime
    detail: str = ""
    restarts: int = 0

    @property
    def ok(self) -> bool:
        return self.state not in ("failing", "stopped")


@dataclass(frozen=True, slots=True)
class Health:
    """The whole service. It is ready when no part is starting, and ok when every part is."""

    started_at: datetime
    parts: tuple[PartHealth, ...] = ()

    @property
    def ok(self) -> bool:
        return all(part.ok for part in self.parts)

    @property
    def ready(self) -> bool:
        return all(part.state != "starting" for part in self.parts)
