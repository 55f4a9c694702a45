"""How a case of the catalogue of bad inputs (tests/hostile/) is written and judged."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import made_cohort
import numpy as np
import yaml
from made_cohort import RUN, SLIDES, hooknet
from torch import nn

from hooknet.config.project import load_project
from hooknet.coordinates import RasterGrid
from hooknet.io.masks import create_mask
from hooknet.models.checkpoint import save_checkpoint
from hooknet.models.table import build_model
from hooknet.training.weights import checkpoint_spec

MAP = RUN / "maps" / "c.tif"
BEST = RUN / "best.ckpt"
LABELS = SLIDES / "c" / "labels.tif"
LEFT = re.compile(r"partial|\.tmp|spool")


@dataclass(frozen=True)
class Case:
    """What is wrong, how it is made in the cohort's folder, the command that meets it, and the line it ends with.

    ``line`` is exact, or a pattern where another library's words or a number of bytes are part of it.
    """

    wrong: str
    make: Callable[[], object]
    command: Sequence[object]
    line: str | re.Pattern[str]

    def __str__(self) -> str:
        return self.wrong


def refused(case: Case) -> None:
    """Exit status 2 with exactly that line, every file as it was before, and nothing new."""
    case.make()
    before = contents(Path())
    outcome = hooknet(*case.command)
    assert outcome.status == 2, outcome
    assert "Traceback" not in outcome.err
    # Log lines may stand before the last one where the log goes to stderr.
    (line,) = [one for one in outcome.err.splitlines() if one.startswith("hooknet: ")]
    found = line.removeprefix("hooknet: ")
    if isinstance(case.line, str):
        assert found == case.line, found
    else:
        assert case.line.fullmatch(found), found
    after = contents(Path())
    assert {path for path in after if LEFT.search(path)} == set()
    assert after == before, "a file was left behind or changed"


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder and a digest of what it holds; lock files, which are empty for ever, do not count."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".lock"
    }


def of_slide_c(**cells: Any) -> None:
    """Change the row of the slide c."""
    document = yaml.safe_load(Path("datasets.yaml").read_text())
    document["datasets"]["colon"]["slides"][2].update(cells)
    Path("datasets.yaml").write_text(yaml.safe_dump(document))


def make_map(
    path: Path = MAP,
    values: np.ndarray | None = None,
    spacing: float = 1.0,
    step: float = 1.0,
    names: tuple[str, ...] = ("stroma", "gland"),
) -> None:
    """A map of the slide c as infer would write it: what its truth is, unless told otherwise."""
    values = made_cohort.truth() if values is None else values
    grid = RasterGrid(values.shape[1], values.shape[0], spacing, step, step)
    with create_mask(
        path, grid, names, {value: (value, 0, 0) for value in range(1, len(names) + 1)}
    ) as writer:
        writer.write(0, 0, values)


def weights(path: Path = BEST, change: Callable[[nn.Module], object] | None = None, **spec: Any) -> None:
    """Weights drawn by chance for the run, changed, and other settings with them."""
    run = load_project("datasets.yaml", "experiments.yaml").run("unet")
    network = build_model(run.settings.model, run.network)
    if change is not None:
        change(network)
    save_checkpoint(path, network, checkpoint_spec(run, ()) | spec)


def of_run(**infer: Any) -> None:
    """Change how the run predicts."""
    document = yaml.safe_load(Path("experiments.yaml").read_text())
    document["experiments"]["unet"]["infer"].update(infer)
    Path("experiments.yaml").write_text(yaml.safe_dump(document))


def cut(path: Path, share: float) -> None:
    """Keep only the first part of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])


def quiet() -> None:
    """Let no log line of an earlier test's handler stand in the way."""
    logging.getLogger().handlers.clear()
