"""The outbox: what is due is sent, what fails is tried again, and what is given up says why."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from monitor.alerts.blocks import message_of
from monitor.alerts.notifier import Busy, Notifier, Refused, Unreachable
from monitor.clock import Clock
from monitor.errors import SettingError
from monitor.published import examples_of
from monitor.settings import Settings
from monitor.store.alerts import AlertRow, DeliveryRow
from monitor.store.store import Store

__all__ = ["Delivered", "deliver_due", "link_of", "message_for"]


_FIRST_PAUSE, _LONGEST_PAUSE = 15.0, 3600.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """How many deliveries were sent, put off and given up; `reason` is why the last of these was not sent."""

    sent: int = 0
    retried: int = 0
    failed: int = 0
    reason: str = ""


def deliver_due(
    store: Store, notifiers: Mapping[str, Notifier], settings: Settings, *, clock: Clock, local_url: str = ""
) -> Delivered:
    """Send every delivery that is due, the oldest first.

    A delivery is settled after it was sent: a process that dies in between sends it once more, and never loses it. A channel
    that asks for time, or cannot be reached, is left alone for the rest of this round.
    """
    done = Delivered()
    resting: set[str] = set()
    for delivery in store.alerts.deliveries("due"):
        notifier = notifiers.get(delivery.channel)
        if notifier is None or delivery.channel in resting or delivery.due_at > clock():
            continue
        alert = store.alerts.find(delivery.alert_id)
        if alert is None:
            store.alerts.settle(replace(delivery, state="failed", error="its alert is gone"))
            continue
        after = _send(store, alert, delivery, notifier, settings, clock, local_url)
        store.alerts.settle(after)
        if after.state == "due" and after.attempts == delivery.attempts:
            # The channel asked for time: that is for everything that waits for it.
            for other in store.alerts.deliveries("due"):
                if other.channel == after.channel and other.due_at < after.due_at:
                    store.alerts.settle(replace(other, due_at=after.due_at))
        if after.state == "sent":
            done = replace(done, sent=done.sent + 1)
            continue
        reason = after.error or ""
        if after.state == "failed":
            done = replace(done, failed=done.failed + 1, reason=reason)
        else:
            resting.add(delivery.channel)
            done = replace(done, retried=done.retried + 1, reason=reason)
    return done


def message_for(store: Store, alert: AlertRow, settings: Settings, local_url: str = "") -> dict[str, object]:
    """The alert as it is sent now: its examples as the store has them today, always redacted."""
    keys = alert.content.examples[: settings.alerts.examples]
    examples = [one.text for one in examples_of(store, [keys], redacted=True)[0]]
    return message_of(alert, examples, link_of(alert, settings, local_url))


def link_of(alert: AlertRow, settings: Settings, local_url: str = "") -> str | None:
    """The page of the alert, under the address that people use."""
    base = settings.serve.public_url or local_url
    return f"{base.rstrip('/')}{alert.path}" if base else None


def _send(
    store: Store,
    alert: AlertRow,
    delivery: DeliveryRow,
    notifier: Notifier,
    settings: Settings,
    clock: Clock,
    local_url: str,
) -> DeliveryRow:
    """The delivery after one attempt."""
    attempts = delivery.attempts + 1
    try:
        notifier.send(message_for(store, alert, settings, local_url))
    except Busy as busy:
        # Slack's wish is no failure of the message: it does not count as an attempt.
        return replace(delivery, due_at=clock() + timedelta(seconds=busy.seconds), error=str(busy))
    except Unreachable as error:
        if attempts >= settings.alerts.attempts:
            text = f"given up after {attempts} attempts: {error}"
            return replace(delivery, state="failed", attempts=attempts, error=text)
        pause = _pause(delivery.alert_id, attempts)
        return replace(delivery, attempts=attempts, due_at=clock() + timedelta(seconds=pause), error=str(error))
    except (Refused, SettingError) as error:
        return replace(delivery, state="failed", attempts=attempts, error=str(error))
    return replace(delivery, state="sent", attempts=attempts, sent_at=clock(), error=None)


def _pause(alert_id: str, attempts: int) -> float:
    """15 s, 30 s, a minute ..., at most an hour; spread by a quarter, so that what failed together does not return so."""
    spread = random.Random(f"{alert_id}/{attempts}").uniform(0.75, 1.25)
    return min(_FIRST_PAUSE * 2.0 ** (attempts - 1), _LONGEST_PAUSE) * spread
