from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from hooknet.errors import SlideError
from hooknet.viewer.service import KEPT_OPEN, ByteCache, TileService


def test_cache_holds_what_was_used_last_up_to_its_limit():
    cache = ByteCache(limit=10)
    cache.put(("a",), b"aaaa")
    cache.put(("b",), b"bbbb")
    assert cache.get(("a",)) == b"aaaa"
    cache.put(("c",), b"cccc")
    assert cache.get(("b",)) is None
    assert cache.get(("a",)) == b"aaaa"
    cache.put(("a",), b"a")
    assert cache.held == 5
    cache.put(("d",), b"d" * 11)
    assert cache.get(("d",)) is None
    assert cache.held == 0


def test_many_threads_get_what_one_gets(viewed):
    layers = ("he", "labels", "truth", "map-1", "diff-1")
    places = [(key, 11, (column, row)) for key in layers for column in range(6) for row in range(5)]
    with closing(TileService(viewed)) as service:
        alone = [service.tile(0, *place) for place in places]
    # Without a cache every tile is read; of 12 threads several want the same files at once.
    with closing(TileService(viewed, ByteCache(0))) as service, ThreadPoolExecutor(12) as threads:
        together = list(threads.map(lambda place: service.tile(0, *place), places * 3))
        assert len(service._idle) <= KEPT_OPEN
    assert together == alone * 3


def test_a_tile_made_once_comes_from_memory(viewed, monkeypatch):
    with closing(TileService(viewed)) as service:
        first = service.tile(0, "he", 8, (0, 0))
        monkeypatch.setattr("hooknet.viewer.reader.SlideReader.encoded", None)
        assert service.tile(0, "he", 8, (0, 0)) == first


@pytest.mark.parametrize(
    "place",
    [
        (0, "he", 12, (0, 0)),
        (0, "he", 11, (6, 0)),
        (0, "map-2", 8, (0, 0)),
        (3, "he", 8, (0, 0)),
        (-1, "he", 8, (0, 0)),
    ],
)
def test_what_is_not_listed_is_not_there(viewed, place):
    with closing(TileService(viewed)) as service:
        assert service.tile(*place) is None


def test_a_slide_that_cannot_be_read_says_so_every_time(viewed):
    with closing(TileService(viewed)) as service:
        for _ in range(3):
            with pytest.raises(SlideError, match=r"broken\.tif"):
                service.facts(2)
