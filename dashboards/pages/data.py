"""Data: is the data right?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html

from dashboards.components.cards import card, chart, empty, explained, page, table, verdict
from dashboards.components.timeline import timeline
from dashboards.context import PageContext
from dashboards.figures.coverage import turn_bars
from dashboards.figures.ingest import lag_lines, letters_line, throughput_bars
from dashboards.figures.marks import release_marks
from dashboards.pages.letters import letter_page, letters_card
from dashboards.queries.coverage import turns_over_time, unit_of
from dashboards.queries.ingest import ingest_course
from dashboards.state import Selection
from monitor.health import PartHealth
from monitor.wording import clean, counted

__all__ = ["PATH", "TITLE", "layout", "register"]

PATH, TITLE, ICON = "/data", "Data", "≡"

_JOBS = 8
#: What is drawn live, by the id of its graph. `offmap serve` samples once a minute and keeps three hours.
_CHARTS = {
    "throughput": (
        "Records a minute",
        "What was read, by source: streams, files and HTTP, in the last three hours at most. Times are UTC.",
    ),
    "lag": ("Behind", "Messages in Kafka that are not stored yet, a line a partition."),
    "letters-kept": (
        "Dead letters over time",
        "Records that could not be read and are kept. Replayed or discarded, they go.",
    ),
}
_COLOURS = {"running": "green", "waiting": "yellow", "starting": "gray", "failing": "orange", "stopped": "red"}


def layout(context: PageContext, selection: Selection) -> Any:
    if letter := selection.query.get("letter"):
        return letter_page(context, selection, letter)
    # The children are refreshed in place: nothing flickers, and what is open stays open.
    return page(
        TITLE,
        "Is the data right? What arrived, what waits, what could not be read, and what runs.",
        dcc.Interval(id="data-poll", interval=5_000),
        dcc.Interval(id="charts-poll", interval=10_000),
        html.Div(_live(context), id="data-live"),
        _course(context),
        _over_time(context, selection),
        letters_card(context, selection),
        html.Div(_rest(context), id="data-rest"),
    )


def register(app: dash.Dash, context: PageContext) -> None:
    @app.callback(
        Output("data-live", "children"),
        Output("data-rest", "children"),
        Input("data-poll", "n_intervals"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def refresh(_: int, search: str) -> Any:
        return _live(context), _rest(context)

    @app.callback(
        *(Output(name, "figure") for name in _CHARTS), Input("charts-poll", "n_intervals"), prevent_initial_call=True
    )
    def redraw(_: int) -> Any:
        return _figures(context)


def _live(context: PageContext) -> Any:
    store = context.store
    turns, run = store.turns.count(), store.runs.current()
    waiting = store.statistics.unassigned(run.atlas_id, context.settings.analysis.environments) if run else turns
    partitions = store.partitions.read()
    lag = sum(row.lag for row in partitions)
    letters, conflicts = store.dead_letters.count(), store.turns.conflicts()
    arrived = store.turns.last_arrival()
    health = context.service.health()
    failing = [part for part in health.parts if not part.ok]
    words = f"{counted(turns, 'turn')} stored"
    words += f", the last {_ago((context.clock() - arrived).total_seconds())}" if arrived else ""
    words += f"; {counted(lag, 'message')} behind" if partitions else ""
    words += f"; {', '.join(part.name for part in failing)} failing" if failing else ""
    numbers = [
        ("Turns", f"{turns:,}", "Rows in the store.", "turn-count"),
        (
            "Without a topic",
            f"{waiting:,}",
            "New turns get a topic within a minute; those that do not count, by environment or rule, get none.",
            "waiting-count",
        ),
        ("Behind", f"{lag:,}", "Messages in Kafka that are not stored yet.", "lag-count"),
        (
            "Dead letters",
            f"{letters:,}",
            "Records that could not be read; each is kept with its reason.",
            "letter-count",
        ),
        (
            "Conflicts",
            f"{conflicts:,}",
            "The same turn again with other content; the first version stays.",
            "conflict-count",
        ),
    ]
    cards = [
        explained(
            dmc.Paper(
                [dmc.Text(name, size="xs", c="dimmed", fw=600), dmc.Text(value, className="number", id=identifier)],
                withBorder=True,
                p="md",
                radius="md",
                h="100%",
            ),
            meaning,
            wide=True,
        )
        for name, value, meaning, identifier in numbers
    ]
    return dmc.Stack(
        [verdict(words + ".", bad=bool(failing)), dmc.SimpleGrid(cards, cols={"base": 2, "sm": 3, "md": 5})], gap="md"
    )


def _figures(context: PageContext) -> Sequence[Any]:
    """In the order of `_CHARTS`."""
    course = ingest_course(context.store, context.clock())
    marks = release_marks(context.store.statistics.releases(), [course.start, course.end])
    return throughput_bars(course, marks), lag_lines(course, marks), letters_line(course, marks)


def _course(context: PageContext) -> Any:
    cards = [
        dmc.GridCol(card(title, chart(figure, id=name), meaning=meaning), span={"base": 12, "lg": 4})
        for (name, (title, meaning)), figure in zip(_CHARTS.items(), _figures(context), strict=True)
    ]
    return dmc.Grid(cards)


def _over_time(context: PageContext, selection: Selection) -> Any:
    span = context.store.turns.span()
    if span is None:
        return empty(
            "No turns yet",
            "Read a log, or run offmap serve --kafka.",
            "offmap ingest YOUR-LOG.jsonl",
            "offmap serve --kafka",
        )
    window = selection.window or span
    days = (min(window.end, span.end) - max(window.start, span.start)).total_seconds() / 86_400
    unit = unit_of(max(0.1, days))
    points = turns_over_time(context.store, unit, selection.filter)
    body: Any = (
        timeline(context, turn_bars(points), [start for start, _ in points])
        if points
        else dmc.Text("No turns in this selection.", size="sm", c="dimmed")
    )
    rows = [[name, f"{count:,}"] for name, count in context.store.statistics.by_environment()]
    return dmc.Grid(
        [
            dmc.GridCol(
                card("Turns over time", body, meaning=f"By {unit}, by the turn's own time."), span={"base": 12, "md": 8}
            ),
            dmc.GridCol(
                dmc.Stack(
                    [
                        card(
                            "By environment",
                            table(["environment", "turns"], rows, right=(1,)),
                            meaning="Turns that count are those of analysis.environments, and those that name none.",
                        ),
                        _kept_out(context),
                    ],
                    gap="md",
                ),
                span={"base": 12, "md": 4},
            ),
        ]
    )


def _kept_out(context: PageContext) -> Any:
    """Each rule with its turns: one that keeps out nothing may be misspelt."""
    counts = {one.rule: one.turns for one in context.store.kept_out.by_rule()}
    rules = list(dict.fromkeys([*map(str, context.settings.analysis.keep_out), *counts]))
    body: Any = (
        table(["rule", "turns"], [[clean(rule)[:200], f"{counts.get(rule, 0):,}"] for rule in rules], right=(1,))
        if rules
        else dmc.Text("No rule: analysis.keep_out is empty.", size="sm", c="dimmed")
    )
    return card(
        "Kept out by rule",
        body,
        meaning="Turns that analysis.keep_out leaves out of topics, coverage, gaps and alerts, as of the last analysis. They "
        "stay stored.",
    )


def _rest(context: PageContext) -> Any:
    left = dmc.Stack([_partitions(context), _eval_sets(context)], gap="md")
    right = dmc.Stack([_parts(context), _jobs(context), *_naming(context)], gap="md")
    return dmc.SimpleGrid([left, right], cols={"base": 1, "md": 2})


def _partitions(context: PageContext) -> Any:
    partitions = context.store.partitions.read()
    lost = sum(row.lost or 0 for row in partitions)
    rows = [
        [
            f"{row.source.removeprefix('kafka:')} / {row.partition}",
            f"{row.position:,}",
            f"{row.end_position:,}",
            f"{row.lag:,}",
            "–" if row.message_at is None else f"{row.message_at:%-d %b %H:%M:%S}",
        ]
        for row in partitions
    ]
    body: Any = (
        table(["partition", "position", "end", "behind", "last message"], rows, right=(1, 2, 3))
        if rows
        else dmc.Text("No stream is read. offmap serve --kafka reads one.", size="sm", c="dimmed")
    )
    if lost:
        gone = f"{counted(lost, 'message')} had left the log before they were read: its retention is too short."
        body = dmc.Stack([body, dmc.Text(gone, size="sm", c="orange", className="lost")], gap="xs")
    return card("Kafka", body, meaning="Position is the next message to read. It moves in the transaction of its rows.")


def _parts(context: PageContext) -> Any:
    parts = context.service.health().parts
    body: Any = (
        table(["part", "state", "since", ""], [_part(part) for part in parts])
        if parts
        else dmc.Text("This app runs without a service: nothing runs in the background.", size="sm", c="dimmed")
    )
    return card("Service", body, meaning="Each part fails and recovers on its own.")


def _part(part: PartHealth) -> list[Any]:
    again = f" (started again {part.restarts} times)" if part.restarts else ""
    return [
        part.name,
        dmc.Badge(part.state, color=_COLOURS[part.state], size="sm", variant="light"),
        f"{part.since:%H:%M:%S}",
        clean(part.detail) + again,
    ]


def _jobs(context: PageContext) -> Any:
    rows: list[list[Any]] = []
    for one in context.store.schedule.read():
        begun = f"since {one.started_at:%H:%M:%S}" if one.started_at else ""
        due = begun if one.state == "running" else f"due {one.due_at:%H:%M:%S}"
        rows.append([one.job, one.state, due, clean(one.error or "")[:160]])
    for job in context.store.jobs.read(most=_JOBS):
        rows.append(
            [job.kind.replace("_", " "), job.state, f"{job.started_at:%-d %b %H:%M}", clean(job.error or "")[:160]]
        )
    body: Any = (
        table(["job", "state", "", "error"], rows) if rows else dmc.Text("No job has run.", size="sm", c="dimmed")
    )
    return card(
        "Jobs", body, meaning="What the schedule runs, and what pages asked for. A job that fails is tried again."
    )


def _eval_sets(context: PageContext) -> Any:
    rows = [
        [clean(one.name), one.version[:8], f"{one.items:,}", f"{one.labels:,}", f"{one.created_at:%-d %b %Y}"]
        for one in reversed(context.store.eval_sets.summaries())
    ][:10]
    body: Any = (
        table(["name", "version", "items", "labels", "imported"], rows, right=(2, 3))
        if rows
        else dmc.Text("No eval set yet: offmap evalset import FILE --name NAME", size="sm", c="dimmed")
    )
    return card("Eval sets", body, meaning="Named, versioned lists of eval items: what coverage is measured against.")


def _naming(context: PageContext) -> list[Any]:
    """What a model was asked to name, and what it cost; nothing where none ever was."""
    totals, settings = context.store.topic_names.totals(), context.settings.naming
    if totals.last is None:
        return []
    last = totals.last
    cost = "–" if totals.cost_usd is None else f"${totals.cost_usd:,.4f}"
    rows = [
        ["model", clean(last.model)],
        ["last asked", f"{last.asked_at:%-d %b %H:%M}"],
        ["named, not taken", f"{totals.named:,}, {totals.refused:,}"],
        ["requests", f"{totals.requests:,}"],
        ["tokens in, out", f"{totals.input_tokens:,}, {totals.output_tokens:,}"],
        ["cost", cost],
    ]
    body: list[Any] = [table(["", ""], rows)]
    if not settings.url:
        body.append(dmc.Text("Off now: naming.url is empty.", size="xs", c="dimmed"))
    elif last.error:
        body.append(dmc.Text(clean(last.error), size="xs", c="orange", className="naming-error"))
    return [
        card(
            "Topic names",
            dmc.Stack(body, gap="xs"),
            meaning="What the model of naming.url was asked in all, as its endpoint counts. Where it gives no name that can be "
            "taken, the label that was found here stands.",
        )
    ]


def _ago(seconds: float) -> str:
    """
    >>> _ago(4), _ago(130), _ago(7300), _ago(200_000)
    ('4 s ago', '2 min ago', '2 h ago', '2 days ago')
    """
    if seconds < 90:
        return f"{max(0, seconds):.0f} s ago"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min ago"
    return f"{seconds / 3600:.0f} h ago" if seconds < 129_600 else f"{seconds / 86_400:.0f} days ago"
