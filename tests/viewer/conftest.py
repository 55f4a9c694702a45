import sys
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import browser
import pytest

# What the tests of this folder share; test folders are no packages.
sys.path.insert(0, str(Path(__file__).parent))

import made_view

from hooknet.viewer.server import ViewerServer
from hooknet.viewer.service import TileService


@pytest.fixture(scope="session")
def viewed(tmp_path_factory):
    """Two slides with hostile names, one with maps of two systems, and one that cannot be read."""
    return made_view.write(tmp_path_factory.mktemp("viewed"))


@contextmanager
def serving(viewed):
    with closing(TileService(viewed)) as service, ViewerServer(service, 0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def server(viewed):
    with serving(viewed) as running:
        yield running


@pytest.fixture(scope="session")
def chromium():
    with browser.opened() as opened:
        yield opened
