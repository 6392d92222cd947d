"""Send turns to Kafka, as a product's logger would.

python -m sample_data.produce FILE... --bootstrap HOST:PORT [--topic turns] [--rate N] [--limit N] [--now]
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

__all__ = ["main", "produce"]


def produce(
    lines: Iterator[bytes],
    bootstrap: str,
    topic: str,
    *,
    rate: float | None = None,
    now: bool = False,
    new_ids: bool = False,
) -> int:
    """Send lines, keyed by their conversation so that its turns keep their order; how many were sent.

    `rate` is messages a second; `now` gives each turn the time when it is sent; `new_ids`
    makes each a conversation of its own.
    """
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, acks="all")
    sent, started = 0, time.monotonic()
    try:
        for line in lines:
            record = json.loads(line)
            if now:
                record["created_at"] = datetime.now(UTC).isoformat()
            if new_ids:
                record["turn_id"] = record["conversation_id"] = uuid.uuid4().hex
            if now or new_ids:
                line = json.dumps(record, ensure_ascii=False).encode()
            producer.send(topic, value=line.strip(), key=str(record.get("conversation_id", "")).encode())
            sent += 1
            if rate is not None:
                time.sleep(max(0.0, started + sent / rate - time.monotonic()))
        producer.flush()
    finally:
        producer.close()
    return sent


def _lines(paths: Sequence[Path], limit: int | None) -> Iterator[bytes]:
    count = 0
    for path in paths:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as lines:
            for line in lines:
                if limit is not None and count >= limit:
                    return
                if line.strip():
                    count += 1
                    yield line


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sample_data.produce", description="Send turns to Kafka")
    parser.add_argument("files", type=Path, nargs="+", help="JSONL, plain or gzip")
    parser.add_argument("--bootstrap", default="127.0.0.1:9092")
    parser.add_argument("--topic", default="turns")
    parser.add_argument("--rate", type=float, help="messages a second (default: as fast as it goes)")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--new-ids", action="store_true", help="each turn is a conversation of its own")
    parser.add_argument("--now", action="store_true", help="each turn happens when it is sent")
    chosen = parser.parse_args(arguments)
    lines = _lines(chosen.files, chosen.limit)
    sent = produce(lines, chosen.bootstrap, chosen.topic, rate=chosen.rate, now=chosen.now, new_ids=chosen.new_ids)
    print(f"{sent} messages sent to {chosen.topic} at {chosen.bootstrap}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
