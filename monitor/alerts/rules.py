"""What is worth telling: once, until it grows or is over. Pure: what was found and what was told go in, alerts come out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from monitor.records import short_hash
from monitor.redaction import redact
from monitor.store.alerts import AlertBody, AlertRow, SubjectRow
from monitor.store.dead_letters import Reason
from monitor.store.partitions import PartitionRow

__all__ = ["Decision", "Finding", "Policy", "Unread", "adopt", "decide", "stalled", "sum_up", "unreadable"]

#: A finding that is not sure at once is told when every look for so long found it: an estimate that crosses a line by
#: chance crosses it back. On the sample traffic (seeds 20260302, 11, 12) two days tell 3 covered topics, a week 1.
_CONFIRM = timedelta(days=7)

#: A subject that no look found for so long is resolved.
_GONE = timedelta(days=2)

#: What was told is no news again for so long: a surge is compared with the four weeks before it.
_MEMORY = timedelta(days=35)

#: A finding says nothing new when this part of its members belongs to subjects that are known.
_SAME = 0.4

#: Gaps that the summary of a history names; Block Kit shows ten fields.
_SUMMED_UP = 8

#: Fewer dead letters than this are no jump, whatever share they are.
_FEWEST_LETTERS = 20

#: Reasons that an alert of dead letters names.
_REASONS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found of one subject.

    `sure` is told at once; `telling` says whether it is told at all (otherwise it only keeps a known subject alive). `size` is
    in shares of the traffic. `members` are turn keys, the most typical first.
    """

    kind: str
    key: str
    title: str
    body: AlertBody
    path: str
    size: float
    users: int
    members: tuple[int, ...]
    sure: bool
    telling: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """`growth` is how many times as large a told subject must be to be told again; `min_users` the fewest users of a topic."""

    growth: float
    min_users: int
    confirm: timedelta = _CONFIRM
    gone: timedelta = _GONE
    memory: timedelta = _MEMORY


@dataclass(frozen=True, slots=True)
class Decision:
    """What to tell, and what to remember of each subject that changed."""

    alerts: tuple[AlertRow, ...]
    subjects: tuple[SubjectRow, ...]
    forgotten: tuple[SubjectRow, ...]


def decide(
    findings: Sequence[Finding], known: Sequence[SubjectRow], *, now: datetime, at: datetime, policy: Policy
) -> Decision:
    """Compare the findings of one look, the surest first, with what is known.

    `now` is the traffic's time, which decides; `at` the clock's, which an alert carries.

    A new finding is told at once when it is sure, otherwise when every look of a week found it. A told subject is told
    again when it has grown by the policy's factor. What no look of two days finds is resolved, silently: an interval that
    widens is no news; and it stays known for five weeks. Findings with fewer users than the policy's minimum are left out.
    """
    alerts: list[AlertRow] = []
    changed: dict[str, SubjectRow] = {}
    rows = {row.subject: row for row in known if row.state != "resolved" or now - row.seen_at < policy.memory}
    for finding in findings:
        if finding.users < policy.min_users:
            continue
        row = _same(finding, rows)
        if row is not None and row.subject in changed and changed[row.subject].seen_at == now:
            # Two findings of one look about one subject: the surer one has spoken.
            changed[row.subject] = _joined(changed[row.subject], finding)
            continue
        after, alert = _one(finding, row, now, at, policy)
        if after is not None:
            changed[after.subject] = rows[after.subject] = after
        if alert is not None:
            alerts.append(alert)
    forgotten = []
    for row in rows.values():
        if row.subject in changed:
            continue
        if row.state == "seen":
            forgotten.append(row)
        elif row.state == "open" and now - row.seen_at >= policy.gone:
            changed[row.subject] = replace(row, state="resolved", since=now)
    return Decision(tuple(alerts), tuple(changed.values()), tuple(forgotten))


def adopt(
    findings: Sequence[Finding], known: Sequence[SubjectRow], *, now: datetime, policy: Policy
) -> tuple[SubjectRow, ...]:
    """What is known once the traffic is seen through another encoder, before anything is decided: `known`, and the findings.

    Another encoder draws other topics and measures other sizes, of the same traffic: findings about turns that the look
    before saw too are no news. They become known silently, and what was told is as large as it is found now. What waits
    to be confirmed goes on waiting.
    """
    rows = {row.subject: row for row in known}
    measured: set[str] = set()
    for finding in findings:
        if finding.users < policy.min_users:
            continue
        row = _same(finding, rows)
        if row is not None and row.subject in measured:  # the surer one has spoken
            rows[row.subject] = _joined(row, finding)
            continue
        measured.add(finding.key if row is None else row.subject)
        if row is None:
            rows[finding.key] = SubjectRow(
                finding.kind, finding.key, "open", now, now, now, finding.size, finding.size, finding.members
            )
        elif row.state != "seen":
            size = finding.size if finding.key[:1] == row.subject[:1] else row.told_size
            rows[row.subject] = replace(_joined(row, finding), state="open", told_size=size)
    return tuple(rows.values())


