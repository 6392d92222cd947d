"""The app: shell, global bar, the router, and the few routes that are no pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from types import ModuleType
from typing import Any

import dash
import dash_mantine_components as dmc
import flask
import orjson
from dash import ClientsideFunction, Input, Output, State, dcc, html, no_update

from dashboards.components.cards import empty, page
from dashboards.context import PageContext
from dashboards.pages import data, deciding, drift, evalsets, gaps, letters, overview, talks, topics, why, words
from dashboards.service import Alone, Service
from dashboards.state import Selection
from monitor.clock import Clock, utc_now
from monitor.errors import OffmapError
from monitor.settings import Settings
from monitor.store.statistics import FILTERS
from monitor.store.store import Store

__all__ = ["make_app"]

#: The text format that every Prometheus reads.
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"

_PAGES: tuple[ModuleType, ...] = (overview, gaps, topics, words, drift, evalsets, data)
#: Reached from other pages.
_UNLISTED: tuple[ModuleType, ...] = (why,)
_NAMES = {"model": "Model", "prompt_version": "Prompt", "language": "Language", "tenant": "Tenant"}


def make_app(
    store: Store,
    settings: Settings,
    *,
    service: Service | None = None,
    clock: Clock = utc_now,
    prefix: str = "/",
) -> dash.Dash:
    """The Dash app over a store. `prefix` is the path under which people reach it, with slashes around it."""
    app = dash.Dash(
        "dashboards",
        title="offmap",
        update_title="",
        url_base_pathname=prefix,
        assets_folder="assets",
        suppress_callback_exceptions=True,
        serve_locally=True,
        compress=False,
    )
    context = PageContext(store, settings, service or Alone(clock()), clock, prefix)
    app.layout = lambda: _shell(context)
    _register(app, context)
    for one in (*_PAGES, *_UNLISTED, talks, letters, deciding):
        if hasattr(one, "register"):
            one.register(app, context)
    _routes(app.server, context)
    return app


def _shell(context: PageContext) -> Any:
    links = [
        dmc.NavLink(
            label=one.TITLE,
            href=context.href(one.PATH),
            leftSection=html.Span(one.ICON, className="icon"),
            id={"nav": one.PATH},
            active="exact",
        )
        for one in _PAGES
    ]
    header = dmc.Group(
        [
            dmc.Group(
                [
                    dmc.Burger(id="burger", size="sm", hiddenFrom="sm", opened=False),
                    dmc.Text("offmap", className="brand"),
                ],
                style={"flexShrink": 0},
            ),
            _bar(context),
            dmc.ActionIcon("◐", id="scheme", variant="default", size="md", **{"aria-label": "light or dark"}),
        ],
        justify="space-between",
        h="100%",
        px="md",
        wrap="nowrap",
    )
    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="scheme-kept", storage_type="local"),
            dmc.AppShell(
                [
                    dmc.AppShellHeader(header),
                    dmc.AppShellNavbar(dmc.Stack(links, gap=2), p="xs"),
                    dmc.AppShellMain(
                        dmc.Stack(
                            [html.Div(id="notes"), _place_for_page()],
                            gap="sm",
                        )
                    ),
                ],
                header={"height": 56},
                navbar={"width": 190, "breakpoint": "sm", "collapsed": {"mobile": True}},
                padding="md",
                id="shell",
            ),
        ],
        id="provider",
        theme={"primaryColor": "indigo", "defaultRadius": "md", "fontFamily": "Inter, system-ui, sans-serif"},
        defaultColorScheme="auto",
    )


def _place_for_page() -> Any:
    """Where the page comes, dots while it does. What a page asks for later, as a job's state, leaves the rest where it is."""
    made: Any = {"page": "children"}  # dash's own type of it has no fields
    return dcc.Loading(html.Div(id="page"), type="dot", delay_show=400, target_components=made)


def _bar(context: PageContext) -> Any:
    """Window and filters; what they are set to stands in the address."""
    presets = [
        {"value": "all", "label": "All time"},
        {"value": "7", "label": "Last 7 days"},
        {"value": "28", "label": "Last 28 days"},
        {"value": "custom", "label": "Days …"},
    ]
    selects = [
        dmc.MultiSelect(
            id={"filter": name},
            data=context.store.statistics.values(name),
            placeholder=_NAMES[name],
            size="xs",
            clearable=True,
            **{"aria-label": _NAMES[name]},
        )
        for name in FILTERS
    ]
    return dmc.Group(
        [
            dmc.Select(
                id="preset",
                data=presets,
                value="all",
                size="xs",
                w=118,
                style={"flexShrink": 0},
                allowDeselect=False,
                **{"aria-label": "window"},
            ),
            dmc.DatePickerInput(
                id="days",
                type="range",
                size="xs",
                w=200,
                placeholder="from – to",
                clearable=True,
                style={"display": "none"},
            ),
            dmc.Group(selects, gap="xs", className="hide-on-phone", wrap="nowrap"),
        ],
        gap="xs",
        wrap="nowrap",
    )


