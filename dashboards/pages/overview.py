"""Overview: are we all right?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import dash_mantine_components as dmc
from dash import html

from dashboards.components.cards import card, chart, empty, link, not_read_line, number_card, page, table, verdict
from dashboards.components.timeline import timeline
from dashboards.context import PageContext
from dashboards.figures.coverage import coverage_line, interval_bar
from dashboards.queries.coverage import coverage_over_time, unit_of
from dashboards.queries.run import Shown, read_run
from dashboards.state import Selection
from monitor.coverage.life import read_lives
from monitor.store.alerts import AlertRow, DeliveryRow
from monitor.store.reports import GapRow
from monitor.wording import clean, counted, percent, range_of, share, share_range, short_day

__all__ = ["PATH", "TITLE", "layout"]

PATH, TITLE, ICON = "/", "Overview", "◎"

_GAPS, _ALERTS = 5, 6


def layout(context: PageContext, selection: Selection) -> Any:
    question = "Are we all right? What the evals cover, what they miss, and what is new."
    shown = read_run(context.store, least=context.settings.atlas.min_users)
    turns = context.store.turns.count()
    if not turns:
        return page(TITLE, question, _nothing())
    if shown is None:
        return page(
            TITLE,
            question,
            empty(
                "The first analysis is not there yet",
                f"{counted(turns, 'turn')} arrived. offmap serve analyses them within a minute or two of the fiftieth turn.",
                "offmap analyse",
            ),
            _ingest_row(context, selection),
        )
    asked = _asked(context, shown)
    return page(
        TITLE,
        question,
        verdict(shown.report.verdict, bad=shown.report.value is None),
        *not_read_line(context.store.atlases.foreign(shown.run.atlas_id)),
        _numbers(context, selection, shown, asked),
        dmc.SimpleGrid(
            [_coverage(context, selection, shown), _top_gaps(context, selection, shown, asked)],
            cols={"base": 1, "md": 2},
        ),
        _alerts(context, selection),
    )


def _nothing() -> Any:
    return empty(
        "No turns yet",
        "Read a log, or run offmap serve --kafka. Then import the eval set: coverage is computed against it.",
        "offmap ingest YOUR-LOG.jsonl",
        "offmap evalset import YOUR-EVALS.jsonl --name evals",
    )


def _numbers(context: PageContext, selection: Selection, shown: Shown, asked: Sequence[GapRow]) -> Any:
    report, drift = shown.report, context.store.drift.latest()
    marked = sum(gap.alert for gap in asked)
    return dmc.SimpleGrid(
        [
            number_card(
                "Coverage",
                percent(report.value),
                f"90% interval {percent(report.low)} to {percent(report.high)}"
                if report.low is not None
                else "not known",
                "The share of your users' turns that the eval set tests, estimated; the interval should hold the truth.",
                context.href("/gaps", selection),
            ),
            number_card(
                "Gaps",
                f"{len(asked):,}",
                f"{marked:,} leave enough uncovered to alert on",
                "Topics that users ask about and the eval set does not cover, the worst first on their page.",
                context.href("/gaps", selection),
                bad=marked > 0,
            ),
            number_card(
                "Drift",
                "–" if drift is None or drift.p_value is None else "changed" if drift.alarm else "steady",
                "no comparison yet"
                if drift is None
                else _drift_detail(drift.p_value, drift.current_start, drift.current_end),
                "Whether the last days differ from the four weeks before by more than chance.",
                context.href("/drift", selection),
                bad=bool(drift and drift.alarm),
            ),
            *_ingest_cards(context, selection),
        ],
        cols={"base": 2, "md": 5},
    )


def _drift_detail(p_value: float | None, start: Any, end: Any) -> str:
    days = f"{short_day(start)} – {short_day(end)}"
    return f"{days}, too few turns to say" if p_value is None else f"{days}, p = {p_value:.3f}"


def _ingest_cards(context: PageContext, selection: Selection) -> list[Any]:
    store = context.store
    partitions, span = store.partitions.read(), store.turns.span()
    lag = sum(row.lag for row in partitions)
    letters = store.dead_letters.count()
    return [
        number_card(
            "Turns",
            _short(store.turns.count()),
            f"last turn {span.end:%-d %b %Y %H:%M}" if span else "none yet",
            "User messages with their replies in the store; the time is the last turn's own.",
            context.href("/data", selection),
        ),
        number_card(
            "Ingest",
            f"{lag:,} behind" if partitions else "files",
            f"{letters:,} dead letters" if letters else "no dead letters",
            "Messages that wait in Kafka, and records that could not be read.",
            context.href("/data", selection),
            bad=lag > 10_000 or letters > 0,
        ),
    ]


def _ingest_row(context: PageContext, selection: Selection) -> Any:
    return dmc.SimpleGrid(_ingest_cards(context, selection), cols={"base": 2, "md": 5})


def _coverage(context: PageContext, selection: Selection, shown: Shown) -> Any:
    meaning = (
        "Mean probability that a turn is covered, by the time of the turn. The bar is the 90% interval of the whole. The band "
        "is by how much a point may differ from the others by chance."
    )
    report = shown.report
    if report.value is None or report.low is None or report.high is None:
        return card("Coverage over time", dmc.Text(report.verdict, size="sm", c="dimmed"), meaning=meaning)
    days = (shown.run.window_end - shown.run.window_start).total_seconds() / 86_400
    unit = unit_of(days)
    points = coverage_over_time(context.store, report.report_id, unit, selection.filter)
    whole = interval_bar(report.value, report.low, report.high)
    if not points:
        drawn: Any = dmc.Text("Too few conversations in this selection to say.", size="sm", c="dimmed")
    else:
        drawn = timeline(context, coverage_line(points), [one.start for one in points])
    return card(
        "Coverage over time",
        chart(whole),
        drawn,
        dmc.Text(
            f"By {unit}, of the analysis {shown.days}. The band compares {unit}s with one another; the bar says where all lie.",
            size="xs",
            c="dimmed",
        ),
        meaning=meaning,
    )


def _asked(context: PageContext, shown: Shown) -> list[GapRow]:
    """The gaps but those that will not be fixed yet, as somebody decided."""
    lives = read_lives(context.store, now=context.clock())
    return [gap for gap in shown.gaps if not lives.of(gap.gap_id).hidden]


def _top_gaps(context: PageContext, selection: Selection, shown: Shown, asked: Sequence[GapRow]) -> Any:
    rows = [
        [
            link(clean(gap.label), context.href("/gaps", selection, gap=gap.gap_id)),
            _share(shown, gap),
            range_of(gap.coverage, gap.low, gap.high),
            short_day(gap.first_seen),
        ]
        for gap in asked[:_GAPS]
    ]
    body: Any = (
        table(["gap", "share", "covered", "since"], rows, right=(1, 2, 3))
        if rows
        else dmc.Text("No gap is worth listing.", size="sm", c="dimmed")
    )
    return card(
        "Top gaps",
        body,
        meaning="What users ask most that the eval set covers least, weighted by failures and growth.",
        right=link(f"all {len(asked)}", context.href("/gaps", selection)) if rows else None,
    )


def _share(shown: Shown, gap: GapRow) -> str:
    topic = shown.topic(gap.topic_id)
    return share_range(topic.share, topic.share_low, topic.share_high) if topic else share(gap.share)


def _alerts(context: PageContext, selection: Selection) -> Any:
    found = context.store.alerts.read(_ALERTS)
    deliveries: dict[str, DeliveryRow] = {one.alert_id: one for one in context.store.alerts.deliveries()}
    failed = [one for one in deliveries.values() if one.state == "failed"]
    retrying = [one for one in deliveries.values() if one.state == "due" and one.error]
    warning = None
    if failed or retrying:
        worst = (failed or retrying)[0]
        said = (
            f"{len(failed)} alerts could not be delivered to Slack"
            if failed
            else "Slack cannot be reached; it is tried again"
        )
        warning = dmc.Alert(
            f"{said}: {clean(worst.error or '')}", color="orange", title="Delivery", className="delivery"
        )
    if not found:
        body: Any = dmc.Text(
            "Nothing to tell yet. Alerts begin when the traffic spans two weeks.", size="sm", c="dimmed"
        )
    else:
        body = table(
            ["when", "alert", "delivery"],
            [_alert_row(context, selection, alert, deliveries.get(alert.alert_id)) for alert in found],
        )
    where = "Slack" if context.settings.alerts.slack_webhook else "shown here only: no Slack webhook is set"
    return card(
        "Alerts",
        *([warning] if warning is not None else []),
        body,
        meaning="A new gap, a surge, stalled ingest: each is told once, and again when it has grown.",
        right=dmc.Text(where, size="xs", c="dimmed"),
    )


def _alert_row(context: PageContext, selection: Selection, alert: AlertRow, delivery: DeliveryRow | None) -> list[Any]:
    path, _, query = alert.path.partition("?")
    fields = dict(parse_qsl(query))
    text = html.Div(
        [
            link(clean(alert.title), context.href(path, selection, **fields)),
            dmc.Text(clean(alert.content.text), size="xs", c="dimmed"),
        ]
    )
    state = "app" if delivery is None else delivery.state
    return [f"{alert.created_at:%-d %b %H:%M}", text, state]


def _short(count: int) -> str:
    """
    >>> _short(940), _short(15_601), _short(2_340_000)
    ('940', '15.6k', '2.3M')
    """
    if count < 10_000:
        return f"{count:,}"
    return f"{count / 1000:.1f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"
