"""The client of products against the real server: outages, kills, slow and refusing servers, full queues, forks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from service_support import until

from consumers.http import HttpIntake
from monitor import Client
from monitor.clock import utc_now
from monitor.errors import UsageError
from monitor.records import Turn
from monitor.settings import Settings
from monitor.spool import Spool
from monitor.store import Store
from tests.consumers.listening_support import listening

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def intake(store: Store) -> HttpIntake:
    return HttpIntake(store, Settings(), clock=utc_now)


def texts(store: Store) -> list[str]:
    return sorted(store.turns.read(columns=["user_text"]).column(0).to_pylist())


def named(count: int, what: str = "q") -> list[str]:
    return sorted(f"{what}{number:04}" for number in range(count))


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


class Between:
    """An app before the intake that may answer in its place."""

    def __init__(self, intake: HttpIntake, answer: Callable[[int], tuple[str, str] | None]) -> None:
        self.intake, self.answer = intake, answer
        self.asked: list[float] = []

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Any:
        self.asked.append(time.monotonic())
        answer = self.answer(len(self.asked))
        if answer is None:
            return self.intake(environ, start_response)
        start_response(answer[0], [("Content-Type", "application/json"), ("Retry-After", answer[1])])
        return [b'{"error": "not now"}']


def test_turns_arrive_with_what_they_do_not_say(intake: HttpIntake, store: Store) -> None:
    turn = Turn(turn_id="t1", user_text="a Turn", created_at=datetime(2026, 3, 1, 9), conversation_id="c1")
    with listening(intake) as url, Client(url, app="shop", environment="staging") as client:
        assert client.send(
            {"user_text": "a dict", "environment": "production", "metadata": {"at": datetime(2026, 3, 1)}}
        )
        assert client.send(turn)
        assert client.send(
            {"event": "feedback", "turn_id": "t1", "feedback_score": 1, "created_at": "2026-03-02T09:00:00Z"}
        )
        assert client.send({"id": "c2", "created": 1_772_355_600, "messages": [{"role": "user", "content": "a chat"}]})
        assert client.flush() and client.stats().sent == 4
    rows = store.turns.read(columns=["user_text", "app", "environment"]).to_pylist()
    assert {row["user_text"]: (row["app"], row["environment"]) for row in rows} == {
        "a dict": ("shop", "production"),
        "a Turn": ("shop", "staging"),
        "a chat": (None, None),
    }
    assert store.dead_letters.count() == 0


def test_an_outage_loses_nothing_and_holds_up_nobody(intake: HttpIntake, store: Store) -> None:
    with listening(intake) as url:
        client = Client(url, batch_seconds=0.05)
        client.send({"user_text": "q0000"})
        assert client.flush()
    slowest = 0.0
    for number in range(1, 300):
        started = time.monotonic()
        assert client.send({"user_text": f"q{number:04}"})
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 0.5
    assert not client.flush(0.3)
    assert client.stats().waiting == 299 and client.stats().last_error
    with listening(intake, port=port_of(url)):
        assert client.flush(20)
        assert client.close()
    assert texts(store) == named(300)
    assert (client.stats().sent, client.stats().dropped, client.stats().waiting) == (300, 0, 0)


def test_bad_records_are_kept_by_the_server_and_the_others_stored(intake: HttpIntake, store: Store) -> None:
    with listening(intake) as url, Client(url) as client:
        client.send({"user_text": "good"})
        client.send({"user_text": 7})
        client.send({"user_text": "good too", "latency_ms": "fast"})
        assert client.flush()
        assert (client.stats().sent, client.stats().refused, client.stats().dropped) == (1, 2, 0)
    assert texts(store) == ["good"] and store.dead_letters.count() == 2


@pytest.mark.slow
@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable", "500 Oops", "401 Unauthorized"])
def test_a_server_that_refuses_is_asked_again_when_it_says(intake: HttpIntake, store: Store, status: str) -> None:
    between = Between(intake, lambda number: (status, "1") if number <= 2 else None)
    with listening(between) as url, Client(url) as client:
        client.send({"user_text": "q"})
        assert client.flush(20)
        assert f"answered {status[:3]}: not now" in client.stats().last_error
    first, second, third = between.asked
    assert second - first >= 1 and third - second >= 1
    assert texts(store) == ["q"]


@pytest.mark.slow
def test_a_slow_server_doubles_nothing(intake: HttpIntake, store: Store) -> None:
    """It stores the turns and answers too late: the same come again."""

    class Slow(Between):
        def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Any:
            answered = super().__call__(environ, start_response)
            if len(self.asked) == 1:
                time.sleep(1.5)  # longer than the client waits
            return answered

    slow = Slow(intake, lambda number: None)
    with listening(slow) as url, Client(url, timeout=0.5) as client:
        for text in named(20):
            client.send({"user_text": text})
        assert client.flush(20)
    assert len(slow.asked) > 1
    assert texts(store) == named(20) and store.turns.conflicts() == 0


def test_what_is_too_large_goes_in_smaller_batches(store: Store) -> None:
    intake = HttpIntake(store, Settings().with_value("ingest.most_mb", 1, source="test"), clock=utc_now)
    with listening(intake) as url, Client(url) as client:
        client.send({"user_text": "huge " + "x" * (2 << 20)})
        for text in named(30):
            client.send({"user_text": text, "assistant_text": "y" * 60_000})
        assert client.flush(20)
        assert client.stats().dropped == 1 and "413" in client.stats().last_error
    assert texts(store) == named(30)


@pytest.mark.parametrize("spooled", [False, True])
def test_a_full_queue_drops_what_is_new(intake: HttpIntake, store: Store, tmp_path: Path, spooled: bool) -> None:
    spool = tmp_path / "spool" if spooled else None
    with listening(intake) as url:
        port = port_of(url)
    client = Client(url, most_mb=0.01, spool=spool)
    taken = [text for text in named(500) if client.send({"user_text": text})]
    assert 10 < len(taken) < 500 and taken == named(500)[: len(taken)]
    assert (client.stats().dropped, client.stats().waiting) == (500 - len(taken), len(taken))
    with listening(intake, port=port):
        assert client.flush(20)
        assert client.send({"user_text": "room again"})
        assert client.close()
    assert texts(store) == sorted([*taken, "room again"])
    assert spool is None or not list(spool.rglob("*.ndjson"))


def test_send_never_raises(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    client = Client("http://127.0.0.1:9", spool=tmp_path / "file" / "spool")
    assert "spool cannot be used" in client.stats().last_error
    bad: tuple[Any, ...] = (None, 7, "text", {"user_text": object()}, {"user_text": float("nan")}, {1j: 2}, [[]], Turn)
    loop: dict[str, Any] = {"user_text": "x"}
    loop["self"] = loop
    for one in (*bad, loop):
        assert client.send(one) is False
    assert client.send({"user_text": "half a pair \ud800"})
    assert not client.close(0.1)
    assert client.send({"user_text": "too late"}) is False
    assert client.stats().dropped == len(bad) + 3
    assert client.close()


@pytest.mark.parametrize("url", ["", "127.0.0.1:8050", "ftp://x", "http://", "http://x:port", "http://a:secret@x"])
def test_a_wrong_address_is_said_at_once(url: str) -> None:
    with pytest.raises(UsageError, match="write it like") as error:
        Client(url)
    assert "secret" not in str(error.value)
    with pytest.raises(UsageError, match="key"):
        Client("http://127.0.0.1:8050", key="a\nkey")


def run(code: str, *arguments: object, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, **options)


PRODUCT = """
import sys, threading
from monitor import Client
url, spool, prefix, count = sys.argv[1:]
client = Client(url, spool=spool, batch_seconds=0.05)
for number in range(int(count)):
    assert client.send({"user_text": f"{prefix}{number:04}"})
