"""The demo: sample traffic through Kafka into a store, analysed, and served.

    python -m sample_data.demo --data DIR [--no-serve] [--port 8050]

The store is `OFFMAP_STORE`. Without a broker on this machine the traffic is read from its file; either way it says which.
A second run finds its work done.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sample_data.broker import broker, missing

__all__ = ["main"]

_OFFMAP = [sys.executable, "-c", "import sys; from monitor.cli import main; sys.exit(main())"]


def _offmap(*arguments: str, quiet: bool = False) -> str:
    """Run a command as a person would; what it printed when `quiet`."""
    if not quiet:
        print(f"$ offmap {' '.join(arguments)}", flush=True)
    done = subprocess.run([*_OFFMAP, *arguments], check=False, stdout=subprocess.PIPE if quiet else None, text=True)  # noqa: S603
    if done.returncode:
        raise SystemExit(done.returncode)
    return done.stdout or ""


@contextmanager
def _fed(turns: Path) -> Iterator[list[str]]:
    """Feed the traffic; what `offmap serve` needs to go on reading."""
    reason = missing()
    if reason is not None:
        print(f"Kafka: no broker here ({reason}); the traffic is read from its file.", flush=True)
        _offmap("ingest", str(turns))
        yield []
        return
    with broker() as address:
        # A topic of its own for every broker: its log is in memory, and the store remembers how far it has read a topic.
        topic = f"turns-{int(time.time())}"
        print(f"Kafka: a broker runs at {address}; the traffic goes through its topic {topic}.", flush=True)
        produce = [sys.executable, "-m", "sample_data.produce", str(turns), "--bootstrap", address, "--topic", topic]
        subprocess.run(produce, check=True)  # noqa: S603
        os.environ |= {"OFFMAP_KAFKA_BOOTSTRAP": address, "OFFMAP_KAFKA_TOPIC": topic}
        _offmap("consume", "--until-end")
        yield ["--kafka"]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sample_data.demo", description="Run the demo")
    parser.add_argument("--data", type=Path, required=True, help="the folder that sample_data.generate wrote")
    parser.add_argument("--port", type=int, default=8050)
    parser.add_argument("--no-serve", action="store_true", help="stop before serving")
    chosen = parser.parse_args(arguments)
    _offmap("init")
    _offmap("evalset", "import", str(chosen.data / "evalset.jsonl"), "--name", "sample")
    try:
        with _fed(chosen.data / "turns.jsonl.gz") as options:
            _offmap("analyse", "--eval-set", "sample")
            _offmap("gaps", "--limit", "8")
            _say_next(options, chosen.port, serve=not chosen.no_serve)
            if not chosen.no_serve:
                done = subprocess.run([*_OFFMAP, "serve", "--port", str(chosen.port), *options], check=False)  # noqa: S603
                return done.returncode
    except RuntimeError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nThe demo has ended; its store stays.")
    return 0


def _say_next(options: Sequence[str], port: int, *, serve: bool) -> None:
    gap = json.loads(_offmap("gaps", "--limit", "1", "--json", quiet=True))["gaps"][0]
    store = os.environ.get("OFFMAP_STORE", "offmap.duckdb")
    print()
    if serve:
        print(f"Open http://127.0.0.1:{port} and press the first of the top gaps, {gap['label']}:")
        print("  read what people ask, look at the eval items that come nearest, and press Export.")
        if options:
            print("Send a message, and see it counted on the Data page within seconds:")
            where = f"--bootstrap {os.environ['OFFMAP_KAFKA_BOOTSTRAP']} --topic {os.environ['OFFMAP_KAFKA_TOPIC']}"
            python = Path(sys.executable)
            print("  zcat sample_data/small/turns.jsonl.gz | head -3 |")
            print(f"    {python} -m sample_data.produce /dev/stdin --now --new-ids {where}")
    else:
        print(f"That was the demo. Its store is {store}. To go on with it:")
        print(f"  export OFFMAP_STORE={store}; {Path(sys.executable).parent}/offmap serve")
    print("Your own log goes into a store of its own:")
    print("  export OFFMAP_STORE=mine.duckdb; offmap init; offmap ingest YOUR-LOG.jsonl --dry-run")
    print("README.md says which logs and eval sets offmap reads, and what the numbers mean.", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
