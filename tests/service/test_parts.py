"""Parts are kept running, and say how they are."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from service_support import until

from monitor.errors import OffmapError
from monitor.service.parts import Part, Say


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def test_a_part_that_fails_is_started_again_and_the_others_do_not_notice() -> None:
    tries: list[int] = []

    def shaky(stop: threading.Event, say: Say) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise OffmapError("no broker")
        say("running", "at last")
        stop.wait()

    def calm(stop: threading.Event, say: Say) -> None:
        say("running", "")
        stop.wait()

    parts = [Part("shaky", shaky, clock=now, first_pause=0.05), Part("calm", calm, clock=now)]
    for part in parts:
        part.start()
    until(lambda: parts[0].health.state == "running", 5, "it recovers")
    assert parts[0].health.restarts == 2 and parts[0].health.detail == "at last"
    assert parts[1].health.restarts == 0 and parts[1].health.ok
    for part in parts:
        part.ask_to_stop()
    assert all(part.join(2) for part in parts)
    assert parts[0].health.state == "stopped"


def test_a_bug_is_named_by_its_place_and_quotes_nobody() -> None:
    def bug(stop: threading.Event, say: Say) -> None:
        raise ValueError("my card is 4111 1111 1111 1111")

    part = Part("bug", bug, clock=now, first_pause=30)
    part.start()
    until(lambda: part.health.state == "failing", 5, "it is shown")
    assert "ValueError in test_parts.py:" in part.health.detail and "4111" not in part.health.detail
    assert not part.health.ok
    part.ask_to_stop()
    assert part.join(2)
