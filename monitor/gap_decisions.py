"""What people decide about gaps: checked, and written down. How a gap stands then is `monitor.coverage.life`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from monitor.coverage.gaps import topic_id_of
from monitor.errors import UsageError
from monitor.published import published_run
from monitor.store.gap_lives import GapDecisionRow
from monitor.wording import clean

if TYPE_CHECKING:
    from monitor.store.store import Store

__all__ = ["GapDecisions", "ticket_address", "until_day"]

_LONGEST_NAME, _LONGEST_WORDS, _LONGEST_ADDRESS = 80, 500, 500
#: A won't-fix is asked again after that at the latest: who could say what a product needs in three years?
_LONGEST_WONT_FIX = timedelta(days=730)


class GapDecisions:
    """Decisions on one gap. Each `add` checks one and keeps it; `write` writes all of them at once, in their order.

    A gap is named by its id; one that closed can be decided about too. Raises `UsageError` for one that is not known.
    """

    def __init__(self, store: Store, gap: str, *, now: datetime, who: str | None = None) -> None:
        self._store, self._now = store, now
        self._who = clean(who)[:_LONGEST_NAME] or None if who else None
        self.gap_id = _known_gap(store, gap)
        self._rows: list[GapDecisionRow] = []

    def __len__(self) -> int:
        return len(self._rows)

    def owner(self, name: str) -> None:
        """Whose it is from now on; an empty name is nobody's."""
        owner = clean(name)
        if len(owner) > _LONGEST_NAME:
            raise UsageError(
                f"an owner has at most {_LONGEST_NAME} characters, and {owner[:20] + '…'!r} has {len(owner)}"
            )
        self._add("owner", value=owner)

    def acknowledge(self) -> None:
        """Somebody has seen it: no alert unless it grows surely."""
        self._add("acknowledge")

    def plan(self, ticket: str) -> None:
        """It will be closed, as the ticket at this address says."""
        self._add("plan", value=ticket_address(ticket))

    def wont_fix(self, reason: str, until: date) -> None:
        """It will not be closed before the end of that day (UTC): until then it is not listed among the worst, and raises no
        alert."""
        today = self._now.date()
        if until < today:
            raise UsageError(f"won't fix until {until}: that day has passed; name today ({today}) or a later one")
        if until - today > _LONGEST_WONT_FIX:
            latest = today + _LONGEST_WONT_FIX
            raise UsageError(
                f"won't fix until {until}: that is more than two years away; name {latest} or an earlier day"
            )
        end = datetime.combine(until + timedelta(days=1), datetime.min.time())
        self._add("wont_fix", words=_words(reason, "a reason not to fix it"), until=end)

    def reopen(self) -> None:
        """It is open again, whatever was acknowledged, planned or refused."""
        self._add("reopen")

    def note(self, text: str) -> None:
        """Something that whoever looks at it should know."""
        self._add("note", words=_words(text, "a note"))

    def write(self) -> list[GapDecisionRow]:
        """The rows as they were written; nothing is written without any."""
        return self._store.gap_lives.decide(self._rows)

    def _add(
        self, kind: str, *, value: str | None = None, words: str | None = None, until: datetime | None = None
    ) -> None:
        row = GapDecisionRow(
            decision_id="",
            place=0,
            created_at=self._now,
            who=self._who,
            kind=kind,
            gap_id=self.gap_id,
            topic_id=topic_id_of(self.gap_id),
            value=value,
            words=words,
            until=until,
        )
        self._rows.append(row)


def ticket_address(text: str) -> str:
    """The address of a ticket, as people may safely press it. Raises `UsageError`.

    >>> ticket_address(" https://tracker.example.org/browse/OPS-12 ")
    'https://tracker.example.org/browse/OPS-12'
    """
    address = text.strip()
    shown = repr(clean(address)[:60])
    if len(address) > _LONGEST_ADDRESS:
        raise UsageError(
            f"the address of a ticket has at most {_LONGEST_ADDRESS} characters, and {shown} has {len(address)}"
        )
    plain = address.isascii() and address.isprintable() and not set(address) & set(" \"'<>\\^`{|}")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        plain, host, parts = False, None, urlsplit("")
    if not plain or parts.scheme not in ("http", "https") or not host:
        raise UsageError(
            f"the ticket {shown} is no address: write it like https://tracker.example.org/OPS-12, as the browser shows it"
        )
    if parts.username is not None or parts.password is not None:
        raise UsageError(f"the ticket at {host} names a user or a password before its host: leave them out")
    return address


def until_day(text: str) -> date:
    """A day as a person writes it. Raises `UsageError`."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(f"the day {clean(text)[:40]!r} is no date: write it like 2027-03-31") from None


def _words(text: str, what: str) -> str:
    """One visible line. Raises `UsageError`."""
    line = clean(text)
    if not line:
        raise UsageError(f"{what} must not be empty")
    if len(line) > _LONGEST_WORDS:
        raise UsageError(
            f"{what} has at most {_LONGEST_WORDS} characters, and this has {len(line)}: write it in the ticket"
        )
    return line


def _known_gap(store: Store, text: str) -> str:
    """The id of a gap that is or was listed. Raises `UsageError` naming what is near."""
    listed = [one.gap_id for one in store.reports.gaps(published_run(store).report_id)]
    known: Sequence[str] = [*listed, *sorted(store.gap_lives.known() - set(listed))]
    if text in known:
        return text
    near = get_close_matches(text, known, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else "`offmap gaps --all` lists them"
    raise UsageError(f"no gap {clean(text)[:80]!r} was ever listed; {hint}")
