"""Eval sets: is the eval set itself in order, and does it become better?"""

from __future__ import annotations

from functools import partial
from typing import Any

import dash
import dash_mantine_components as dmc

from dashboards.components.cards import card, chart, empty, link, page, table, verdict, with_interval
from dashboards.components.job import job_button, job_parts, said, working
from dashboards.context import PageContext
from dashboards.figures.evalsets import coverage_by_version
from dashboards.pages.evalset_cards import health_cards
from dashboards.queries.evalsets import (
    Numbered,
    compared_versions,
    coverage_points,
    numbered_versions,
    version_marks,
)
from dashboards.queries.run import Shown, read_run
from dashboards.state import Selection
from monitor.coverage.health import Health, unbalanced
from monitor.coverage.health_words import health_verdict
from monitor.coverage.selftest_words import about_finding, about_sharing, about_smallest, found_by_topic
from monitor.records import short_hash
from monitor.store.eval_health import EvalHealthRow
from monitor.store.jobs import Job
from monitor.wording import clean, counted, number, percent, range_of, short_day

__all__ = ["PATH", "TITLE", "layout", "register"]

PATH, TITLE, ICON = "/evalsets", "Eval sets", "☑"

#: Versions of each eval set, and combinations that were compared, that are listed.
_LISTED = 12


def layout(context: PageContext, selection: Selection) -> Any:
    question = "Is the eval set itself in order, and does it become better?"
    store = context.store
    versions = numbered_versions(store)
    if not versions:
        return page(TITLE, question, _no_set())
    shown = read_run(store, least=context.settings.atlas.min_users)
    if shown is None or not shown.run.eval_sets:
        return page(TITLE, question, _not_compared(versions[0].summary.name), _listed(versions, ()))
    names = shown.run.eval_sets
    row = store.eval_health.find(shown.report.eval_set_ids)
    content: list[Any] = [_newer(versions, shown)]
    if row is None:
        content.append(
            empty(
                "Not examined yet",
                "The eval set is examined with the next analysis.",
                " ".join(["offmap analyse", *(f"--eval-set {clean(name)}" for name in names)]),
            )
        )
    else:
        content.append(verdict(clean(health_verdict(Health.read(row.document)))))
    left, right = [_trend(context, versions, names)], [_selftest(context, shown)]
    if row is not None:
        found = health_cards(context, selection, shown, Health.read(row.document))
        left += found.left
        right += found.right
    content.append(dmc.SimpleGrid([dmc.Stack(left, gap="md"), dmc.Stack(right, gap="md")], cols={"base": 1, "md": 2}))
    content.append(_listed(versions, names))
    return page(TITLE, question, *content)


def register(app: dash.Dash, context: PageContext) -> None:
    shown = partial(_job_state, context)
    job_button(app, context, "selftest", "selftest-start", "selftest", "Hiding the first kinds …", shown)


def _no_set() -> Any:
    return empty(
        "No eval set yet",
        "An eval set is a list of prompts that you test with. offmap says what of your traffic it covers.",
        "offmap evalset import YOUR-EVALS.jsonl --name evals",
    )


def _not_compared(name: str) -> Any:
    return empty(
        "No eval set is compared yet",
        "Its health is told against the traffic: analyse the traffic together with it.",
        f"offmap analyse --eval-set {clean(name)}",
    )


def _newer(versions: list[Numbered], shown: Shown) -> Any:
    """What was imported since the analysis is not in it."""
    newer = [
        clean(one.summary.name)
        for one in versions
        if one.latest and one.summary.name in shown.run.eval_sets and one.summary.created_at > shown.run.published_at
    ]
    if not newer:
        return None
    return dmc.Text(
        f"A newer version of {', '.join(newer)} was imported after the analysis below; the next one takes it.",
        size="sm",
        c="dimmed",
    )


def _trend(context: PageContext, versions: list[Numbered], names: tuple[str, ...]) -> Any:
    points = coverage_points(context.store, names)
    rows = compared_versions(context.store, names)[-_LISTED:]
    body: list[Any] = []
    if len(points) > 1:
        drawn = coverage_by_version(points, version_marks(versions, names), context.store.statistics.releases())
        body.append(chart(drawn))
    else:
        body.append(dmc.Text("The line starts with the second analysis that can say something.", size="sm", c="dimmed"))
    if rows:
        head = ["compared", "items", "different", "labels", "varied as", "covered"]
        cells = [_version_row(one, versions) for one in reversed(rows)]
        body.append(table(head, cells, right=(1, 2, 3, 4, 5), wide=(2, 3)))
        head = ["", "repeated", "to check", "unasked", "spare", "unbalanced"]
        cells = [_trouble_row(one, versions) for one in reversed(rows)]
        body.append(table(head, cells, right=(1, 2, 3, 4, 5), wide=(2, 4)))
    return card(
        "Coverage, version by version",
        *body,
        meaning="The share of your users' turns that the eval set covers, at each analysis, with its 90% interval. "
        "Dotted lines are new versions of the eval set, and releases. Different items are those that no other repeats; as "
        "varied as that many items that have nothing in common. To check: contradictions and doubtful labels; unasked: "
        "items to which no turn comes as near as their own kind; spare: items without which the set would be as near to the "
        "traffic; unbalanced: topics with three times too few or too many items.",
    )


