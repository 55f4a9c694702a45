"""What docs/tutorial.md tells a reader to type, as a script that does it."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from made_workflow import BIN, ENVIRONMENT, ROOT

PAGE = ROOT / "docs" / "tutorial.md"
GLAS_SECTION = "## The same on GlaS"
# Of the repository, what the page's commands need.
PARTS = ("Makefile", "Snakefile", "pyproject.toml", "constraints.txt", "workflow", "profiles")
# `hooknet view` serves until Ctrl-C: a stand-in for its reader asks for the page, then presses Ctrl-C.
READER = """
import re, signal, subprocess, sys, urllib.request
command = [sys.executable, "-m", "hooknet", "view", "--no-browser", "--port", "0", *sys.argv[1:]]
# Jobs in the background of a script are deaf to Ctrl-C, and so would be the process here.
served = subprocess.Popen(
    command, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
)
said = served.stdout.readline()
print(said, end="")
with urllib.request.urlopen(re.search(r"http://[0-9.:]+/", said)[0] + "data.js", timeout=60) as page:
    print("served", len(page.read()), "bytes")
served.send_signal(signal.SIGINT)
served.communicate()
"""


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and whether it is of the section about GlaS."""

    language: str
    text: str
    of_glas: bool

    @property
    def file(self) -> str | None:
        """Where a YAML block goes, by its first line."""
        named = re.match(r"# (\S+\.yaml)\n", self.text)
        return named[1] if self.language == "yaml" and named else None


def blocks(page: Path = PAGE) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    glas = text.find(GLAS_SECTION)
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(one[1], one[2], 0 <= glas < one.start()) for one in found]


def lines(block: Block) -> list[str]:
    """The commands of a block of bash: continued lines joined, comments and here-documents left out."""
    text = re.sub(r"<<'(\w+)'\n.*?^\1$", "", block.text.replace("\\\n", " "), flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines() if line.strip()]


def script(taken: list[Block]) -> str:
    """Bash that does what the blocks say, one after another; a line `@@@ i` before the output of block i."""
    parts = [
        "set -euo pipefail",
        "reader=$PWD/reader.py",
        f'hooknet() {{ if [ "$1" = view ]; then shift; {sys.executable} "$reader" "$@"; '
        'else command hooknet "$@"; fi; }',
    ]
    for number, block in enumerate(taken):
        parts.append(f"echo '@@@ {number}'")
        if block.file:
            parts.append(f"cat > {block.file} <<'END OF THE BLOCK'\n{block.text}END OF THE BLOCK")
        elif block.language == "bash":
            parts.append(block.text)
    return "\n".join(parts)


def lay_out(folder: Path, shared: Path | None = None) -> Path:
    """A repository as a reader has it after `make setup`; the environment of the tests stands for the one made.

    With ``shared`` also its examples, and the data that they name beside it.
    """
    place = folder / "hooknet"
    (place / ".venv" / "bin").mkdir(parents=True)
    for name in PARTS:
        (place / name).symlink_to(ROOT / name)
    if shared is not None:
        (place / "config").symlink_to(ROOT / "config")
        (folder / "shared").symlink_to(shared)
    (place / ".venv" / "bin" / "activate").write_text(f'export PATH="{BIN}:$PATH"\n')
    (place / ".venv" / ".ok").touch()
    (place / "reader.py").write_text(READER)
    return place


def run(place: Path, taken: list[Block]) -> dict[int, str]:
    """Do as the blocks say, starting in a folder; what each printed."""
    environment = {**ENVIRONMENT, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HOOKNET": str(place)}
    done = subprocess.run(
        ["bash", "-c", script(taken)], cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, check=False,
    )  # fmt: skip
    (place / "output.txt").write_text(done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    parts = re.split(r"^@@@ (\d+)$\n?", done.stdout, flags=re.MULTILINE)
    return {int(number): text for number, text in zip(parts[1::2], parts[2::2], strict=True)}
