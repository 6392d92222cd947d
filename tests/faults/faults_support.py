"""What befalls `offmap consume` and its broker, what of it is written down, and whether the store is the log all the same."""

from __future__ import annotations

import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from log_support import LastingBroker, Ledger, Meaning

from monitor.store import Store
from tests.consumers.kafka_support import Consumer

#: The consumer's session, in seconds: whoever sleeps longer has been thrown out of the group.
SESSION = 10.0
#: After whatever happened, something must be stored again within so many seconds.
PATIENCE = 60.0
#: Bytes of the store's log of changes.
_A_BATCH = 3_000


@dataclass(slots=True)
class Story:
    """What happened, second by second: a failure tells it."""

    lines: list[str] = field(default_factory=list)
    at_last: Callable[[], object] = field(default=lambda: None)
    _begin: float = field(default_factory=time.monotonic)

    def tell(self, line: str) -> None:
        self.lines.append(f"{time.monotonic() - self._begin:7.2f} s  {line}")

    @contextmanager
    def told(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            with suppress(Exception):
                self.at_last()
            self.tell(f"{type(error).__name__}: {error}")
            error.add_note("\n".join(["What happened:", *self.lines]))
            raise


class Faults:
    """The faults, each of which ends with a consumer that stores again. The seed decides when and for how long."""

    def __init__(self, consumer: Consumer, broker: LastingBroker, story: Story, seed: int) -> None:
        self._consumer, self._broker, self._story = consumer, broker, story
        self._rng = random.Random(seed)
        self.kills = self._starts = 0
        self._check: Callable[[str], None] = lambda when: None

    def checked_with(self, check: Callable[[str], None]) -> None:
        """After some kills the store is looked at, before the next consumer repairs anything."""
        self._check = check

    def start(self) -> None:
        # What the store writes about itself at first is no batch; and that a kill or a full disk meets it is another test's.
        Store.open(str(self._consumer.store)).close()
        self._consumer.start()

    def kill(self) -> None:
        """At any moment of its start; or while it stores."""
        if self._rng.random() < 0.7:
            self.wait_until_it_stores()
            seconds = self._rng.uniform(0, 0.6)
        else:
            seconds = self._rng.uniform(0, 6)
        time.sleep(seconds)
        self._kill(f"killed {seconds:.3f} s later")

    def kill_frozen_broker(self) -> None:
        """Nobody can say goodbye to anybody."""
        self.wait_until_it_stores()
        with self._frozen_broker(self._rng.uniform(0.5, 3)):
            self._kill("killed while the broker is frozen", looked_at=False)

    def end(self) -> None:
        self.wait_until_it_stores()
        self._story.tell("SIGTERM")
        code, seconds = self._consumer.stop()
        assert code == 0 and seconds < 15, f"code {code} after {seconds:.1f} s"
        self._again()

    def end_frozen_broker(self) -> None:
        """A broker that says nothing keeps nobody from leaving."""
        self.wait_until_it_stores()
        with self._frozen_broker(0):
            time.sleep(self._rng.uniform(0, 2))
            self._story.tell("SIGTERM")
            code, seconds = self._consumer.stop()
        self._story.tell(f"it ended within {seconds:.2f} s")
        assert code == 0 and seconds < 15, f"code {code} after {seconds:.1f} s"
        self._again()

    def freeze(self) -> None:
        """Longer than its session: its partitions are nobody's, and it does not know."""
        self.wait_until_it_stores()
        seconds = SESSION + self._rng.uniform(0.5, 3)
        self._story.tell(f"the consumer is frozen for {seconds:.2f} s")
        self._signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._signal(signal.SIGCONT)

    def stutter(self) -> None:
        """As slow as a machine that swaps."""
        self.wait_until_it_stores()
        self._story.tell("the consumer stutters")
        for _ in range(12):
            self._signal(signal.SIGSTOP)
            time.sleep(self._rng.uniform(0.05, 0.5))
            self._signal(signal.SIGCONT)
            time.sleep(self._rng.uniform(0.01, 0.1))

    def freeze_broker(self) -> None:
        self.wait_until_it_stores()
        with self._frozen_broker(self._rng.uniform(0.5, 12)):
            pass

    def restart_broker(self) -> None:
        self.wait_until_it_stores()
        number = self._rng.choice([signal.SIGKILL, signal.SIGTERM])
        seconds = self._rng.uniform(0, 4)
        self._story.tell(f"the broker gets {number.name} and is away for {seconds:.2f} s")
        self._broker.end(number)
        time.sleep(seconds)
        self._broker.start()

    def fill_disk(self) -> None:
        """No file grows for a while; sometimes the consumer is killed then, or ends."""
        self.wait_until_it_stores()
        seconds = self._rng.uniform(0.5, 4)
        most = self._log_size() + self._rng.randrange(3_000)
        self._story.tell(f"no file may grow beyond {most} bytes for {seconds:.2f} s")
        self._limit(most)
        time.sleep(seconds)
        chance = self._rng.random()
        if chance < 0.25:
            self._kill("killed while the disk is full")
        elif chance < 0.5:
            code, ended = self._consumer.stop()
            assert code == 0 and ended < 15, f"code {code} after {ended:.1f} s"
            self._again()
        else:
            self._limit(resource.RLIM_INFINITY)
            assert self._consumer.process.poll() is None, "a full disk ended the consumer"

    def wait_until_it_stores(self) -> None:
        """Until its log of changes has grown by more than what it notes about itself."""
        size, grown, started = self._log_size(), 0, time.monotonic()
        while grown < _A_BATCH:
            assert self._consumer.process.poll() is None, f"it ended with code {self._consumer.process.returncode}"
            waited = time.monotonic() - started
            assert waited < PATIENCE, f"nothing was stored within {waited:.0f} s"
            time.sleep(0.01)
            before, size = size, self._log_size()
            grown += max(0, size - before)
        self._story.tell(f"it stores, after {time.monotonic() - started:.2f} s")

    def _log_size(self) -> int:
        try:
            return self._consumer.store.with_name("store.duckdb.wal").stat().st_size
        except FileNotFoundError:
            return 0

    def _kill(self, how: str, *, looked_at: bool = True) -> None:
        self._story.tell(how)
        self._consumer.kill()
        self.kills += 1
        if self._rng.random() < 0.3 and looked_at:
            self._check(how)
        self._again()

    def _again(self) -> None:
        self.tell_errors()
        self._starts += 1
        # This broker waits long for a member that died. The group's offsets decide nothing, so mostly it is a new group.
        same = self._rng.random() < 0.2
        self._consumer.start(*([] if same else ["--group", f"{self._consumer.topic}-{self._starts}"]))

    def tell_state(self) -> None:
        """For a failure, when the consumer has gone."""
        self.tell_errors()
        with Store.open(str(self._consumer.store), create=False) as store:
            self._story.tell(f"the store is at {[(one.partition, one.position) for one in store.partitions.read()]}")
            self._story.tell(f"and holds {store.turns.count()} turns, {store.dead_letters.count()} dead letters")

    def tell_errors(self) -> None:
        for line in self._consumer.errors.splitlines():
            self._story.tell(f"stderr: {line}")

    @contextmanager
    def _frozen_broker(self, seconds: float) -> Iterator[None]:
        self._story.tell(f"the broker is frozen for {seconds:.2f} s")
        self._broker.send_signal(signal.SIGSTOP)
        try:
            yield
            time.sleep(seconds)
        finally:
            self._broker.send_signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        self._consumer.process.send_signal(number)

    def _limit(self, most: int) -> None:
        resource.prlimit(self._consumer.process.pid, resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))