def _one(
    finding: Finding, row: SubjectRow | None, now: datetime, at: datetime, policy: Policy
) -> tuple[SubjectRow | None, AlertRow | None]:
    if row is None:
        if not finding.telling:
            return None, None
        row = SubjectRow(finding.kind, finding.key, "seen", now, now, None, None, finding.size, finding.members)
    row = replace(_joined(row, finding), seen_at=now, size=finding.size)
    if row.state == "seen" and finding.telling and (finding.sure or now - row.since >= policy.confirm):
        return replace(row, state="open", since=now, told_at=now, told_size=finding.size), _alert(finding, row, at, "")
    if row.state == "resolved":
        row = replace(row, state="open", since=now)
    # A surge and a gap are measured on different traffic: only like is compared with like.
    alike = finding.key[:1] == row.subject[:1]
    if (
        row.state == "open"
        and alike
        and finding.telling
        and row.told_size
        and finding.size >= policy.growth * row.told_size
    ):
        times = finding.size / row.told_size
        told = replace(row, told_at=now, told_size=finding.size)
        return told, _alert(finding, row, at, f"{times:.1f} times as large as when it was told")
    return row, None


def _alert(finding: Finding, row: SubjectRow, at: datetime, change: str) -> AlertRow:
    body = finding.body
    title = f"Growing: {finding.title}" if change else finding.title
    facts = (*body.facts, ("Change", change)) if change else body.facts
    return AlertRow(
        alert_id="al" + short_hash(row.kind, row.subject, at.isoformat()),
        kind=finding.kind,
        subject=row.subject,
        created_at=at,
        title=title,
        body={"text": body.text, "facts": [list(fact) for fact in facts], "examples": list(body.examples)},
        path=finding.path,
    )


def _same(finding: Finding, rows: dict[str, SubjectRow]) -> SubjectRow | None:
    """The subject that the finding is about: a told one of the same key or with the same members, else one seen before.

    Members count together: what mixes two told subjects is no third one.
    """
    own = rows.get(finding.key)
    if own is not None and own.state != "seen":
        return own
    mine = set(finding.members)
    told = [row for row in rows.values() if row.state != "seen"]
    shared = {row.subject: len(mine & set(row.members)) for row in told}
    known = mine & {member for row in told for member in row.members}
    if mine and len(known) >= _SAME * len(mine):
        return rows[max(shared, key=lambda subject: (shared[subject], subject))]
    return own


def _joined(row: SubjectRow, finding: Finding, most: int = 1_000) -> SubjectRow:
    """The subject with the finding's members first: those of long ago make room."""
    members = tuple(dict.fromkeys((*finding.members, *row.members)))[:most]
    return replace(row, members=members)


def sum_up(findings: Sequence[Finding], *, now: datetime, at: datetime, policy: Policy, path: str) -> Decision:
    """The first look at a history that is long enough: everything becomes known, and one alert says what there is.

    What was there before anybody watched is no event. No alert when there is nothing to tell.
    """
    told = [one for one in findings if one.telling and one.users >= policy.min_users]
    mark = SubjectRow("history", "history", "open", now, now, now, None, 0.0)
    subjects = [SubjectRow(one.kind, one.key, "open", now, now, now, one.size, one.size, one.members) for one in told]
    if not told:
        return Decision((), (mark,), ())
    facts = tuple((one.title, one.body.text) for one in told[:_SUMMED_UP])
    more = len(told) - len(facts)
    text = "These were there before offmap watched, the worst first. From now on only what is new, grows or changes is told."
    alert = AlertRow(
        alert_id="al" + short_hash("history", at.isoformat()),
        kind="history",
        subject="history",
        created_at=at,
        title=f"{len(told)} {'gap' if len(told) == 1 else 'gaps'} in the traffic so far",
        body={
            "text": text + (f" {more} more are on the page." if more else ""),
            "facts": [list(fact) for fact in facts],
            "examples": [],
        },
        path=path,
    )
    return Decision((alert,), (mark, *subjects), ())


