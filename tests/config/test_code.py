"""A step is repeated for a change of code that it runs, and for no other."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hooknet.cli.main import COMMANDS
from hooknet.config import code
from hooknet.config.code import code_of, reached

RULES = Path(__file__).resolve().parents[2] / "workflow" / "rules"
FILES = {
    "__init__.py": "",
    "cli/__init__.py": "",
    "cli/options.py": "HELP = 'a folder'\n",
    "cli/draw.py": "from hooknet.cli.options import HELP\n\n\n"
    "def run():\n    from hooknet.io import masks\n\n    masks.write()\n",
    "cli/count.py": "from hooknet.metrics.sums import total\nfrom hooknet.config.words import WORD\n",
    "config/__init__.py": "",
    "config/words.py": "WORD = 1\n",
    "io/__init__.py": "",
    "io/masks.py": '"""Masks."""\n\n\ndef write():\n    """Write."""\n    return "z" in {"x", "y", "z"}  # a set\n',
    "metrics/__init__.py": "",
    "metrics/sums.py": "def total(values):\n    return sum(values)\n",
    "metrics/page.html": "<p>",
}


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "hooknet"
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    yield folder
    forget()


def forget():
    for one in (code.code_of, code._meaning, code._data, code._file_of):
        one.cache_clear()


def changed(package, name, old, new):
    """Which commands' code is another after a change of a file."""
    before = {one: code_of(one, package) for one in ("draw", "count")}
    path = package / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    forget()
    return [one for one, was in before.items() if code_of(one, package) != was]


@pytest.mark.parametrize(
    ("name", "old", "new", "commands"),
    [
        ("io/masks.py", "return", "return not", ["draw"]),
        ("io/masks.py", '"y"', '"w"', ["draw"]),
        ("io/masks.py", "def write", "LEVEL = 3\n\n\ndef write", ["draw"]),
        ("io/masks.py", "# a set", "# of letters", []),
        ("io/masks.py", '"""Write."""', '"""Write it."""', []),
        ("io/masks.py", '"""Masks."""\n', '"""Label masks."""\n\n\n', []),
        ("metrics/sums.py", "sum(", "max(", ["count"]),
        ("metrics/sums.py", "values", "numbers", ["count"]),
        ("metrics/page.html", "<p>", "<b>", ["count"]),
        ("config/words.py", "1", "2", []),
        ("cli/options.py", "a folder", "the folder", []),
        ("cli/draw.py", "masks.write()", "masks.write(), 1", ["draw"]),
    ],
)
def test_a_change_concerns_the_commands_that_run_it(package, name, old, new, commands):
    assert changed(package, name, old, new) == commands


def test_imports_inside_functions_and_of_modules_from_packages_count(package):
    assert reached("hooknet.cli.draw", package) == {"hooknet.cli.draw", "hooknet.io", "hooknet.io.masks"}


def test_it_is_the_same_in_each_process(package):
    imports = "from pathlib import Path; from hooknet.config.code import code_of"
    command = f"{imports}; print(code_of('draw', Path('{package}')))"
    found = {
        subprocess.run(
            [sys.executable, "-c", command],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(code.PACKAGE.parent)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert found == {code_of("draw", package) + "\n"}


def test_no_command_of_that_name():
    with pytest.raises(KeyError, match="trian"):
        code_of("trian")


def test_what_commands_run():
    assert len({code_of(one) for one in COMMANDS}) == len(COMMANDS)
    train, evaluate = reached("hooknet.cli.train"), reached("hooknet.cli.evaluate")
    assert {"hooknet.training.losses", "hooknet.models.hooknet", "hooknet.io.slides"} <= train
    assert not [
        one for one in train if one.startswith(("hooknet.report", "hooknet.evaluation", "hooknet.config"))
    ]
    assert not [
        one for one in evaluate if one.startswith(("hooknet.models", "hooknet.training", "hooknet.data"))
    ]


def test_each_rule_carries_the_code_of_its_command():
    blocks = [
        block
        for file in sorted(RULES.glob("*.smk"))
        for block in re.split(r"(?m)^(?=(?:rule|checkpoint|use rule) )", file.read_text(encoding="utf-8"))
    ]
    commands = [found[1] for one in blocks if (found := re.search(r"python -m hooknet ([a-z-]+)", one))]
    carried = [found[1] for one in blocks if (found := re.search(r'code=running\("([a-z-]+)"\)', one))]
    assert commands == carried
    assert len(commands) > 20