print("sent", flush=True)
threading.Event().wait()
"""


@pytest.mark.slow
def test_a_kill_of_the_product_loses_nothing_that_was_taken(intake: HttpIntake, store: Store, tmp_path: Path) -> None:
    """Twice while the server is away, from two processes at once, and once in the middle of sending."""
    spool = tmp_path / "spool"
    with listening(intake) as url:
        port = port_of(url)
    products = [run(PRODUCT, url, spool, prefix, 400) for prefix in "ab"]
    for product in products:
        assert product.stdout is not None and product.stdout.readline() == "sent\n", product.communicate()[1]
    for product in products:  # both were alive at once, so each had a slot of its own
        product.send_signal(signal.SIGKILL)
        product.communicate()
    assert len(list(spool.iterdir())) == 2
    with (max(spool.rglob("*.ndjson"))).open("ab") as segment:
        segment.write(b'{"user_text": "cut by the ki')
    with listening(intake, port=port):
        product = run(PRODUCT, url, spool, "c", 400)
        assert product.stdout is not None and product.stdout.readline() == "sent\n"
        until(lambda: store.turns.count() > 100, 20, "something sent")
        product.kill()
        product.communicate()
        with Client(url, spool=spool) as client:
            assert client.flush(30)
    assert texts(store) == sorted(named(400, "a") + named(400, "b") + named(400, "c"))
    assert store.dead_letters.count() == 0 and not list(spool.rglob("*.ndjson"))


FORKING = """
import os, sys
from monitor import Client
url, spool = sys.argv[1:]
client = Client(url, spool=spool or None, batch_seconds=30)
client.send({"user_text": "parent before"})
children = []
for number in range(3):
    child = os.fork()
    if not child:
        assert client.stats().waiting == 0
        client.send({"user_text": f"child {number}"})
        os._exit(0 if client.close(20) else 1)
    children.append(child)
