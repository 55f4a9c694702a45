"""What is done to a command before it starts, in its own process."""

from __future__ import annotations

import os
import random
import signal
import time
from typing import Any


def die_at_rename(number: int, after: bool) -> None:
    """Kill this process where a file takes its place for the so-manieth time: just before, or just after."""
    replace, done = os.replace, 0

    def counted(*arguments: Any, **options: Any) -> None:
        nonlocal done
        done += 1
        if after:
            replace(*arguments, **options)
        if done == number:
            os.killpg(0, signal.SIGKILL)
        if not after:
            replace(*arguments, **options)

    os.replace = counted  # type: ignore[assignment]


def leaping_clock(seed: int) -> None:
    """The time of day leaps by up to a year, back or forth, whenever it is asked for."""
    rng = random.Random(seed)
    tell, tell_ns = time.time, time.time_ns
    time.time = lambda: tell() + rng.uniform(-3e7, 3e7)
    time.time_ns = lambda: tell_ns() + rng.randrange(-(3 * 10**16), 3 * 10**16)
