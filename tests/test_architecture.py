"""Imports go down the layers, light parts stay light, files stay short."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "hooknet"
LONGEST = 320

# Lowest first.  Parts on one line may not import each other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("errors",),
    ("labels", "coordinates"),  # the terms: classes, micrometres
    ("shapes",),  # networks as arithmetic
    ("config",),  # what a user may ask for
    ("io", "metrics", "models"),  # files | counts | networks: three islands
    (
        "groundtruth",
        "data",
        "demo",
        "objects",
    ),  # annotations -> masks -> centres | patches -> batches | synthetic slides
    ("training", "inference", "evaluation"),
    ("search",),  # which fields of view
    ("report", "viewer"),
    ("prediction",),  # new slides
    ("cli",),
)
# No torch at all here; in the command line only inside functions.
MAY_IMPORT_TORCH = {"models", "data", "training", "inference"}


def part_of(path: Path, package: Path) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def skipped_nodes(tree: ast.Module) -> set[ast.AST]:
    """What stands under ``if TYPE_CHECKING``."""
    return {
        below
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for below in ast.walk(statement)
    }


def imports(tree: ast.Module) -> list[tuple[int, str]]:
    """(line, dotted name) of each import that runs, wherever it stands."""
    skipped = skipped_nodes(tree)
    found = []
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            name = "hooknet.(relative import)" if node.level else node.module
            found += [(node.lineno, f"{name}.{alias.name}") for alias in node.names]
    return found


def in_functions(tree: ast.Module) -> set[int]:
    """Lines inside functions."""
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return {line for one in functions for line in range(one.lineno + 1, (one.end_lineno or one.lineno) + 1)}


def violations(package: Path) -> list[str]:
    height = {part: number for number, layer in enumerate(LAYERS) for part in layer}
    told = []
    for path in sorted(package.rglob("*.py")):
        part = part_of(path, package)
        if part in {"__init__", "__main__"}:
            continue
        if part not in height:
            told.append(f"{path}: {part} has no layer")
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        lazy = in_functions(tree) if part == "cli" else set()
        for line, name in imports(tree):
            words = name.split(".")
            heavy = words[0] in {"torch", "lightning"}
            if heavy and part not in MAY_IMPORT_TORCH and line not in lazy:
                told.append(f"{path}:{line}: {part} must not import {words[0]}")
            if words[0] != "hooknet" or len(words) == 1 or words[1] == "__version__":
                continue
            target = words[1]
            if target not in height:
                told.append(f"{path}:{line}: {name} has no layer, or is a relative import")
            elif target != part and height[target] >= height[part]:
                told.append(f"{path}:{line}: {part} imports {target}, which is not below it")
    return told


def test_every_import_goes_down():
    assert violations(PACKAGE) == []


@pytest.mark.parametrize(
    ("place", "text", "told"),
    [
        ("io/a.py", "from hooknet.models import b", "io imports models"),
        ("io/a.py", "def f():\n    import hooknet.cli.main", "io imports cli"),
        ("io/a.py", "from . import b", "relative import"),
        ("io/a.py", "from hooknet import models", "io imports models"),
        ("metrics/a.py", "import torch.nn", "metrics must not import torch"),
        ("cli/a.py", "import torch", "cli must not import torch"),
        ("extra/a.py", "", "extra has no layer"),
    ],
)
def test_the_check_sees_what_it_looks_for(tmp_path, place, text, told):
    path = tmp_path / place
    path.parent.mkdir()
    path.write_text(text)
    assert told in "\n".join(violations(tmp_path))


@pytest.mark.parametrize(
    "text",
    ["def f():\n    import torch", "if TYPE_CHECKING:\n    import torch", "from hooknet.io import masks"],
)
def test_the_check_lets_pass_what_may_be(tmp_path, text):
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "a.py").write_text(text)
    assert violations(tmp_path) == []


def test_all_parts_have_a_layer_and_all_layers_a_part():
    parts = {part_of(path, PACKAGE) for path in PACKAGE.rglob("*.py")} - {"__init__", "__main__"}
    assert parts == {part for layer in LAYERS for part in layer}


def test_files_can_be_read_in_one_go():
    long = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {path: lines for path, lines in long.items() if lines >= LONGEST} == {}


def test_package_files_hold_a_docstring_only():
    for path in PACKAGE.rglob("__init__.py"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert ast.get_docstring(ast.Module(body, []))
        assert path.parent == PACKAGE or len(body) == 1


def loaded_after(program: str) -> set[str]:
    """The top-level modules loaded once a program has run."""
    told = f"{program}\nimport sys\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return set(done.stdout.splitlines()[-1].split())


def test_help_comes_without_waiting_for_heavy_libraries():
    program = (
        "import sys\nsys.argv = ['hooknet', '--help']\nfrom hooknet.cli.main import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code"
    )
    loaded = loaded_after(program)
    assert "hooknet" in loaded
    assert not loaded & {"torch", "openslide", "lightning", "pandas", "rasterio", "matplotlib", "scipy"}


def test_light_steps_do_without_tables():
    steps = ("check_slide", "make_splits", "read_annotations")
    program = "\n".join(f"import hooknet.cli.{one}" for one in steps)
    program += "\nimport hooknet.io.records, hooknet.groundtruth.slide_record, hooknet.groundtruth.cohort"
    assert not loaded_after(program) & {"pandas", "pyarrow", "torch"}


@pytest.mark.parametrize(
    "part", ["io.slides", "io.masks", "io.tables", "groundtruth.centres", "config.project"]
)
def test_files_and_ground_truth_need_no_torch(part):
    assert not loaded_after(f"import hooknet.{part}") & {"torch", "lightning"}
