"""What the app needs of the service around it: health, jobs, and the files that they made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from monitor.errors import OffmapError
from monitor.health import Health

__all__ = ["Alone", "Service"]


class Service(Protocol):
    """Jobs go on in the background: a page asks for one, and looks at `store.jobs` how it goes."""

    def health(self) -> Health: ...

    def metrics(self) -> bytes:
        """For Prometheus; empty where nothing is measured."""

    def request(self, kind: str, parameters: Mapping[str, Any]) -> str:
        """Ask for a job; its id. Raises `OffmapError` when it cannot be."""

    def file(self, job_id: str) -> Path | None:
        """What a finished job made; None when there is none."""


@dataclass(frozen=True, slots=True)
class Alone:
    """An app without a service: pages show what is there, and nothing runs in the background."""

    started_at: datetime

    def health(self) -> Health:
        return Health(self.started_at)

    def metrics(self) -> bytes:
        return b""

    def request(self, kind: str, parameters: Mapping[str, Any]) -> str:
        raise OffmapError("nothing runs in the background here: start offmap serve")

    def file(self, job_id: str) -> Path | None:
        return None
