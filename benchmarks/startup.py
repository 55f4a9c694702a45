"""How long `hooknet --help` takes, beside Python alone and beside importing torch."""

import statistics
import subprocess
import sys
import time

RUNS = 7


def seconds(*arguments: str) -> float:
    """Median wall seconds of a Python process."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    """Print a row per command."""
    bare = seconds("-c", "pass")
    print(f"{'start-up':32} {'seconds':>8} {'to bare Python':>15}")
    for name, arguments in (
        ("python -c pass", ("-c", "pass")),
        ("hooknet --help", ("-m", "hooknet", "--help")),
        ("python -c 'import torch'", ("-c", "import torch")),
    ):
        taken = seconds(*arguments)
        print(f"{name:32} {taken:8.2f} {taken / bare:14.1f}x")
    print()
