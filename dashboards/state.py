"""What the global bar has selected, as it stands in the address: a link shows the same page to everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from urllib.parse import parse_qs, urlencode

from monitor.records import Window
from monitor.store.statistics import FILTERS, Filter

__all__ = ["Selection"]

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Selection:
    """Days (both inclusive) and filters. `notes` says what of the address was not understood, for people."""

    first: date | None = None
    last: date | None = None
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @classmethod
    def parse(cls, search: str | None) -> Selection:
        """Read an address's query. Nothing in it is an error: what makes no sense is left out, and noted.

        >>> Selection.parse("?from=2026-03-30&model=a,b&gap=g1").query
        {'gap': 'g1'}
        >>> Selection.parse("?from=xyz").notes
        ('from=xyz is no date, so it is left out.',)
        """
        try:
            found = parse_qs((search or "").lstrip("?"), max_num_fields=50)
        except ValueError:
            return cls(notes=("The address has too many fields; none of them is used.",))
        notes: list[str] = []
        days: dict[str, date | None] = {"from": None, "to": None}
        for name in days:
            if name in found:
                try:
                    days[name] = date.fromisoformat(found[name][0])
                except ValueError:
                    notes.append(f"{name}={found[name][0][:40]} is no date, so it is left out.")
        first, last = days["from"], days["to"]
        if first and last and first > last:
            notes.append(f"{first} is after {last}, so the days are left out.")
            first = last = None
        filters = {
            name: tuple(part[:_LONGEST] for part in found[name][0].split(",") if part)[:20]
            for name in FILTERS
            if name in found
        }
        known = {"from", "to", *FILTERS}
        rest = {name: values[0][:_LONGEST] for name, values in found.items() if name not in known}
        return cls(first, last, {name: values for name, values in filters.items() if values}, rest, tuple(notes))

    @property
    def window(self) -> Window | None:
        """Half-open in UTC; None for everything. An open side reaches to the end of time."""
        if self.first is None and self.last is None:
            return None
        start = datetime.combine(self.first or date(1970, 1, 1), datetime.min.time())
        end = datetime.combine(self.last or date(9990, 1, 1), datetime.min.time()) + timedelta(days=1)
        return Window(start, end)

    @property
    def filter(self) -> Filter:
        return Filter(self.window, **{name: tuple(values) for name, values in self.filters.items()})

    def search(self, **query: str | None) -> str:
        """The address's query for another page of the same selection; a field that is None is left out."""
        found: dict[str, str] = {}
        if self.first:
            found["from"] = self.first.isoformat()
        if self.last:
            found["to"] = self.last.isoformat()
        found |= {name: ",".join(values) for name, values in self.filters.items()}
        found |= {name: value for name, value in query.items() if value}
        return f"?{urlencode(found)}" if found else ""
