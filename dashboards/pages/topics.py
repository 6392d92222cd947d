"""Topics: what do people talk about?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Input, Output, State, html, no_update

from dashboards.components.cards import card, chart, empty, link, not_read_line, page, table, verdict
from dashboards.components.grid import column, grid, share_column
from dashboards.components.timeline import timeline
from dashboards.context import PageContext
from dashboards.figures.topics import growth_curve, topic_map, topic_treemap
from dashboards.pages.deciding import decided_note, deciding_card
from dashboards.pages.lineage import lineage_card
from dashboards.pages.movement import moving_card, moving_line, over_time_card
from dashboards.pages.talks import talks_card
from dashboards.pages.words import topic_words_card
from dashboards.queries.run import LEVELS, Shown, read_run
from dashboards.queries.topics import map_points, topic_over_time
from dashboards.state import Selection
from monitor.published import few_users
from monitor.store.atlases import PERSON, TopicRow
from monitor.store.reports import TopicCoverageRow
from monitor.wording import clean, counted, coverage_words, cut, percent, range_of, share, share_range, short_day

__all__ = ["PATH", "TITLE", "layout", "register"]

PATH, TITLE, ICON = "/topics", "Topics", "⬡"

_LINES, _LANGUAGES = 8, 6
#: Of a language with a smaller share of the turns it is only said that there is one.
_SPOKEN = 0.005
_COLOURS = [
    {"value": "topic", "label": "by topic"},
    {"value": "covered", "label": "by coverage"},
    {"value": "novelty", "label": "by novelty"},
]
_COLUMNS = [
    column("label", "topic", "The words that set the topic apart.", width=280),
    column("level", "level", "Broad topics hold middle ones, and those hold fine ones.", width=80),
    column("turns", "turns", "Turns of this topic in the analysis.", number=True, width=84),
    share_column(),
    column(
        "coverage",
        "covered",
        "The share of its turns that the eval set tests.",
        number=True,
        shown="coverage_text",
        width=120,
    ),
    column("users", "users", "People who asked.", number=True, width=80),
    column("first", "since", "When the topic appeared.", shown="first_text", width=90),
]


def layout(context: PageContext, selection: Selection) -> Any:
    question = "What do people talk about?"
    shown = read_run(context.store, least=context.settings.atlas.min_users)
    if shown is None:
        return page(
            TITLE, question, empty("Nothing is analysed yet", "Topics come with the first analysis.", "offmap analyse")
        )
    topic = shown.topic(selection.query.get("topic"))
    if topic is not None:
        return _topic_page(context, selection, shown, topic)
    content: list[Any] = []
    if selection.query.get("topic"):
        content.append(
            dmc.Alert(
                "There is no such topic in the latest analysis: it may have been merged or split, or have too few users.",
                color="orange",
            )
        )
    named = {one.topic_id: one for one in shown.topics}
    middle = [one for one in shown.topics if one.level == 1]
    few = few_users(shown.few_turns, context.settings.atlas.min_users)
    if not middle:
        return page(
            TITLE,
            question,
            *content,
            empty("No topics", few or "Nothing in this traffic repeats itself enough to be a topic."),
        )
    colour = _colour(selection)
    points = map_points(context.store, context.settings, shown, selection.filter)
    content += [
        verdict(
            f"{counted(len(middle), 'topic')}; the largest is about {clean(middle[0].label)}, "
            f"{_share_of(middle[0])} of the traffic."
        ),
        *not_read_line(context.store.atlases.foreign(shown.run.atlas_id)),
        *_languages(context),
        card(
            "Map",
            dmc.SegmentedControl(id="map-colour", data=_COLOURS, value=colour, size="xs"),
            chart(topic_map(points, named, colour), id="topic-map", link=True)
            if len(points)
            else dmc.Text("No turns of this selection are on the map.", size="sm", c="dimmed"),
            meaning="Each dot is a turn; near ones are alike, and each island is a topic. Press a dot to open its topic.",
            right=dmc.Text(f"{len(points):,} turns, of the analysis {shown.days}", size="xs", c="dimmed"),
        ),
        dmc.SimpleGrid(
            [
                card(
                    "Topics in topics",
                    chart(topic_treemap(list(named.values()), shown.coverage)),
                    meaning="Area is turns; orange is not covered by the eval set, blue is. Of the analysis as a whole.",
                ),
                over_time_card(context, selection, shown, middle[:_LINES]),
            ],
            cols={"base": 1, "md": 2},
        ),
        moving_card(context, selection, shown),
        card(
            "All topics",
            grid(
                "topics-grid",
                _COLUMNS,
                [_row(shown, one) for one in _selected(context, selection, shown)],
                height=420,
            ),
            *([dmc.Text(few, size="xs", c="dimmed")] if few else []),
            *_gone(context, shown),
            meaning="Press a row to open it. With a filter, turns and share are those of the selection."
            if selection.filters
            else "Press a row to open it.",
        ),
    ]
    return page(TITLE, question, *content)


def _languages(context: PageContext) -> list[Any]:
    """What people write in, where it is more than one language."""
    counts = context.store.languages.counts()
    if len(counts) < 2:
        return []
    total = sum(counts.values())
    spoken = [(code, turns) for code, turns in counts.items() if turns >= _SPOKEN * total][:_LANGUAGES]
    named = [f"{clean(code)} {share(turns / total)}" for code, turns in spoken]
    more = f" and {counted(len(counts) - len(named), 'other')}" if len(counts) > len(named) else ""
    return [dmc.Text(f"Languages: {', '.join(named)}{more}.", size="sm", c="dimmed", className="languages")]


def _selected(context: PageContext, selection: Selection, shown: Shown) -> list[TopicRow]:
    """The topics; where turns are filtered those that have some, with their turns and their share of the selection."""
    if not selection.filters:
        return list(shown.topics)
    sizes, total = context.store.statistics.topic_sizes(shown.run.atlas_id, selection.filter)
    return [
        replace(one, turns=sizes[one.topic_id], share=sizes[one.topic_id] / total, share_low=None, share_high=None)
        for one in shown.topics
        if one.topic_id in sizes
    ]


def register(app: dash.Dash, context: PageContext) -> None:
    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("topics-grid", "selectedRows"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def open_row(rows: list[dict[str, Any]] | None, search: str) -> Any:
        return context.href(PATH, Selection.parse(search), topic=str(rows[0]["id"])) if rows else no_update

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("topic-map", "clickData"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def open_dot(click: dict[str, Any] | None, search: str) -> Any:
        data = click["points"][0].get("customdata") if click and click.get("points") else None
        return context.href(PATH, Selection.parse(search), topic=str(data[0])) if data and data[0] else no_update

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("map-colour", "value"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def paint(colour: str, search: str) -> Any:
        selection = Selection.parse(search)
        if _colour(selection) == colour:
            return no_update
        return context.href(PATH, selection, colour=colour)


def _colour(selection: Selection) -> str:
    """What the map is coloured by; an unknown word is the usual one."""
    asked = selection.query.get("colour", "topic")
    return asked if asked in {one["value"] for one in _COLOURS} else "topic"


def _row(shown: Shown, topic: TopicRow) -> dict[str, Any]:
    known = shown.coverage.get(topic.topic_id)
    return {
        "id": topic.topic_id,
        "label": clean(topic.label),
        "level": LEVELS[topic.level],
        "turns": topic.turns,
        "share": topic.share,
        "share_text": _share_of(topic),
        "coverage": known.coverage if known else None,
        "coverage_text": range_of(known.coverage, known.low, known.high) if known else "–",
        "users": topic.users,
        "first": topic.first_seen.isoformat(),
        "first_text": short_day(topic.first_seen),
    }


def _covered(known: TopicCoverageRow) -> str:
    return f"{range_of(known.coverage, known.low, known.high)}. {coverage_words(known.low, known.high)}".removesuffix(
        ". "
    )


def _topic_page(context: PageContext, selection: Selection, shown: Shown, topic: TopicRow) -> Any:
    known = shown.coverage.get(topic.topic_id)
    gap = shown.gap_of(topic.topic_id)
    points, shares, unit = topic_over_time(context.store, shown, topic, selection.filter)
    parts = [one for one in shown.topics if one.parent == topic.topic_id]
    facts = [
        *([["found as", clean(topic.found_label)]] if topic.found_label and topic.named_by == PERSON else []),
        ["keywords", ", ".join(clean(word) for word in topic.keywords)],
        ["level", LEVELS[topic.level]],
        ["covered", _covered(known) if known else "–"],
        ["conversations, users", f"{topic.conversations:,}, {topic.users:,}"],
        *([["part of", _link_to(context, selection, shown, topic.parent)]] if topic.parent else []),
        *(
            [
                [
                    "parts",
                    html.Span(
                        [
                            part
                            for one in parts[:12]
                            for part in (_link_to(context, selection, shown, one.topic_id), html.Br())
                        ]
                    ),
                ]
            ]
            if parts
            else []
        ),
    ]
    return page(
        clean(topic.label),
        f"A {LEVELS[topic.level]} topic, of the analysis {shown.days}.",
        *_called(topic),
        *decided_note(context, selection),
        dmc.Group(
            [
                link("← all topics", context.href(PATH, selection)),
                *([link("its gap →", context.href("/gaps", selection, gap=gap.gap_id))] if gap else []),
            ]
        ),
        verdict(
            f"{counted(topic.turns, 'turn')}, {_share_of(topic)} of the traffic, since {short_day(topic.first_seen)}; "
            f"{percent(known.coverage if known else None)} covered."
        ),
        *moving_line(context, shown, topic),
        dmc.SimpleGrid(
            [
                dmc.Stack(
                    [card("About it", table(["", ""], facts)), *lineage_card(context, selection, shown, topic)],
                    gap="md",
                ),
                dmc.Stack(
                    [
                        card(
                            "Over time",
                            timeline(context, growth_curve(points, shares), [start for start, _ in points]),
                            meaning=f"Turns by {unit}, and their share of the traffic.",
                        )
                        if points
                        else card("Over time", dmc.Text("No turns in this selection.", size="sm", c="dimmed")),
                        deciding_card(context, shown, topic),
                    ],
                    gap="md",
                ),
            ],
            cols={"base": 1, "md": 2},
        ),
        topic_words_card(topic.topic_id),
        talks_card(context, selection, shown, topic),
    )


def _called(topic: TopicRow) -> list[Any]:
    """Under a name that a model gave: whose it is, and the label that was found."""
    if not topic.named_by_model:
        return []
    said = f"Called by {cut(topic.named_by or '', 60)}; by its words: {clean(topic.local_label)}."
    return [dmc.Text(said, size="xs", c="dimmed", className="called-by")]


def _gone(context: PageContext, shown: Shown) -> list[Any]:
    """Names of topics that the latest analysis did not find again, or that were merged into others."""
    names = context.store.curation.names()
    living = {one.topic_id for one in context.store.atlases.topics(shown.run.atlas_id)} if names else set()
    said = ", ".join(f"“{clean(name)}”" for topic_id, name in names.items() if topic_id not in living)
    return [dmc.Text(f"Named before, and no topic any more: {said}.", size="xs", c="dimmed")] if said else []


def _share_of(topic: TopicRow) -> str:
    return share_range(topic.share, topic.share_low, topic.share_high)


def _link_to(context: PageContext, selection: Selection, shown: Shown, topic_id: str | None) -> Any:
    found = shown.topic(topic_id)
    return link(clean(found.label), context.href(PATH, selection, topic=found.topic_id)) if found else "–"
