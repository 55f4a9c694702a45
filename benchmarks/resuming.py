"""What it costs to keep tiles for a process after a killed one, and how soon that one is where the other was."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.made import draw_slide, make_run
from benchmarks.table import Table, in_turn, ratio
from hooknet.config.datasets import SlideSettings
from hooknet.inference.made import made_of
from hooknet.inference.whole_slide import MapFiles, predict, prepared
from hooknet.models.checkpoint import save_checkpoint
from hooknet.training.weights import checkpoint_spec, new_network

ROUNDS = 3
FILTERS = 64 if torch.cuda.is_available() else 16
SIZE_UM = 1024.0


def main() -> None:
    """Print processor seconds of a slide with and without a journal, and of going on with a complete one."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slide = SlideSettings(id="a", slide=str(draw_slide(folder, 1, SIZE_UM)))
        for kept in (False, True):
            run = make_run(
                spacings=(0.5, 8.0), loss_weights=(0.75, 0.25), patch_size=284, network={"filters": FILTERS},
                infer={"over": "everything", "engine": "torch", "probabilities": kept},
            )  # fmt: skip
            weights, journal = folder / "best.ckpt", folder / "journal"
            save_checkpoint(weights, new_network(run).eval(), checkpoint_spec(run, ()))
            networks = prepared(run, weights, "a")
            plain = MapFiles(folder / "map.tif", folder / "p.tif" if kept else None, None, ())
            plain = replace(plain, made=made_of(run, weights))
            keeping = replace(plain, journal=journal)

            def seconds(files: MapFiles, again: bool = False) -> float:
                if not again:
                    journal.unlink(missing_ok=True)  # noqa: B023
                start = time.process_time()
                predict(run, slide, networks, files)  # noqa: B023
                return time.process_time() - start

            without, with_ = in_turn(ROUNDS, lambda: seconds(plain), lambda: seconds(keeping))  # noqa: B023
            size = journal.stat().st_size / 2**20
            again = seconds(keeping, again=True)
            told = "labels and probabilities" if kept else "labels"
            rows.append((told, min(without), min(with_), ratio(with_, without), again / min(without), size))
    columns = ("", "without, s", "with, s", "ratio", "going on when all is there", "MiB kept")
    title = (
        f"HookNet(0.5, 8.0), {FILTERS} filters, {SIZE_UM:.0f} µm: processor seconds with tiles kept and not"
    )
    print(Table(title, columns, rows))