def offsets(store: Store, topic: str, partitions: int) -> dict[int, int]:
    return {one: store.offsets.next(f"kafka:{topic}", str(one)) for one in range(partitions)}


def compare(store: Store, topic: str, log: Mapping[tuple[int, int], bytes], ledger: Ledger, *, partitions: int) -> int:
    """The store is the log up to its offsets, row for row; how many messages that are."""
    source, reached = f"kafka:{topic}", offsets(store, topic, partitions)
    read = {place: ledger.meanings[value] for place, value in log.items() if place[1] < reached[place[0]]}
    # There may be holes: a broker that is ended in the middle of an append leaves one.
    ends = log_ends(log)
    assert all(position <= ends.get(one, 0) for one, position in reached.items()), (
        f"{reached} is behind the end, {ends}"
    )
    columns = store.turns.read(columns=["turn_id", "user_text", "created_at"])
    rows = [Meaning(*row.values()) for row in columns.to_pylist()]
    named = {meaning.turn_id: meaning for meaning in read.values() if meaning.turn_id}
    _same({row.turn_id: row for row in rows if row.turn_id in named}, named, "turns")
    nameless = Counter(Meaning(None, row.text, row.created_at) for row in rows if row.turn_id not in named)
    _same(nameless, Counter(one for one in read.values() if one.text and not one.turn_id), "turns without an id")
    assert len(rows) == len(named) + nameless.total(), "a turn is stored twice"
    letters = store.dead_letters.read(limit=1_000_000)
    found = {(int(one.coordinates.partition), one.coordinates.position): one.payload for one in letters}
    _same(found, {place: log[place] for place, meaning in read.items() if meaning.text is None}, "dead letters")
    assert len(letters) == len(found) and {one.coordinates.source for one in letters} <= {source}
    assert store.turns.conflicts() == 0
    return len(read)


def _same(found: Mapping[Any, object], expected: Mapping[Any, object], what: str) -> None:
    missing = {key: value for key, value in expected.items() if found.get(key) != value}
    excess = {key: value for key, value in found.items() if expected.get(key) != value}
    assert not missing and not excess, f"{what}: {len(missing)} missing, {len(excess)} too many: {missing}, {excess}"


def log_ends(log: Mapping[tuple[int, int], bytes]) -> dict[int, int]:
    ends: dict[int, int] = {}
    for partition, offset in log:
        ends[partition] = max(ends.get(partition, 0), offset + 1)
    return ends
