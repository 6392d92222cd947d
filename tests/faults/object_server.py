"""The part of S3 that the broker needs, in memory: python tests/faults/object_server.py PORT

It is what keeps the broker's log while that is restarted. (moto would do, and does not go with the python-dateutil of our
locks.)
"""

from __future__ import annotations

import hashlib
import sys
import threading
from bisect import bisect_right
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

_OBJECTS: dict[str, tuple[bytes, str]] = {}
_LOCK = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """One request. Keys are paths with their bucket."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        body = self._body()
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        with _LOCK:
            _, found = _OBJECTS.get(self._key(), (b"", None))
            wanted = self.headers.get("If-Match")
            if (self.headers.get("If-None-Match") == "*" and found) or (wanted and wanted != found):
                return self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            _OBJECTS[self._key()] = body, tag
        return self._answer(200, b"", ETag=tag)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if "list-type=2" in url.query:
            return self._list(unquote(url.path).strip("/"), parse_qs(url.query))
        with _LOCK:
            found = _OBJECTS.get(self._key())
        if found is None:
            return self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
        body, tag = found
        if self.headers.get("If-None-Match") == tag:
            return self._answer(304, b"", ETag=tag)
        wanted = self.headers.get("Range", "")
        if not wanted.startswith("bytes="):
            return self._answer(200, body, ETag=tag)
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        begin, end = int(first), min(int(last or len(body)) + 1, len(body))
        return self._answer(206, body[begin:end], ETag=tag, Content_Range=f"bytes {begin}-{end - 1}/{len(body)}")

    do_HEAD = do_GET

    def do_DELETE(self) -> None:
        with _LOCK:
            _OBJECTS.pop(self._key(), None)
        self._answer(204, b"")

    def _list(self, bucket: str, query: dict[str, list[str]]) -> None:
        """Everything in one page."""
        prefix = f"{bucket}/{query.get('prefix', [''])[0]}"
        after = f"{bucket}/{query.get('start-after', [''])[0]}"
        with _LOCK:
            keys = sorted(key for key in _OBJECTS if key.startswith(prefix))
        keys = keys[bisect_right(keys, after) :] if "start-after" in query else keys
        delimiter = query.get("delimiter", [""])[0]
        contents, folders = [], set[str]()
        for key in keys:
            rest = key.removeprefix(prefix)
            if delimiter and delimiter in rest:
                folders.add(prefix + rest[: rest.index(delimiter) + 1])
                continue
            body, tag = _OBJECTS[key]
            contents.append(
                f"<Contents><Key>{escape(key.removeprefix(f'{bucket}/'))}</Key><Size>{len(body)}</Size>"
                f"<LastModified>2026-03-01T00:00:00.000Z</LastModified><ETag>{escape(tag)}</ETag></Contents>"
            )
        common = [
            f"<CommonPrefixes><Prefix>{escape(one.removeprefix(f'{bucket}/'))}</Prefix></CommonPrefixes>"
            for one in sorted(folders)
        ]
        page = "".join(
            ["<ListBucketResult><IsTruncated>false</IsTruncated>", *contents, *common, "</ListBucketResult>"]
        )
        self._answer(200, page.encode(), Content_Type="application/xml")

    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).strip("/")

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, code: int, body: bytes, **headers: str) -> None:
        self.send_response_only(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Last-Modified", formatdate(usegmt=True))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def main() -> None:
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()


if __name__ == "__main__":
    main()
