"""How long each stage of a slide's inference was at work, beside the time it took in all."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator


class Stages:
    """Seconds by stage: ``read`` (decode, cut, look up what is wanted), ``network``, ``write``; stages overlap.

    ``tiles`` and ``pixels`` that were predicted.  Of several threads at one stage each counts.  ``unit``: what
    tiles are called.
    """

    def __init__(self, unit: str = "tiles") -> None:
        self.unit = unit
        self.seconds: dict[str, float] = defaultdict(float)
        self.tiles = 0
        self.pixels = 0
        self._lock = threading.Lock()
        self._start = time.perf_counter()

    @contextlib.contextmanager
    def at(self, stage: str) -> Iterator[None]:
        """Time spent here counts for a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self.seconds[stage] += time.perf_counter() - start

    @property
    def total(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._start

    def __str__(self) -> str:
        """``9 tiles in 8.1 s: read 2.2 s, network 7.8 s (96 %), write 0.3 s``; the share is the slowest stage's."""
        busy = {name: self.seconds.get(name, 0.0) for name in ("read", "network", "write")}
        total = self.total
        slowest = max(busy, key=lambda name: busy[name])
        parts = [
            f"{name} {seconds:.1f} s" + (f" ({seconds / total:.0%})" if name == slowest else "")
            for name, seconds in busy.items()
        ]
        return f"{self.tiles} {self.unit} in {total:.1f} s: {', '.join(parts)}"
