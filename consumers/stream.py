"""The consumer: poll, hand over to the writer, tell the group how far the store is. It ends when it is asked to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext

from consumers.batches import Commit, Counts
from consumers.decoders import DECODERS, decoder_named
from consumers.forwarding import Forwarder, OpenTopic, check_topics
from consumers.source import LogRestarted, Source, SourceAway
from consumers.writer import Intake, Writer
from monitor.clock import Clock
from monitor.errors import StoreFullError
from monitor.health import State
from monitor.settings import Settings
from monitor.store import Store

__all__ = ["Stream"]

#: Opens the source; it is given where each partition goes on.
Open = Callable[[Callable[[int], int]], Source]

_POLL = 0.25
#: How long a source that is away is left alone, at first and at most.
_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
#: With `until_end`: the end is reached when nothing has come for so long after the group has formed.
_QUIET = 2.0


class Stream:
    """One topic into the store.

    The store holds the offsets, in the transaction of their rows: a process that is killed anywhere goes on where its
    last transaction ended. Records that cannot be read become dead letters; a broker that is away, or a disk that is full,
    is waited for.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        open_source: Open,
        *,
        clock: Clock,
        stop: threading.Event,
        on_state: Callable[[State, str], None] = lambda state, detail: None,
        on_stored: Callable[[Commit], None] = lambda commit: None,
        until_end: bool = False,
        open_letters: OpenTopic | None = None,
    ) -> None:
        """`open_letters` opens the topic of dead letters, when `kafka.dead_letter_topic` names one."""
        kafka = settings.kafka
        check_topics(kafka)
        self._store, self._open, self._clock, self._stop = store, open_source, clock, stop
        self._tell, self._on_stored, self._until_end = on_state, on_stored, until_end
        self._decoders = DECODERS if kafka.format == "auto" else (decoder_named(kafka.format),)
        self._kafka, self._ingest = kafka, settings.ingest
        self._stream = f"kafka:{kafka.topic}"
        self._source_name = self._stream
        self._forwarder: Forwarder | None = None
        if kafka.dead_letter_topic and open_letters is not None:
            self._forwarder = Forwarder(
                store, self._stream, kafka.dead_letter_topic, open_letters, clock=clock, stop=stop
            )
        self._pause = _PAUSE
        self._alive = time.monotonic()
        self.counts = Counts()

    def run(self) -> None:
        """Until `stop` is set, or, with `until_end`, until everything is stored. Raises what a person must mend."""
        with self._forwarder or nullcontext():
            self._run()

    def _run(self) -> None:
        while not self._stop.is_set():
            source: Source | None = None
            try:
                source = self._open(self._position)
                if self._consume(source):
                    return
            except (SourceAway, StoreFullError) as away:
                left = self._wait_for(away)
                self._stop.wait(min(self._pause, left))
                self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            except LogRestarted as restarted:
                assert source is not None, "it is raised by poll"
                self._source_name = self._store.streams.restart(self._stream, source.log_id())
                self._say("waiting", f"{restarted}; it is read from its beginning, as {self._source_name}")
            finally:
                if source is not None:
                    source.close()

    def _wait_for(self, away: SourceAway | StoreFullError) -> float:
        """Say what is waited for, and how long it may take yet: who waits for the end does not wait for ever for the source."""
        if isinstance(away, StoreFullError):
            self._alive = time.monotonic()
            self._say("failing", str(away))
            return _LONGEST_PAUSE
        left = self._patience_left()
        if left <= 0:
            waited = f"it was waited for {self._kafka.patience_seconds:g} s (setting kafka.patience_seconds)"
            raise SourceAway(f"{away}; {waited}") from away
        self._say("waiting", f"{away}; it is waited for")
        return left

    def _patience_left(self) -> float:
        if not self._until_end:
            return _LONGEST_PAUSE
        return self._alive + self._kafka.patience_seconds - time.monotonic()

    def _consume(self, source: Source) -> bool:
        """Read until asked to stop, or to the end; True for the end."""
        self._source_name = self._store.streams.source(self._stream, source.log_id())
        self._say("waiting", f"joining the group to read {self._kafka.topic}")
        with Writer(self._store, self._intake(), clock=self._clock, say=self._say, on_stored=self._done) as writer:
            ended = self._poll(source, writer)
            for partition in source.revoked():
                writer.give_up(partition)
        # What was in hand is stored, after an outage too: if another reads it now, the offset in the store decides.
        source.commit(writer.stored())
        return ended

    def _poll(self, source: Source, writer: Writer) -> bool:
        quiet = 0.0
        paused = False
        while not self._stop.is_set():
            messages = source.poll(_POLL, self._ingest.batch_rows)
            for partition in source.revoked():
                writer.give_up(partition)
            writer.know(source.ends(), source.lost())
            self._look_alive(source)
            if messages:
                quiet = 0.0
                self._pause = _PAUSE  # it is there: the next outage is another one
                writer.take(messages)
            elif not paused:
                writer.quiet()
            for partition, position in writer.moved().items():
                source.seek(partition, position)
            if stored := writer.stored():
                source.commit(stored)
            if paused != (writer.full if not paused else not writer.has_room):
                paused = not paused
                source.pause(paused)
            if self._until_end and not messages and writer.idle and source.knows_ends():
                quiet = quiet or time.monotonic()
                if time.monotonic() - quiet >= _QUIET and self._reached(source):
                    return True
        return False

    def _look_alive(self, source: Source) -> None:
        if not self._until_end or source.knows_ends():
            self._alive = time.monotonic()
        elif self._patience_left() <= 0:
            raise SourceAway(
                f"the end of {self._kafka.topic} is not known: nothing of it is given to this member of the group "
                f"{self._kafka.group} (setting kafka.group), or a broker is silent"
            )

    def _reached(self, source: Source) -> bool:
        return all(self._position(one) >= end for one, end in source.ends().items())

    def _position(self, partition: int) -> int:
        return self._store.offsets.next(self._source_name, str(partition))

    def _intake(self) -> Intake:
        ingest, kafka = self._ingest, self._kafka
        return Intake(
            self._source_name, kafka.topic, self._decoders, ingest.redact, ingest.batch_rows, kafka.batch_seconds
        )

    def _say(self, state: State, detail: str) -> None:
        """How the stream is. That dead letters wait is told where else all would be well."""
        trouble = self._forwarder.trouble if self._forwarder is not None and state == "running" else ""
        self._tell("waiting" if trouble else state, trouble or detail)

    def _done(self, done: Commit) -> None:
        self.counts += done.counts
        if done.counts.dead_letters and self._forwarder is not None:
            self._forwarder.wake()
        self._on_stored(done)
