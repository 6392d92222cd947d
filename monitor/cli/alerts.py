"""`offmap alerts`: what was told, and whether it arrived."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from monitor.cli.context import open_store, read_settings, utc_now
from monitor.cli.options import AsJson, StorePath
from monitor.cli.render import Column, print_json, print_table, say
from monitor.errors import UsageError
from monitor.wording import clean, counted, cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from monitor.store.alerts import AlertRow, DeliveryRow

__all__ = ["app"]

_SHOWN = 20
_TITLE = 140  # as in Slack

app = typer.Typer(help="What was told, and whether it arrived.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def list_alerts(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The latest so many.")] = _SHOWN,
    as_json: AsJson = False,
    store: StorePath = None,
) -> None:
    """List the latest alerts and their deliveries."""
    with open_store(read_settings(context, store)) as opened:
        found = opened.alerts.read(limit)
        deliveries: dict[str, list[DeliveryRow]] = {}
        for one in opened.alerts.deliveries():
            deliveries.setdefault(one.alert_id, []).append(one)
    if as_json:
        print_json({"alerts": [_document(alert, deliveries.get(alert.alert_id, [])) for alert in found]})
        return
    if not found:
        say("No alert yet. `offmap analyse` raises them, and so does `offmap serve` on its schedule.")
        return
    columns = [Column("when"), Column("kind"), Column("alert", shrinks=True), Column("delivery", shrinks=True)]
    print_table(
        columns,
        [
            (
                f"{alert.created_at:%Y-%m-%d %H:%M}",
                alert.kind,
                cut(alert.title, _TITLE),
                _state(deliveries.get(alert.alert_id, [])),
            )
            for alert in found
        ],
    )


@app.command()
def test(context: typer.Context, as_json: AsJson = False, store: StorePath = None) -> None:
    """Send a test alert to Slack now, and say whether it arrived."""
    from monitor.alerts.delivery import message_for
    from monitor.alerts.slack import SLACK, notifiers_of
    from monitor.store.alerts import AlertRow

    settings = read_settings(context, store)
    notifiers = notifiers_of(settings)
    if not notifiers:
        raise UsageError(
            "no Slack webhook is set, so alerts show in the app only: make an incoming webhook in Slack and set "
            "OFFMAP_SLACK_WEBHOOK to its address"
        )
    body = {
        "text": "This is a test. Alerts of gaps, drift and stalled ingest look like it.",
        "facts": [],
        "examples": [],
    }
    alert = AlertRow("test", "test", "test", utc_now(), "Test alert from offmap", body, "/")
    with open_store(settings, create=True) as opened:
        message = message_for(opened, alert, settings)
    notifiers[SLACK].send(message)
    if as_json:
        print_json({"sent": True, "channel": SLACK})
    else:
        say("Sent: Slack has taken the test alert.")
        if not settings.serve.public_url:
            say("Set OFFMAP_PUBLIC_URL to the address of the app, and alerts carry a link to their page.")


@app.command()
def retry(context: typer.Context, as_json: AsJson = False, store: StorePath = None) -> None:
    """Make every delivery that was given up due again.

    `offmap serve` or the next `offmap analyse` sends it.
    """
    with open_store(read_settings(context, store)) as opened:
        failed = opened.alerts.deliveries("failed")
        with opened.transaction():
            for one in failed:
                opened.alerts.settle(replace(one, state="due", attempts=0, due_at=utc_now(), error=None))
    if as_json:
        print_json({"due": len(failed)})
    else:
        say(f"{counted(len(failed), 'delivery', 'deliveries')} due again.")


def _state(deliveries: Sequence[DeliveryRow]) -> str:
    if not deliveries:
        return "app only"
    return "; ".join(
        f"{one.channel}: {one.state}" + (f", {clean(one.error)}" if one.error else "") for one in deliveries
    )


def _document(alert: AlertRow, deliveries: Sequence[DeliveryRow]) -> dict[str, object]:
    content = alert.content
    return {
        "id": alert.alert_id,
        "kind": alert.kind,
        "created_at": alert.created_at,
        "title": alert.title,
        "text": content.text,
        "facts": [{"name": name, "value": value} for name, value in content.facts],
        "path": alert.path,
        "deliveries": [
            {
                "channel": one.channel,
                "state": one.state,
                "attempts": one.attempts,
                "sent_at": one.sent_at,
                "error": one.error,
            }
            for one in deliveries
        ],
    }