client.send({"user_text": "parent after"})
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
"""


@pytest.mark.slow
@pytest.mark.parametrize("spooled", [False, True])
def test_a_fork_shares_neither_thread_nor_turns(
    intake: HttpIntake, store: Store, tmp_path: Path, spooled: bool
) -> None:
    """The parent does not close its client: the end of the process does."""
    with listening(intake) as url:
        product = run(FORKING, url, tmp_path / "spool" if spooled else "")
        _, said = product.communicate(timeout=60)
        assert product.returncode == 0, said
    assert texts(store) == ["child 0", "child 1", "child 2", "parent after", "parent before"]


def test_many_threads_at_once(intake: HttpIntake, store: Store, tmp_path: Path) -> None:
    with listening(intake) as url, Client(url, spool=tmp_path / "spool", batch_turns=50, batch_seconds=0.05) as client:
        threads = [
            threading.Thread(target=lambda name=name: [client.send({"user_text": text}) for text in named(200, name)])
            for name in "abcd"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert client.flush(30)
    assert texts(store) == sorted(text for name in "abcd" for text in named(200, name))


@pytest.mark.slow
def test_a_spool_that_somebody_emptied_goes_on(intake: HttpIntake, store: Store, tmp_path: Path) -> None:
    with listening(intake) as url:
        port = port_of(url)
    client = Client(url, spool=tmp_path / "spool")
    client.send({"user_text": "gone"})
    for segment in (tmp_path / "spool").rglob("*.ndjson"):
        segment.unlink()
    with listening(intake, port=port):
        until(lambda: "spool" in client.stats().last_error, 20, "the fault")
        assert client.send({"user_text": "after"})
        assert client.flush(20) and client.close()
    assert texts(store) == ["after"]


def test_a_full_disk_is_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(tmp_path, 1 << 20)
    assert spool.put(b"whole")
    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
        assert not spool.put(b"half of it")
    assert spool.put(b"next") and spool.peek(10, 1000) == [b"whole", b"next"]
    spool.done(2)
    assert spool.waiting == 0 and spool.peek(10, 1000) == []
    spool.close()


def test_the_client_needs_the_standard_library_alone() -> None:
    code = """
import sys
before = set(sys.modules)
import monitor
assert "monitor.client" not in sys.modules and "http" not in sys.modules
from monitor import Client
loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(loaded - set(sys.stdlib_module_names) - {"monitor"}), sorted(n for n in sys.modules if n.startswith("monitor.")))
"""
    said, _ = run(code).communicate(timeout=60)
    assert said.strip() == "[] ['monitor.client', 'monitor.delivery', 'monitor.errors', 'monitor.spool']"


def test_the_example_of_the_readme_works(intake: HttpIntake, store: Store, tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    found = re.search(r"### Send turns from Python\n\n```python\n(.*?)```", readme, re.DOTALL)
    assert found is not None
    with listening(intake) as url:
        example = found[1].replace("http://127.0.0.1:8050", url)
        product = run(f"import os; os.chdir({str(tmp_path)!r})\n{example}", env={**os.environ, "PYTHONPATH": str(ROOT)})
        _, said = product.communicate(timeout=60)
        assert product.returncode == 0, said
    assert texts(store) == ["where is my parcel?"]
