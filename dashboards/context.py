"""What every page is given."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.service import Service
from dashboards.state import Selection
from monitor.clock import Clock
from monitor.settings import Settings
from monitor.store.store import Store

__all__ = ["PageContext"]


@dataclass(frozen=True, slots=True)
class PageContext:
    """`prefix` is the path under which the app is reached, with slashes around it."""

    store: Store
    settings: Settings
    service: Service
    clock: Clock
    prefix: str

    def href(self, path: str, selection: Selection | None = None, **query: str | None) -> str:
        """The address of a page, with the selection and further fields."""
        return f"{self.prefix}{path.lstrip('/')}{(selection or Selection()).search(**query)}"
