import http.client
import json
import logging
import socket

import made_view
import pytest

from hooknet.errors import HookNetError
from hooknet.viewer.server import ViewerServer


def ask(server, path, method="GET", **headers):
    """Status, headers and body; the path goes out as it is, where a browser or urllib would tidy it up."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.putrequest(method, path, skip_host=True)
    for name, value in ({"Host": f"127.0.0.1:{server.server_port}"} | headers).items():
        connection.putheader(name, value)
    connection.endheaders()
    response = connection.getresponse()
    found = response.status, response.headers, response.read()
    connection.close()
    return found


@pytest.mark.parametrize(
    ("path", "kind", "start"),
    [
        ("/", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/index.html?x=1", "text/html; charset=utf-8", b"<!doctype html>"),
        ("/main.js", "text/javascript; charset=utf-8", b"//"),
        ("/openseadragon.min.js", "text/javascript; charset=utf-8", b"//! openseadragon 6.1.1"),
        ("/data.js", "text/javascript; charset=utf-8", b"window.HOOKNET = {"),
        ("/tiles/0/he/8/0_0", "image/jpeg", b"\xff\xd8"),
        ("/tiles/0/map-1/11/5_4", "image/png", b"\x89PNG"),
        ("/slides/0", "application/json", b'{"size": [1500, 1100], "spacing": [0.5, 0.5]'),
        ("/areas/0/truth", "application/json", b'{"stroma": '),
    ],
)
def test_what_there_is(server, path, kind, start):
    status, headers, body = ask(server, path)
    assert status == 200
    assert headers["Content-Type"] == kind
    assert body.startswith(start)
    assert int(headers["Content-Length"]) == len(body)
    again = ask(server, path, "HEAD")
    assert again[0] == 200
    assert again[1]["Content-Length"] == headers["Content-Length"]
    assert again[2] == b""


@pytest.mark.parametrize(
    "path",
    [
        "/../pyproject.toml", "/..%2fpyproject.toml", "/%2e%2e/%2e%2e/etc/passwd", "/..\\..\\x", "/etc/passwd",
        "//etc/passwd", "/assets/index.html", "/server.py", "/index.html%00", "/index.html/", "/./index.html",
        "/tiles/0/../he/8/0_0", "/tiles/0/he/8/0_0/..", "/tiles/0/he/8/0_0%00", "/tiles/0/%68e/8/0_0",
        "/tiles/0//etc/passwd/8/0_0", "/tiles/0/labels.tif/8/0_0", "/tiles/0/he/08/0_0", "/tiles/0/he/-8/0_0",
        "/tiles/9/he/8/0_0", "/tiles/0/he/12/0_0", "/tiles/0/he/8/1_0", "/tiles/99999999999999999999/he/8/0_0",
        "/tiles/a/he/8/0_0", "/slides/3", "/slides/a.tif", "/areas/0/he", "/areas/0/tissue", "/areas/0/diff-0",
        "/areas/../0/truth", "http://127.0.0.1/../x", "file:///etc/passwd", "/slides/%D9%A0",
    ],
)  # fmt: skip
def test_nothing_else_can_be_named(server, path):
    status, headers, body = ask(server, path)
    assert (status, body) == (404, b"not found\n")
    assert headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("path", [b"/\0", b"/index.html\0", b"/tiles/0/he/8/0_0\0.jpg", b"/slides/\xd9\xa0"])
def test_bytes_that_no_url_has_name_nothing(server, path):
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as connection:
        host = f"Host: 127.0.0.1:{server.server_port}\r\nConnection: close\r\n\r\n".encode()
        connection.sendall(b"GET " + path + b" HTTP/1.1\r\n" + host)
        status = connection.makefile("rb").readline()
    assert status.split()[1] in (b"400", b"404")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"])
def test_only_reading_is_allowed(server, method):
    assert ask(server, "/", method)[0] == 501


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "", "127.0.0.1:{port}.evil"]
)
def test_a_name_of_others_that_leads_here_gets_nothing(server, host):
    status, _, body = ask(server, "/data.js", Host=host.format(port=server.server_port))
    assert (status, body) == (403, b"wrong host\n")


def test_this_machine_has_two_names(server):
    for name in ("127.0.0.1", "localhost"):
        assert ask(server, "/", Host=f"{name}:{server.server_port}")[0] == 200


@pytest.mark.parametrize("path", ["/", "/data.js", "/tiles/0/he/8/0_0", "/nothing", "/slides/2"])
def test_every_answer_binds_the_browser(server, path):
    headers = ask(server, path)[1]
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = dict(one.strip().split(" ", 1) for one in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Server"].strip() == "hooknet"


def test_it_listens_on_this_machine_only(server):
    assert server.server_address[0] == "127.0.0.1"


def test_a_slide_that_cannot_be_read_is_one_line_there_and_here(server, caplog):
    with caplog.at_level(logging.WARNING):
        status, _, body = ask(server, "/tiles/2/he/8/0_0")
    assert status == 500
    line = json.loads(body)["error"]
    assert "broken.tif" in line
    assert [one.getMessage() for one in caplog.records] == [line]


def test_a_port_in_use_is_one_line(server):
    with pytest.raises(HookNetError, match=f"port {server.server_port} of 127.0.0.1: it is in use"):
        ViewerServer(server.service, server.server_port)


def test_names_are_data_and_no_paths_are_told(server, viewed):
    text = ask(server, "/data.js")[2].decode()
    told = json.loads(text.removeprefix("window.HOOKNET = ").rstrip().removesuffix(";"))
    assert [one["id"] for one in told["slides"]] == ["a", made_view.HOSTILE_SLIDE, "broken"]
    assert told["systems"] == list(viewed.systems)
    assert str(viewed.slides[0].path.parent) not in text
