"""How readers are fuzzed: what they may do with whatever they are given, and for how long it is tried.

`make test` tries a fixed number of examples, the same ones every time; HOOKNET_FUZZ_MINUTES=60 (`make fuzz`) tries
new ones for so long, shared among the targets.
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy

from hooknet.errors import HookNetError

#: Of one example: seconds of computing (a busy machine is no failure) and in all, MiB that it may add to the process
#: at its peak, and MiB that it may ask for.
SECONDS, IN_ALL, MOST_MB, LIMIT_MB = 5.0, 120.0, 128, 1024
#: Examples of one call of hypothesis in a long run.
AT_ONCE = 500
#: Targets that share HOOKNET_FUZZ_MINUTES.
TARGETS = 7
MINUTES = float(os.environ.get("HOOKNET_FUZZ_MINUTES", "0"))
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class TooSlow(BaseException):
    """No Exception, which a reader might take for bad input."""


@dataclass
class Tally:
    """What came of one target's examples; ``lines``: kinds of message, names and numbers left out."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    peak_mb: float = 0.0
    lines: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return (
            f"{self.read + self.refused} examples, {self.read} read, {self.refused} refused with {len(self.lines)} "
            f"kinds of line; slowest {self.slowest:.2f} s of computing, at most {self.peak_mb:.0f} MiB more than before"
        )


TALLIES: dict[str, Tally] = {}


def fuzz(
    name: str, strategy: SearchStrategy, examples: int, read: Callable[[object], None], error: type
) -> None:
    """Try a target: ``read`` may return, or raise ``error`` with one line; in bounded time and memory."""
    tally = TALLIES.setdefault(name, Tally())

    def one(example: object) -> None:
        outcome(tally, read, example, error)

    quick = settings(
        max_examples=examples if not MINUTES else AT_ONCE,
        derandomize=not MINUTES,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )
    until = time.monotonic() + 60 * MINUTES / TARGETS
    while True:
        quick(given(strategy)(one))()
        if time.monotonic() >= until:
            return


def outcome(tally: Tally, read: Callable[[object], None], example: object, error: type) -> None:
    """One example, judged."""
    start, before, refusal = time.process_time(), status("VmRSS"), None
    forget_peak()
    try:
        with bounded():
            read(example)
    except HookNetError as found:
        refusal = found
    peak = status("VmHWM") - before
    tally.slowest = max(tally.slowest, time.process_time() - start)
    tally.peak_mb = max(tally.peak_mb, peak)
    assert peak <= MOST_MB, f"took {peak:.0f} MiB"
    if refusal is None:
        tally.read += 1
        return
    assert type(refusal) is error, f"{type(refusal).__name__}, wanted {error.__name__}"
    line = str(refusal)
    assert line.strip(), "an empty message"
    assert len(line.splitlines()) == 1, f"not one line: {line!r}"
    tally.refused += 1
    tally.lines.add(re.sub(r"'[^']*'|\([^()]*\)|[\d.e+-]+", "", line))


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """TooSlow after SECONDS or IN_ALL, MemoryError (or what a library makes of it) for LIMIT_MB more than there are."""

    def too_slow(*_: object) -> None:
        raise TooSlow

    timers = {signal.SIGPROF: signal.ITIMER_PROF, signal.SIGALRM: signal.ITIMER_REAL}
    old = {one: signal.signal(one, too_slow) for one in timers}
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    size = status("VmSize")
    if size:
        resource.setrlimit(resource.RLIMIT_AS, (int((size + LIMIT_MB) * 2**20), hard))
    try:
        # Again every second: somewhere a library may swallow the first.
        signal.setitimer(signal.ITIMER_PROF, SECONDS, 1)
        signal.setitimer(signal.ITIMER_REAL, IN_ALL, 1)
        yield
    finally:
        for one, timer in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(one, old[one])
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def status(key: str) -> float:
    """MiB of this process as Linux counts them; 0 elsewhere, where memory is not looked at."""
    if not STATUS.exists():
        return 0.0
    (line,) = [one for one in STATUS.read_text().splitlines() if one.startswith(f"{key}:")]
    return int(line.split()[1]) / 1024


def forget_peak() -> None:
    """Let VmHWM start from what is held now."""
    if CLEAR.exists():
        CLEAR.write_text("5")
