"""The viewer's web server: for this machine only, and only what the catalogue lists."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer

from hooknet.errors import HookNetError
from hooknet.viewer.page import DATA, FILES, PAGE, data_script
from hooknet.viewer.service import TileService

HOST = "127.0.0.1"
HTTP_PORT = 80
IDLE_SECONDS = 60
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
# Of the one <style> that OpenSeadragon adds, for fingers on a screen.
STYLE = "'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        f"default-src 'none'; script-src 'self'; style-src 'self' {STYLE}; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
# Numbers and keys only, each looked up: no part of a URL ever becomes part of a path.
NUMBER, KEY = r"(0|[1-9]\d{0,8})", r"([a-z]+(?:-\d{1,4})?)"
TILE = re.compile(rf"/tiles/{NUMBER}/{KEY}/{NUMBER}/{NUMBER}_{NUMBER}", re.ASCII)
FACTS = re.compile(rf"/slides/{NUMBER}", re.ASCII)
AREAS = re.compile(rf"/areas/{NUMBER}/{KEY}", re.ASCII)

logger = logging.getLogger(__name__)

Answer = tuple[bytes, str]


class Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; everything else is refused."""

    server: ViewerServer
    protocol_version = "HTTP/1.1"
    server_version = "hooknet"
    sys_version = ""
    timeout = IDLE_SECONDS

    def do_GET(self) -> None:
        """Send what a URL names."""
        self._respond(with_body=True)

    def do_HEAD(self) -> None:
        """Send the headers of what a URL names."""
        self._respond(with_body=False)

    def _respond(self, with_body: bool) -> None:
        if not self._is_for_us():
            self._send(HTTPStatus.FORBIDDEN, (b"wrong host\n", ".txt"), with_body)
            return
        try:
            answer = self.server.answer(self.path.partition("?")[0])
        except HookNetError as error:
            line = " ".join(str(error).split())
            logger.warning("%s", line)
            told = json.dumps({"error": line}).encode()
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, (told, ".json"), with_body)
            return
        if answer is None:
            self._send(HTTPStatus.NOT_FOUND, (b"not found\n", ".txt"), with_body)
        else:
            self._send(HTTPStatus.OK, answer, with_body)

    def _is_for_us(self) -> bool:
        """Whether the browser asked for this machine by name: a name of others may lead here (DNS rebinding)."""
        hosts = self.headers.get_all("Host") or []
        return len(hosts) == 1 and hosts[0] in self.server.names

    def _send(self, status: HTTPStatus, answer: Answer, with_body: bool) -> None:
        content, suffix = answer
        try:
            self.send_response(status)
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.send_header("Content-Type", TYPES[suffix])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if with_body:
                self.wfile.write(content)
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # whoever asked has gone on to another place

    def log_message(self, format: str, *args: object) -> None:
        """Say requests where everything is to be said."""
        logger.debug(format, *args)


class ViewerServer(ThreadingHTTPServer):
    """Serves a dataset on 127.0.0.1; ``port`` 0 takes one that is free."""

    daemon_threads = True

    def __init__(self, service: TileService, port: int) -> None:
        """HookNetError where the port cannot be had."""
        self.service = service
        self._data = data_script(service.viewed).encode()
        try:
            super().__init__((HOST, port), Handler)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            found = "it is in use" if taken else os.strerror(error.errno or 0)
            raise HookNetError(
                f"port {port} of {HOST}: {found}, wanted a free one; name another with --port, or 0 for any"
            ) from None

    @property
    def names(self) -> tuple[str, ...]:
        """What a browser on this machine calls us."""
        names = HOST, "localhost"
        port = self.server_port
        return tuple(f"{one}:{port}" for one in names) + (names if port == HTTP_PORT else ())

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/"

    def server_bind(self) -> None:
        """Bind without looking up this machine's name, which can take seconds and is of no use."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    def answer(self, path: str) -> Answer | None:
        """Content and suffix of what a URL's path names, None for nothing; HookNetError for what cannot be read."""
        name = path.removeprefix("/") or PAGE
        if name == DATA:
            return self._data, ".js"
        if name in FILES:
            return FILES[name].read_bytes(), FILES[name].suffix
        if found := TILE.fullmatch(path):
            slide, key, level, column, row = found.groups()
            content = self.service.tile(int(slide), key, int(level), (int(column), int(row)))
            return None if content is None else (content, ".jpg" if key == "he" else ".png")
        if found := FACTS.fullmatch(path):
            return _as_json(self.service.facts(int(found[1])))
        if found := AREAS.fullmatch(path):
            return _as_json(self.service.areas(int(found[1]), found[2]))
        return None


def _as_json(told: object) -> Answer | None:
    return None if told is None else (json.dumps(told).encode(), ".json")
