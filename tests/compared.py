"""Whether two runs of the workflow came to the same results."""

from __future__ import annotations

from pathlib import Path

import torch

#: Byte by byte: masks, indices, splits; curves, maps, probabilities, all that is measured, objects, exports; tables.
COMPARED = (
    "slides/*/**/*", "runs/*/metrics.csv", "runs/*/maps/*", "runs/*/probabilities/*", "runs/*/counts/*/*",
    "runs/*/windows/*/*", "runs/*/boundaries/*", "runs/*/calibration/*", "runs/*/quantities/*", "runs/*/matches/*",
    "runs/*/objects/*", "runs/*/exports/*", "report/*/comparison/*", "report/*/tables/*",
)  # fmt: skip


def contents(folder: Path) -> tuple[dict[str, bytes], dict[str, torch.Tensor]]:
    """What a run is judged by: tensors, maps, masks, indices and counts."""
    results = folder / "results"
    files = {
        str(path.relative_to(results)): path.read_bytes()
        for pattern in COMPARED
        for path in results.glob(pattern)
        if path.is_file()
    }
    tensors = {
        f"{path.parent.name}/{path.name}/{name}": tensor
        for path in results.glob("runs/*/*.ckpt")
        for name, tensor in torch.load(path, weights_only=True)["state"].items()
    }
    assert files
    assert tensors
    return files, tensors


def assert_the_same(folder: Path, other: Path) -> None:
    files, tensors = contents(folder)
    wanted_files, wanted_tensors = contents(other)
    assert sorted(files) == sorted(wanted_files)
    assert [name for name in files if files[name] != wanted_files[name]] == []
    assert sorted(tensors) == sorted(wanted_tensors)
    assert [name for name in tensors if not torch.equal(tensors[name], wanted_tensors[name])] == []
    assert not list((folder / "results").rglob("*partial*"))
