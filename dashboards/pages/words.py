"""Words: what do people say more than before, and who says what somebody watches for?"""

from __future__ import annotations

from typing import Any

import dash
import dash_mantine_components as dmc
from dash import Input, Output, dcc, html, no_update

from dashboards.components.cards import card, chart, empty, page, table, verdict, with_interval
from dashboards.context import PageContext
from dashboards.figures.ratios import Ratio, ratio_dots
from dashboards.pages.watch_lists import watch_list_cards
from dashboards.queries.run import read_run
from dashboards.queries.watch_lists import watch_windows
from dashboards.queries.words import Said, Words
from dashboards.state import Selection
from monitor.atlas.keywords import Keyword
from monitor.errors import OffmapError
from monitor.wording import counted, cut, days_of, times

__all__ = ["PATH", "TITLE", "layout", "register", "topic_words_card"]

PATH, TITLE, ICON = "/words", "Words", "¶"

_WORDS, _WORDS_OF_TOPIC = 12, 10


def layout(context: PageContext, selection: Selection) -> Any:
    question = "What do people say more than before, and who says what you watch for?"
    windows = watch_windows(context.store, context.settings, context.clock)
    if windows is None:
        return page(
            TITLE,
            question,
            empty("No turns yet", "Words come with the first log or stream.", "offmap ingest YOUR-LOG.jsonl"),
        )
    lists = watch_list_cards(context, selection, *windows)
    return page(
        TITLE,
        question,
        *([*lists, _rising(context)] if context.settings.analysis.watch_lists else [_rising(context), *lists]),
    )


def register(app: dash.Dash, context: PageContext) -> None:
    words = Words(context.store, context.settings, context.clock)

    @app.callback(Output("rising-words", "children"), Input("rising-asked", "data"))
    def rising(asked: bool | None) -> Any:
        shown = read_run(context.store)
        if not asked or shown is None:
            return no_update
        try:
            return _words_that_rise(words.rising(shown.run, _WORDS), context.settings.min_users_of_texts)
        except OffmapError as error:
            return dmc.Text(str(error), size="sm", c="dimmed")

    @app.callback(Output("topic-words", "children"), Input("topic-words-of", "data"))
    def of_topic(topic: str | None) -> Any:
        shown = read_run(context.store, least=context.settings.atlas.min_users)
        if shown is None or shown.topic(topic) is None:
            return no_update
        try:
            return _words_of_topic(
                words.of_topic(shown.run, str(topic), _WORDS_OF_TOPIC), context.settings.min_users_of_texts
            )
        except OffmapError as error:
            return dmc.Text(str(error), size="sm", c="dimmed")


def topic_words_card(topic_id: str) -> Any:
    """The words that set a topic apart; they come when the page stands."""
    return card(
        "Words",
        dcc.Store(id="topic-words-of", data=topic_id),
        html.Div(_coming(), id="topic-words"),
        meaning="Words that conversations of this topic hold more often than others do: how many hold them, here and "
        "elsewhere, and how many times as high the odds are, with 90% intervals.",
    )


def _rising(context: PageContext) -> Any:
    analysed = context.store.runs.current() is not None
    return card(
        "Rising words",
        dcc.Store(id="rising-asked", data=analysed),
        html.Div(
            _coming()
            if analysed
            else dmc.Text("Nothing is analysed yet: words come with offmap analyse.", size="sm", c="dimmed"),
            id="rising-words",
        ),
        meaning="Words that more conversations hold in the last days than in those before: how many, and how many times as "
        "high the odds are, with 90% intervals. Coloured ones are told from chance with all words in mind. Of the analysis as "
        "a whole.",
    )


def _coming() -> Any:
    return dmc.Skeleton(height=120, radius="sm")


def _words_that_rise(said: Said, least: int) -> Any:
    assert said.current is not None and said.reference is not None, "rising words are of windows"
    windows = f"{days_of(said.current)}, against {days_of(said.reference)}."
    if not said.words:
        return dmc.Text(f"No word is said more by {least} users. {windows}", size="sm", c="dimmed")
    sure = [one.term for one in said.words if one.sure]
    part = f" Of one conversation in {said.every}." if said.every > 1 else ""
    named = ", ".join(f"“{cut(term, 40)}”" for term in sure[:5])
    return dmc.Stack(
        [
            verdict(
                f"{counted(len(sure), 'word is', 'words are')} said more than before, and not by chance: {named}."
                if sure
                else "No word is said more than before for sure; these come nearest."
            ),
            _drawn(said.words, "now", "before"),
            dmc.Text(windows + part, size="xs", c="dimmed"),
        ],
        gap="xs",
    )


def _words_of_topic(said: Said, least: int) -> Any:
    if not said.words:
        return dmc.Text(f"No word of {least} users sets it apart.", size="sm", c="dimmed")
    parts = [_drawn(said.words, "here", "elsewhere")]
    return dmc.Stack(
        [
            *parts,
            *(
                [dmc.Text(f"Elsewhere: of one conversation in {said.every}.", size="xs", c="dimmed")]
                if said.every > 1
                else []
            ),
        ],
        gap="xs",
    )


def _drawn(words: tuple[Keyword, ...], ours: str, theirs: str) -> Any:
    rows = [
        [cut(one.term, 80), f"{one.count:,}", f"{one.other:,}", with_interval(times(one.odds, one.low, one.high))]
        for one in words
    ]
    return dmc.SimpleGrid(
        [
            chart(ratio_dots([Ratio(one.term, one.odds, one.low, one.high, one.sure) for one in words])),
            table(["word", ours, theirs, "odds, 90%"], rows, right=(1, 2, 3)),
        ],
        cols={"base": 1, "md": 2},
    )
