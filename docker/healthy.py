"""The image's health check: asks the service of this container how it is. Exit code 0 when it is well, 1 when not.

The address comes from the same settings as the service's, so `OFFMAP_SERVE_PORT` or a path in `OFFMAP_PUBLIC_URL` need no
second place. `docker inspect` shows what is said here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, build_opener

from monitor.errors import OffmapError
from monitor.settings import ServeSettings, load

#: Shorter than the image's own limit, so that what is said is this and not "killed".
_SECONDS = 8.0
_MOST_BYTES = 2000


def address(serve: ServeSettings) -> str:
    """Where the service answers inside of its container."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(serve.host, serve.host)  # noqa: S104  not listened on, asked
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{serve.port}{urlsplit(serve.public_url).path.rstrip('/')}/healthz"


def ask(url: str) -> tuple[bool, str]:
    """Whether the service is well, and what it says, or why it says nothing."""
    # A proxy of the environment is for the world outside: this is the container itself.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(url, timeout=_SECONDS) as answer:
            return True, answer.read(_MOST_BYTES).decode("utf-8", "replace")
    except HTTPError as error:
        said = error.read(_MOST_BYTES).decode("utf-8", "replace").strip()
        return False, f"{url} answers {error.code}: {said}"
    except (OSError, HTTPException) as error:
        return False, f"{url} does not answer: {getattr(error, 'reason', error)}"


def main(environment: Mapping[str, str]) -> int:
    try:
        settings, _ = load(environment)
    except OffmapError as error:
        well, said = False, str(error)
    else:
        well, said = ask(address(settings.serve))
    sys.stdout.write(f"{said.strip()}\n")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(os.environ))
