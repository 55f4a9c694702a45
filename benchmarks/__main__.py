"""Run benchmarks and print their tables, with the machine and the versions they were measured on.

``python -m benchmarks`` runs all of them but those that take longest, ``python -m benchmarks reading scale`` these two.
"""

import subprocess
import sys
import time

from benchmarks.table import machine

# Each module has a ``main`` that prints its tables.
NAMES = (
    "startup",
    "reading",
    "copying",
    "training",
    "devices",
    "inference",
    "memory",
    "whole_slide",
    "resuming",
    "staged",
    "rasterising",
    "evaluating",
    "exporting",
    "deformable",
    "workflow",
)
# By name only.
LONG = ("scale", "flat_memory", "fields_of_view", "hooks", "sureness")


def main(names: list[str]) -> None:
    """Print the tables of some benchmarks, or of all."""
    unknown = [name for name in names if name not in (*NAMES, *LONG)]
    if unknown:
        raise SystemExit(f"no benchmark {', '.join(unknown)}; there are {', '.join((*NAMES, *LONG))}")
    print(machine(), flush=True)
    for name in names or NAMES:
        start = time.perf_counter()
        print(f"\n## {name}\n", flush=True)
        # Each in a process of its own: what one has held in memory would count for those that the next one starts.
        subprocess.run([sys.executable, "-c", f"from benchmarks.{name} import main; main()"], check=True)
        print(f"\n({name}: {time.perf_counter() - start:.0f} s)", flush=True)


main(sys.argv[1:])
