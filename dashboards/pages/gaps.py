"""Gaps: what does the eval set miss, and what do I do about it?"""

from __future__ import annotations

from functools import partial
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Input, Output, State, dcc, html, no_update

from dashboards.components.cards import card, chart, empty, explained, link, not_read_line, page, table, verdict
from dashboards.components.grid import column, grid, share_column
from dashboards.components.job import follow_job, job_parts, request_job, said, working
from dashboards.components.timeline import timeline
from dashboards.context import PageContext
from dashboards.figures.coverage import interval_bar
from dashboards.figures.topics import growth_curve
from dashboards.pages import gap_life
from dashboards.pages.gap_parts import label_in_list, of_part, share_of, times_words, where_from, why_so_high
from dashboards.pages.talks import talks_card
from dashboards.queries.run import LEVELS, Shown, read_run
from dashboards.queries.topics import topic_over_time
from dashboards.state import Selection
from monitor.coverage.life import Life, read_lives
from monitor.finetune.formats import FORMATS
from monitor.published import compared_items, shown_text
from monitor.store.atlases import TopicRow
from monitor.store.jobs import Job
from monitor.store.reports import GapRow
from monitor.wording import clean, counted, coverage_words, percent, short_day

__all__ = ["PATH", "TITLE", "layout", "register"]

PATH, TITLE, ICON = "/gaps", "Gaps", "◍"

#: A gap is said to grow from so many times on, where its interval does not hold 1.
_GROWING = 1.3

_COLUMNS = [
    column(
        "rank",
        "#",
        "The worst first: priority is traffic times what is surely uncovered, times risk, times growth. Marked !: it leaves "
        "enough uncovered to alert on.",
        width=72,
        number=True,
        shown="rank_text",
    ),
    column("label", "gap", "The words that set the topic apart.", width=216),
    column(
        "priority",
        "priority",
        "Traffic × surely uncovered × risk × growth, in hundredths: a whole topic of 1% that is surely missed has 1.",
        number=True,
        shown="priority_text",
        width=88,
    ),
    column("turns", "turns", "Turns of this topic in the analysis.", number=True, width=80),
    share_column() | {"width": 148},
    column(
        "coverage",
        "covered",
        "The share of the topic's turns that the eval set tests, with its 90% interval in points.",
        number=True,
        shown="coverage_text",
        width=136,
    ),
    column(
        "stands",
        "state, owner",
        "What became of it so far, and whose it is; see its page. Held: it seems covered, and nothing was done for it.",
        width=136,
    ),
    column(
        "growth",
        "growth",
        "Share of the traffic in the last week over that in the four weeks before.",
        number=True,
        shown="growth_text",
        width=84,
    ),
    column("first", "since", "When the topic appeared.", shown="first_text", width=84),
    column("users", "users", "People who asked.", number=True, width=76),
    column(
        "risk",
        "risk",
        "How often replies fail here, against everywhere: 1 is average.",
        number=True,
        shown="risk_text",
        width=72,
    ),
]


def layout(context: PageContext, selection: Selection) -> Any:
    question = "What does the eval set miss, and what do I do about it?"
    shown = read_run(context.store, least=context.settings.atlas.min_users)
    if shown is None:
        return page(TITLE, question, _no_run(context))
    gap = next((one for one in shown.gaps if one.gap_id == selection.query.get("gap")), None)
    lives = read_lives(context.store, now=context.clock())
    if gap is not None:
        return _gap_page(context, selection, shown, gap, lives.of(gap.gap_id))
    asked = selection.query.get("gap", "")
    if lives.of(asked).closed_at is not None:
        return gap_life.closed_page(context, selection, shown, lives.of(asked))
    content: list[Any] = [verdict(shown.report.verdict, bad=shown.report.value is None)]
    content += not_read_line(context.store.atlases.foreign(shown.run.atlas_id))
    if asked:
        content.append(
            dmc.Alert(
                f"There is no gap {clean(asked)[:40]} in the latest analysis: it may have closed, or been "
                "split. All gaps of today are below.",
                color="orange",
            )
        )
    rows = [_row(shown, one, lives.of(one.gap_id)) for one in shown.gaps if not lives.of(one.gap_id).hidden]
    if rows:
        content.append(
            card(
                f"{counted(len(rows), 'gap')}",
                grid("gaps-grid", _COLUMNS, rows),
                meaning="Topics of your traffic that the eval set does not cover. Press a row to open it.",
                right=dmc.Text(f"of the analysis {shown.days}", size="xs", c="dimmed"),
            )
        )
    else:
        content.append(_no_gaps(shown))
    return page(TITLE, question, *content, *gap_life.folded(context, selection, shown, lives))