@dataclass(frozen=True, slots=True)
class _News:
    """What a rule about ingest tells of its subject. `size` is a share, where there is one."""

    kind: str
    subject: str
    title: str
    text: str
    facts: Sequence[Sequence[str]]
    size: float = 0.0


def _until_over(news: _News | None, known: Sequence[SubjectRow], *, now: datetime, over: bool = True) -> Decision:
    """Tell the news once: not again while its subject is open. Without news what is open is resolved, silently, when it is
    `over`."""
    told = next((row for row in known if row.state == "open" and (news is None or row.subject == news.subject)), None)
    if news is None:
        return Decision((), (replace(told, state="resolved", since=now),) if told is not None and over else (), ())
    if told is not None:
        return Decision((), (), ())
    alert = AlertRow(
        alert_id="al" + short_hash(news.kind, news.subject, now.isoformat()),
        kind=news.kind,
        subject=news.subject,
        created_at=now,
        title=news.title,
        body={"text": news.text, "facts": [list(fact) for fact in news.facts], "examples": []},
        path="/data",
    )
    row = SubjectRow(news.kind, news.subject, "open", now, now, now, news.size or None, news.size)
    return Decision((alert,), (row,), ())


def damaged(log: str, known: Sequence[SubjectRow], *, now: datetime) -> Decision:
    """A log of the store was damaged and set aside as `log`: told once, and never over."""
    news = _News(
        kind="damaged",
        subject=log,
        title="The store's log was damaged",
        text="The store was opened without the damaged part of its log. Streams read what is missing again by themselves, and "
        "what came over HTTP or was decided by people is in the journal, unless the journal is what was damaged; a file whose "
        "ingest had not ended must be ingested again, which doubles nothing.",
        facts=[["Kept as", log]],
    )
    return _until_over(news, known, now=now)


def stalled(
    arrived: datetime | None,
    partitions: Sequence[PartitionRow],
    known: Sequence[SubjectRow],
    *,
    now: datetime,
    patience: timedelta,
) -> Decision:
    """Ingest has stalled when the last turn arrived longer ago than `patience`; told once until turns come again.

    A store that never got a turn has not stalled, and one that reads no partition is fed by hand.
    """
    if arrived is None or not partitions or now - arrived <= patience:
        return _until_over(None, known, now=now)
    lag = sum(one.lag for one in partitions)
    waiting = f" {lag:,} messages wait." if lag else " No message waits: nothing is produced."
    news = _News(
        kind="stalled",
        subject="ingest",
        title="Ingest has stalled",
        text=f"No turn has arrived for {(now - arrived).total_seconds() / 3600:.1f} hours.{waiting}",
        facts=[["Last turn", f"{arrived:%Y-%m-%d %H:%M} UTC"], ["Waiting", f"{lag:,} messages"]],
    )
    return _until_over(news, known, now=now)


@dataclass(frozen=True, slots=True)
class Unread:
    """What became of the records that streams have brought since `since`: how many there were, and why some were not read.

    `whole` when that is as long as the rule looks back: a service that has just started knows less.
    """

    since: datetime
    records: int
    reasons: tuple[Reason, ...]
    whole: bool

    @property
    def letters(self) -> int:
        return sum(one.letters for one in self.reasons)

    @property
    def share(self) -> float:
        """0 when nothing came."""
        return min(1.0, self.letters / self.records) if self.records else 0.0


def unreadable(unread: Unread, known: Sequence[SubjectRow], *, now: datetime, most: float) -> Decision:
    """Too many records cannot be read: more than `most` of them, and at least 20. Told once until it is below again.

    The alert holds reasons and counts, and nothing of the records: a reason quotes no message, and of a value in it only `…` is
    left. A service that has just started does not know that it is over.
    """
    if unread.letters < _FEWEST_LETTERS or unread.share <= most:
        return _until_over(None, known, now=now, over=unread.whole)
    minutes = max(1, round((now - unread.since).total_seconds() / 60))
    span = "hour" if unread.whole else "minute" if minutes == 1 else f"{minutes} minutes"
    listed = unread.reasons[:_REASONS]
    facts = [[f"{one.letters:,}", redact(one.reason)] for one in listed]
    if more := unread.letters - sum(one.letters for one in listed):
        facts.append([f"{more:,}", "other reasons"])
    news = _News(
        kind="dead_letters",
        subject="records",
        title="Many records cannot be read",
        text=f"{unread.letters:,} of the {unread.records:,} records of the last {span} became dead letters "
        f"({unread.share:.0%}). Nothing is lost: when they can be read, `offmap deadletters replay` stores them.",
        facts=facts,
        size=unread.share,
    )
    return _until_over(news, known, now=now)
