"""A folder served as an S3-like object storage: a folder in it is a bucket, a file below that an object."""

from __future__ import annotations

import contextlib
import email.utils
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

# What a client needs besides the address.
KEYS = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_DEFAULT_REGION": "eu-central-1"}


class Handler(BaseHTTPRequestHandler):
    """Objects are read (whole or a range of bytes), written, removed and listed: what Snakemake's plugin asks for."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the client to confirm its head
    root: Path

    def do_HEAD(self) -> None:
        self._answer(*self._found())

    def do_GET(self) -> None:
        if self._key().count("/") == 0:
            return self._answer(200, {}, self._listing())
        status, headers = self._found()
        body = self._place().read_bytes() if status == 200 else b""
        if status == 200 and "Range" in self.headers:
            first, last = self.headers["Range"].removeprefix("bytes=").split("-")
            size, status = len(body), 206
            body = body[int(first) : int(last) + 1 if last else size]
            headers["Content-Range"] = f"bytes {first}-{int(first) + len(body) - 1}/{size}"
        headers["Content-Length"] = str(len(body))
        return self._answer(status, headers, body)

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._place().parent.mkdir(parents=True, exist_ok=True)
        self._place().write_bytes(body)
        self._answer(200, {"ETag": '"0"'})

    def do_DELETE(self) -> None:
        self._place().unlink(missing_ok=True)
        self._answer(204, {})

    def log_message(self, *_: object) -> None:
        """Nothing to the tests' output."""

    def _key(self) -> str:
        """Bucket and object."""
        return unquote(urlsplit(self.path).path).strip("/")

    def _place(self) -> Path:
        return self.root / self._key()

    def _found(self) -> tuple[int, dict[str, str]]:
        place = self._place()
        if place.is_dir() and place.parent == self.root:
            return 200, {}
        if not place.is_file():
            return 404, {}
        about = place.stat()
        when = email.utils.formatdate(about.st_mtime, usegmt=True)
        return 200, {"Content-Length": str(about.st_size), "Last-Modified": when, "ETag": '"0"'}

    def _listing(self) -> bytes:
        bucket, prefix = self._place(), parse_qs(urlsplit(self.path).query).get("prefix", [""])[0]
        rows = []
        for path in sorted(bucket.rglob("*")):
            key = str(path.relative_to(bucket))
            if path.is_file() and key.startswith(prefix):
                about = path.stat()
                when = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(about.st_mtime))
                rows.append(
                    f"<Contents><Key>{escape(key)}</Key><LastModified>{when}</LastModified>"
                    f"<ETag>0</ETag><Size>{about.st_size}</Size></Contents>"
                )
        return (
            f"<ListBucketResult><Name>{bucket.name}</Name><IsTruncated>false</IsTruncated>{''.join(rows)}"
            "</ListBucketResult>"
        ).encode()

    def _answer(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextlib.contextmanager
def served(root: Path) -> Iterator[str]:
    """The address of an object storage that is the folder."""
    handler = type("HandlerOfFolder", (Handler,), {"root": root})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
