"""Tiles for several threads: finished ones from memory, others by slides that are kept open."""

from __future__ import annotations

import contextlib
import threading
from collections import OrderedDict
from collections.abc import Iterator

from hooknet.viewer.areas import class_areas
from hooknet.viewer.catalogue import Viewed
from hooknet.viewer.page import slide_facts
from hooknet.viewer.reader import SlideReader

CACHE_BYTES = 128 << 20
# Tiles made at the same time, and slides that stay open between two tiles.
AT_ONCE = 4
KEPT_OPEN = 6


class ByteCache:
    """What was made last, up to so many bytes; for several threads."""

    def __init__(self, limit: int = CACHE_BYTES) -> None:
        self.limit = limit
        self.held = 0
        self._entries: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...]) -> bytes | None:
        """What is kept under a key; from now on it counts as made last."""
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
            return self._entries.get(key)

    def put(self, key: tuple[object, ...], content: bytes) -> None:
        """Keep it, and let go of the oldest for it; what is larger than the limit is not kept."""
        with self._lock:
            self.held += len(content) - len(self._entries.pop(key, b""))
            self._entries[key] = content
            while self.held > self.limit:
                self.held -= len(self._entries.popitem(last=False)[1])


class TileService:
    """What a server hands out of a dataset, by numbers and keys that it looks up; for several threads.

    A reader serves one thread at a time: one that is not in use is taken, or another one opened.
    """

    def __init__(self, viewed: Viewed, cache: ByteCache | None = None) -> None:
        self.viewed = viewed
        self._cache = cache or ByteCache()
        self._idle: list[tuple[int, SlideReader]] = []  # given back last comes last
        self._lock = threading.Lock()
        self._areas: dict[tuple[int, str], dict[str, float]] = {}
        self._counting = threading.Lock()
        self._turn = threading.BoundedSemaphore(AT_ONCE)

    def facts(self, slide: int) -> dict[str, object] | None:
        """What the page has to know of a slide; None where there is no such slide."""
        if not 0 <= slide < len(self.viewed.slides):
            return None
        with self._reader(slide) as reader:
            return slide_facts(reader.slide, reader.pyramid)

    def tile(self, slide: int, key: str, level: int, place: tuple[int, int]) -> bytes | None:
        """The encoded tile at a (column, row); None where there is no such slide, layer or tile.

        SlideError or MaskError where a file cannot be read.
        """
        if not 0 <= slide < len(self.viewed.slides) or key not in self.viewed.slides[slide].by_key:
            return None
        name = (slide, key, level, *place)
        content = self._cache.get(name)
        if content is None:
            with self._reader(slide) as reader:
                content = reader.encoded(self.viewed.slides[slide].by_key[key], level, *place)
            if content is not None:
                self._cache.put(name, content)
        return content

    def areas(self, slide: int, key: str) -> dict[str, float] | None:
        """Class name -> mm² of a layer of classes; None where there is no such slide or layer."""
        if not 0 <= slide < len(self.viewed.slides):
            return None
        layer = self.viewed.slides[slide].by_key.get(key)
        if layer is None or not layer.has_classes:
            return None
        with self._counting:  # of several that ask for one layer the first counts
            if (slide, key) not in self._areas:
                self._areas[slide, key] = class_areas(layer, self.viewed.classes)
            return self._areas[slide, key]

    def close(self) -> None:
        """Let go of all files."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, reader in idle:
            reader.close()

    @contextlib.contextmanager
    def _reader(self, slide: int) -> Iterator[SlideReader]:
        """A reader of the slide for this thread alone."""
        with self._turn:
            reader = self._taken(slide) or SlideReader(self.viewed.slides[slide], self.viewed.classes)
            try:
                yield reader
            except BaseException:
                reader.close()  # after an error its handles may be of no use
                raise
            for old in self._given_back(slide, reader):
                old.close()

    def _taken(self, slide: int) -> SlideReader | None:
        with self._lock:
            for place, (number, reader) in enumerate(self._idle):
                if number == slide:
                    del self._idle[place]
                    return reader
        return None

    def _given_back(self, slide: int, reader: SlideReader) -> list[SlideReader]:
        """Keeps a reader; those that are now too many."""
        with self._lock:
            self._idle.append((slide, reader))
            old, self._idle = self._idle[:-KEPT_OPEN], self._idle[-KEPT_OPEN:]
        return [one for _, one in old]
