"""Run every benchmark and print its table, with the machine and the versions it was measured on."""

import os
import platform
from importlib import metadata

from benchmarks import reading, startup


def main() -> None:
    """Print all tables."""
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("hooknet", "numpy", "openslide-bin", "torch")
    )
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}\n")
    startup.main()
    reading.main()


main()
