"""What it takes to start: the help, the libraries below it, and each command until its work begins."""

import ast
import statistics
from pathlib import Path

from benchmarks.table import Process, Table, measured
from hooknet.cli import main as cli

ROUNDS = 5
COLUMNS = ("what", "seconds", "processor seconds", "peak MiB")
#: From nothing to the help: each row does what those above it do, and one thing more.
HELP = {
    "python -c pass": ("-c", "pass"),
    "... and import typer": ("-c", "import typer"),
    "... and every command's options": ("-c", "import hooknet.cli.main"),
    "hooknet --help": ("-m", "hooknet", "--help"),
    "hooknet infer --help": ("-m", "hooknet", "infer", "--help"),
}
#: What the help does without, and some commands need.
LIBRARIES = ("rich.markdown", "pydantic", "numpy", "openslide", "rasterio", "shapely", "pandas", "torch")


def needs(command: str) -> str:
    """The imports a command makes when asked to work: those in the functions of its module, and for its settings."""
    text = Path(str(cli.__file__)).with_name(f"{command}.py").read_text(encoding="utf-8")
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef)]
    inside = [node for one in functions for node in ast.walk(one)]
    imports = [ast.unparse(node) for node in inside if isinstance(node, (ast.Import, ast.ImportFrom))]
    return "\n".join(["import hooknet.cli.main, hooknet.config.project", *imports])


def rows(starts: dict[str, tuple[str, ...]], rounds: int = ROUNDS) -> list[tuple[str, float, float, float]]:
    """Name, seconds, processor seconds and MiB of Python processes: medians of rounds in turn."""
    found: dict[str, list[Process]] = {name: [] for name in starts}
    for _ in range(rounds):
        for name, arguments in starts.items():
            found[name].append(measured(*arguments))
    return [
        (
            name,
            statistics.median(one.seconds for one in processes),
            statistics.median(one.processor_seconds for one in processes),
            statistics.median(one.peak_mib for one in processes),
        )
        for name, processes in found.items()
    ]


def main() -> None:
    """Print the help step by step, then libraries and commands beside each other."""
    # What a child held before it became Python is counted too: no row is below what this process holds.
    print(Table("The help (wanted: 0.3 s)", COLUMNS, rows(HELP)))
    libraries = {f"import {name}": ("-c", f"import {name}") for name in LIBRARIES}
    print(Table("Libraries", COLUMNS, rows(libraries, 3)))
    commands = {f"hooknet {name.replace('_', '-')}": ("-c", needs(name)) for name in cli.COMMANDS}
    print(Table("Each command, until it has imported what it works with", COLUMNS, rows(commands, 3)))