def _register(app: dash.Dash, context: PageContext) -> None:
    @app.callback(
        Output("page", "children"),
        Output("notes", "children"),
        Output({"nav": dash.ALL}, "href"),
        Input("url", "pathname"),
        Input("url", "search"),
    )
    def show(pathname: str | None, search: str | None) -> Any:
        selection = Selection.parse(search)
        notes = [dmc.Alert(note, color="orange", className="note") for note in selection.notes]
        hrefs = [context.href(one.PATH, selection) for one in _PAGES]
        path = "/" + (pathname or "/").removeprefix(context.prefix).strip("/")
        found = next((one for one in (*_PAGES, *_UNLISTED) if path == one.PATH), None)
        if found is None:
            return _unknown(context), notes, hrefs
        try:
            return found.layout(context, selection), dmc.Stack(notes, gap="xs"), hrefs
        except OffmapError as error:
            return page(found.TITLE, "", empty("This page cannot be shown now", str(error))), notes, hrefs

    @app.callback(
        Output("preset", "value"),
        Output("days", "value"),
        Output({"filter": dash.ALL}, "value"),
        Input("url", "search"),
    )
    def fill_bar(search: str | None) -> Any:
        selection = Selection.parse(search)
        days = [day.isoformat() if day else None for day in (selection.first, selection.last)]
        filters = [list(selection.filters.get(name, ())) for name in FILTERS]
        return _preset(context, selection), days if any(days) else None, filters

    @app.callback(
        Output("url", "href", allow_duplicate=True),
        Input("preset", "value"),
        Input("days", "value"),
        Input({"filter": dash.ALL}, "value"),
        State("url", "pathname"),
        State("url", "search"),
        prevent_initial_call=True,
    )
    def choose(preset: str, days: list[str | None] | None, filters: list[list[str]], pathname: str, search: str) -> Any:
        now = Selection.parse(search)
        first, last = _days_of(context, preset, days, now)
        chosen = {name: tuple(values) for name, values in zip(FILTERS, filters, strict=True) if values}
        after = Selection(first, last, chosen, now.query)
        if (after.first, after.last, dict(after.filters)) == (now.first, now.last, dict(now.filters)):
            return no_update
        return f"{pathname}{after.search(**now.query)}"

    in_browser: Any = app.clientside_callback  # dash gives it no types
    in_browser(ClientsideFunction("offmap", "showDays"), Output("days", "style"), Input("preset", "value"))
    in_browser(
        ClientsideFunction("offmap", "scheme"),
        Output("provider", "forceColorScheme"),
        Output("scheme-kept", "data"),
        Input("scheme", "n_clicks"),
        State("scheme-kept", "data"),
    )
    in_browser(
        ClientsideFunction("offmap", "burger"),
        Output("shell", "navbar"),
        Input("burger", "opened"),
        Input("url", "href"),
        State("shell", "navbar"),
    )


def _preset(context: PageContext, selection: Selection) -> str:
    if selection.first is None and selection.last is None:
        return "all"
    for preset in ("7", "28"):
        if (selection.first, selection.last) == _last_days(context, int(preset)):
            return preset
    return "custom"


def _days_of(
    context: PageContext, preset: str, days: list[str | None] | None, now: Selection
) -> tuple[date | None, date | None]:
    if preset == "all":
        return None, None
    if preset in ("7", "28") and dash.ctx.triggered_id != "days":
        return _last_days(context, int(preset))
    if days and all(days):
        first, last = (date.fromisoformat(str(day)[:10]) for day in days)
        return first, last
    return now.first, now.last


def _last_days(context: PageContext, count: int) -> tuple[date | None, date | None]:
    """The last days of the traffic: a log that ended in spring has its last week in spring."""
    span = context.store.turns.span()
    if span is None:
        return None, None
    last = min(span.end, context.clock()).date()
    return date.fromordinal(last.toordinal() - count + 1), last


def _unknown(context: PageContext) -> Any:
    return page(
        "There is no such page",
        "",
        empty("This address leads nowhere", "The pages are on the left."),
        dcc.Link("To the overview", href=context.href("/"), className="link"),
    )


def _routes(server: flask.Flask, context: PageContext) -> None:
    """What is no page: health for probes, and downloads."""

    @server.get(f"{context.prefix}healthz")
    def healthz() -> flask.Response:
        return _health(context, lambda health: health.ok)

    @server.get(f"{context.prefix}readyz")
    def readyz() -> flask.Response:
        return _health(context, lambda health: health.ready)

    @server.get(f"{context.prefix}metrics")
    def metrics() -> flask.Response:
        return flask.Response(context.service.metrics(), content_type=_PROMETHEUS)

    @server.get(f"{context.prefix}downloads/<job_id>")
    def download(job_id: str) -> flask.Response:
        path = context.service.file(job_id)
        if path is None:
            return flask.Response("There is no such download (any more).\n", 404, mimetype="text/plain")
        return flask.send_file(path, as_attachment=True, download_name=path.name, max_age=0)

    @server.after_request
    def guarded(response: flask.Response) -> flask.Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["X-Frame-Options"] = "DENY"
        response.headers["Referrer-Policy"] = "same-origin"
        return response


def _health(context: PageContext, good: Callable[[Any], bool]) -> flask.Response:
    health = context.service.health()
    body = orjson.dumps({"ok": good(health), "started_at": health.started_at, "parts": health.parts})
    return flask.Response(body, 200 if good(health) else 503, mimetype="application/json")