def register(app: dash.Dash, context: PageContext) -> None:
    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("gaps-grid", "selectedRows"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def open_gap(rows: list[dict[str, Any]] | None, search: str) -> Any:
        if not rows:
            return no_update
        return context.href(PATH, Selection.parse(search), gap=str(rows[0]["id"]))

    @app.callback(
        Output("export-job", "data"),
        Output("export-state", "children", allow_duplicate=True),
        Input("export-button", "n_clicks"),
        State("export-format", "value"),
        State("export-gap", "data"),
        prevent_initial_call=True,
    )
    def export(clicks: int | None, format: str, gap: str) -> Any:
        if not clicks:
            return no_update, no_update
        return request_job(context, "export", {"gap": gap, "format": format}, "The export is asked for …")

    follow_job(app, context, "export", partial(_job_state, context))
    gap_life.register(app, context)


def _no_run(context: PageContext) -> Any:
    if not context.store.turns.count():
        return empty(
            "No turns yet", "Gaps are found in your traffic: read a log first.", "offmap ingest YOUR-LOG.jsonl"
        )
    return empty(
        "Nothing is analysed yet",
        "offmap serve does it on its schedule; it can be done now too.",
        "offmap analyse --eval-set NAME",
    )


def _no_gaps(shown: Shown) -> Any:
    if shown.gaps:
        return empty("No other gap is worth listing", "Somebody decided that the gaps below will not be fixed yet.")
    if not shown.run.eval_sets:
        return empty(
            "No eval set was compared",
            "Gaps are what users ask and no eval item tests, so an eval set is needed.",
            "offmap evalset import YOUR-EVALS.jsonl --name evals",
        )
    if shown.report.value is None:
        return empty("The eval set is too small to say what it misses", shown.report.verdict)
    return empty("No gap is worth listing", "Everything that many users ask is covered, as far as can be told.")


def _row(shown: Shown, gap: GapRow, life: Life) -> dict[str, Any]:
    topic = shown.topic(gap.topic_id)
    known = gap.growth == gap.growth
    return {
        "id": gap.gap_id,
        "rank": gap.rank,
        "rank_text": f"! {gap.rank}" if gap.alert else f"{gap.rank}",
        "label": label_in_list(gap, topic),
        "priority": gap.priority,
        "priority_text": f"{100 * gap.priority:.2f}",
        "turns": gap.turns,
        "share": gap.share,
        "share_text": share_of(gap, topic),
        "coverage": gap.coverage,
        "coverage_text": f"{gap.coverage:.0%} ({100 * gap.low:.0f}–{100 * gap.high:.0f})",
        "stands": life.words + (f" · {clean(life.owner)}" if life.owner else ""),
        "growth": gap.growth if known else None,
        "growth_text": f"×{gap.growth:.1f}" if known else "–",
        "first": gap.first_seen.isoformat(),
        "first_text": short_day(gap.first_seen),
        "users": topic.users if topic and gap.attribute is None else None,
        "risk": gap.risk,
        "risk_text": f"{gap.risk:.1f}",
    }


def _gap_page(context: PageContext, selection: Selection, shown: Shown, gap: GapRow, life: Life) -> Any:
    topic = shown.topic(gap.topic_id)
    back = link("← all gaps", context.href(PATH, selection))
    selection = of_part(selection, gap)
    if topic is None:
        return page(clean(gap.label), "", back, empty("The topic of this gap is gone", "Run the analysis again."))
    return page(
        clean(gap.label),
        f"Gap {gap.rank} of {len(shown.gaps)}, of the analysis {shown.days}.",
        back,
        verdict(_words(gap, topic), bad=gap.alert),
        *where_from(gap),
        dmc.Grid(
            [
                dmc.GridCol(
                    dmc.Stack(
                        [_growth(context, selection, shown, topic), talks_card(context, selection, shown, topic)],
                        gap="md",
                    ),
                    span={"base": 12, "md": 7},
                    order={"base": 2, "md": 1},
                ),
                dmc.GridCol(
                    dmc.Stack(
                        [
                            gap_life.life_card(context, shown, life),
                            _numbers(context, gap, topic, shown),
                            _export(context, gap),
                            _nearest(context, shown, gap),
                        ],
                        gap="md",
                    ),
                    span={"base": 12, "md": 5},
                    order={"base": 1, "md": 2},
                ),
            ]
        ),
    )


def _words(gap: GapRow, topic: TopicRow) -> str:
    surely = gap.growth >= _GROWING and (gap.growth_low is None or gap.growth_low > 1)
    growing = f", growing {times_words(gap.growth, gap.growth_low, gap.growth_high)}" if surely else ""
    by = f" by {counted(topic.users, 'user')}" if gap.attribute is None else ""
    return (
        f"{gap.coverage:.0%} of {gap.turns:,} turns{by} are covered "
        f"({gap.low:.0%} to {gap.high:.0%}): "
        f"{share_of(gap, topic)} of the traffic, "
        f"since {short_day(gap.first_seen)}{growing}."
    )


def _numbers(context: PageContext, gap: GapRow, topic: TopicRow, shown: Shown) -> Any:
    signals = context.store.statistics.signals_of(
        shown.run.report_id, shown.run.atlas_id, LEVELS[topic.level], topic.topic_id
    )
    said = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in list(signals.items())[:4]) or "none"
    of_whole = "" if gap.attribute is None else " in the whole topic"
    facts = [
        ["priority", f"{gap.priority:.4f}", why_so_high(gap)],
        ["novelty", f"{gap.novelty:.2f}", "How far its turns are from the nearest eval item; 0 is the same."],
        [
            "risk",
            times_words(gap.risk, gap.risk_low, gap.risk_high),
            "How often replies fail here against everywhere, from 0.67 to 1.5. In brackets: where it lies nine times of ten.",
        ],
        [
            "growth",
            times_words(gap.growth, gap.growth_low, gap.growth_high),
            "Its share of the traffic in the last week over that in the four weeks before. In brackets: where it lies nine "
            "times of ten, had other conversations come.",
        ],
        ["conversations", f"{gap.conversations:,}", "Conversations that ask this."],
    ]
    rows = [[explained(html.Span(name, className="explained"), meaning), value] for name, value, meaning in facts]
    return card(
        "Coverage",
        chart(interval_bar(gap.coverage, gap.low, gap.high)),
        dmc.Text(coverage_words(gap.low, gap.high), size="sm"),
        table(["", ""], rows, right=(1,)),
        dmc.Text(why_so_high(gap), size="xs", c="dimmed"),
        dmc.Text(f"Signals of how replies landed{of_whole}: {said}.", size="xs", c="dimmed"),
        meaning="The share of this topic's turns that the eval set tests. It lies in the band nine times of ten.",
    )