def _version_row(row: EvalHealthRow, versions: list[Numbered]) -> list[Any]:
    return [
        f"{_versions_of(row, versions)}, {short_day(row.made_at)}",
        f"{row.items:,}",
        f"{row.items - row.repeated:,}",
        f"{row.labels:,}",
        number(row.diversity, 0),
        with_interval(range_of(row.value, row.low, row.high)),
    ]


def _trouble_row(row: EvalHealthRow, versions: list[Numbered]) -> list[Any]:
    found = Health.read(row.document)
    return [
        _versions_of(row, versions),
        f"{found.repeated:,}",
        f"{len(found.conflicts) + len(found.doubts):,}",
        "–" if found.unasked is None else f"{found.unasked:,}",
        f"{found.spare:,}",
        f"{len(unbalanced(found.balance)):,}",
    ]


def _versions_of(row: EvalHealthRow, versions: list[Numbered]) -> str:
    found = [
        f"v{one.number}" if len(row.names) == 1 else f"{clean(one.summary.name)} v{one.number}"
        for one in versions
        if short_hash(one.summary.name, one.summary.version) in row.eval_set_ids
    ]
    return " + ".join(found) or "a version that is gone"


def _selftest(context: PageContext, shown: Shown) -> Any:
    past = next(iter(context.store.jobs.read("finished", kind="selftest", most=1)), None)
    return card(
        "Would offmap notice?",
        dmc.Text(
            "The self-test hides what the eval set does cover, kind by kind, and looks whether it is found to be missing.",
            size="sm",
        ),
        *([_result(context, past, shown)] if past is not None else []),
        dmc.Group(
            [dmc.Button("Test again" if past is not None else "Start the self-test", id="selftest-start", size="sm")]
        ),
        *job_parts("selftest"),
        meaning="It is the test of offmap on your own data, where the truth is known for as long as it is hidden. "
        "It takes a minute or so, and changes nothing.",
    )


def _result(context: PageContext, job: Job, shown: Shown) -> Any:
    result = job.result or {}
    hidden = [one for one in result.get("hidden", ()) if isinstance(one, dict)]
    first, *others = _found(result, hidden, context.settings.schedule.refit_minutes)
    lines: list[Any] = [verdict(first), *(dmc.Text(one, size="sm") for one in others if one)]
    missed = [one for one in hidden if not one.get("found")]
    if missed:
        rows = []
        for one in missed[:5]:
            topic = shown.topic(str(one.get("topic")))
            name = clean(topic.label) if topic is not None else "a topic that is not shown"
            href = context.href("/topics", topic=str(one.get("topic")))
            rows.append([link(name, href) if topic is not None else name, percent(one.get("share")), one.get("items")])
        lines.append(table(["not found when hidden", "of the turns", "items"], rows, right=(1, 2)))
    if job.finished_at is not None:
        lines.append(dmc.Text(f"Of {short_day(job.finished_at)}, {job.finished_at:%H:%M} UTC.", size="xs", c="dimmed"))
    return dmc.Stack(lines, gap="xs")


def _found(result: Any, hidden: list[dict[str, Any]], refit_minutes: float) -> list[str]:
    if "new_share" not in result:  # of a version that counted otherwise
        return ["It counted only kinds with a topic of their own then: test again."]
    found, tested = int(result.get("found", 0)), int(result.get("tested", 0))
    labelled = bool(result.get("labelled"))
    said = [about_finding(found, tested, labelled)]
    if tested:
        kinds = ((bool(one.get("alone")), bool(one.get("found"))) for one in hidden)
        said.append(about_sharing(*found_by_topic(kinds)))
    if tested and labelled:
        share, hours = result.get("smallest_share"), result.get("hours")
        said.append(about_smallest(share, hours, float(result["new_share"]), refit_minutes))
    return said


def _job_state(context: PageContext, job: Job) -> Any:
    if job.state == "failed":
        return said(f"It failed: {job.error or ''}", bad=True)
    if job.state != "finished":
        return working("Hiding kind after kind …" if job.state == "running" else "The self-test is waiting …")
    return link("It is done: show it", context.href(PATH, selftest=job.job_id))


def _listed(versions: list[Numbered], compared: tuple[str, ...]) -> Any:
    rows = [
        [
            clean(one.summary.name),
            f"v{one.number}" + (", compared" if one.latest and one.summary.name in compared else ""),
            one.summary.version,
            short_day(one.summary.created_at),
            f"{one.summary.items:,}",
            f"{one.summary.labels:,}",
        ]
        for one in versions[: 4 * _LISTED]
    ]
    return card(
        counted(len({one.summary.name for one in versions}), "eval set"),
        table(["name", "version", "hash", "imported", "items", "labels"], rows, right=(4, 5), wide=(2, 5)),
        meaning="Every version of every eval set. The latest version of a name is the one that is compared.",
    )