def _export(context: PageContext, gap: GapRow) -> Any:
    past = [
        job for job in context.store.jobs.read("finished", kind="export") if job.parameters.get("gap") == gap.gap_id
    ][:5]
    rows = [
        [
            f"{job.started_at:%-d %b %H:%M}",
            (job.result or {}).get("examples", "–"),
            dcc.Link(
                "download",
                href=context.href(f"/downloads/{job.job_id}"),
                target="_blank",
                refresh=True,
                className="link",
            ),
        ]
        for job in past
    ]
    return card(
        "Export a fine-tuning set",
        dmc.Text(
            "Diverse, deduplicated, redacted, and nothing that an eval item asks. The manifest says how it was chosen.",
            size="sm",
            c="dimmed",
        ),
        dmc.Group(
            [
                dmc.Select(
                    id="export-format",
                    data=list(FORMATS),
                    value=next(iter(FORMATS)),
                    size="sm",
                    w=160,
                    **{"aria-label": "format"},
                ),
                dmc.Button("Export", id="export-button", size="sm"),
            ]
        ),
        dcc.Store(id="export-gap", data=gap.gap_id),
        *job_parts("export"),
        *([table(["made", "examples", ""], rows, right=(1,))] if rows else []),
        meaning="Chat JSONL that a fine-tuning API takes. Replies that users turned down stay out.",
    )


def _job_state(context: PageContext, job: Job) -> Any:
    if job.state == "failed":
        return said(f"The export failed: {job.error or ''}", bad=True)
    if job.state != "finished":
        return working("The export is being made …" if job.state == "running" else "The export is waiting …")
    count = (job.result or {}).get("examples", 0)
    # A link that leaves the app: the browser saves what comes.
    return html.A(
        f"Download {counted(int(count), 'example')}",
        href=context.href(f"/downloads/{job.job_id}"),
        id="export-download",
        className="link",
        download="",
    )


def _growth(context: PageContext, selection: Selection, shown: Shown, topic: TopicRow) -> Any:
    points, shares, unit = topic_over_time(context.store, shown, topic, selection.filter)
    if not points:
        return card("Over time", dmc.Text("No turns in this selection.", size="sm", c="dimmed"))
    return card(
        "Over time",
        timeline(context, growth_curve(points, shares), [start for start, _ in points]),
        meaning=f"Turns of this topic by {unit}, and their share of the turns with a subject.",
    )


def _nearest(context: PageContext, shown: Shown, gap: GapRow) -> Any:
    items = compared_items(context.store, shown.report.eval_set_ids)
    rows = [
        [item, clean(shown_text(items[item].prompt, context.settings.export.redact))[:300]]
        for item in gap.nearest_items
        if item in items
    ]
    body: Any = table(["item", "prompt"], rows) if rows else dmc.Text("None.", size="sm", c="dimmed")
    return card(
        "Nearest eval items",
        body,
        dmc.Text(
            f"Compared with {', '.join(shown.run.eval_sets)}; {percent(shown.report.value)} of all traffic is covered.",
            size="xs",
            c="dimmed",
        ),
        meaning="What the eval set has that comes closest: near, and still something else.",
    )
