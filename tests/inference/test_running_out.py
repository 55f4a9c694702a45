"""Memory that really runs out: the system refuses it to the process, and smaller tiles do."""

import os
import subprocess
import sys
from pathlib import Path

import made_networks
import made_runs
import made_slides
import numpy as np
import pytest

from hooknet.config.datasets import SlideSettings
from hooknet.inference.whole_slide import MapFiles, infer
from hooknet.io.masks import Mask
from hooknet.models.checkpoint import save_checkpoint
from hooknet.training.weights import checkpoint_spec

SIDE = 300

LIMITED = """
import logging, resource, sys
from pathlib import Path
from test_running_out import predicted, run_of
logging.basicConfig(level=logging.WARNING, format="%(message)s")
from hooknet.inference import whole_slide
prepared = whole_slide.prepared
def limited(*given):
    network = prepared(*given)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + int(sys.argv[2]) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    return network
whole_slide.prepared = limited
predicted(Path(sys.argv[1]), "limited.tif")
"""


def run_of():
    return made_runs.make_run(
        model="unet", spacings=(0.5,), patch_size=58,
        network={"filters": 96, "depth": 1, "convolutions": 1, "batch_norm": False},
        infer={"engine": "torch", "tile": None},
    )  # fmt: skip


def predicted(folder, name):
    slide = SlideSettings(id="s", slide=str(folder / "s.tif"), spacing=0.5)
    infer(run_of(), slide, folder / "best.ckpt", MapFiles(folder / name, None, None, ()))


@pytest.mark.slow
def test_where_the_system_refuses_memory_smaller_tiles_make_the_same_map(tmp_path):
    network = made_networks.random_network((0.5,), 1, 58, 1, classes=2, filters=96, batch_norm=False)
    save_checkpoint(tmp_path / "best.ckpt", network, checkpoint_spec(run_of(), ()))
    image = np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
    made_slides.write_slide(tmp_path / "s.tif", image, spacing=0.5)
    predicted(tmp_path, "whole.tif")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)]),
        "MALLOC_ARENA_MAX": "1",
    }
    found = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path), "150"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert "s: out of memory with tiles of " in found.stderr
    with Mask.open(tmp_path / "whole.tif") as one, Mask.open(tmp_path / "limited.tif") as other:
        np.testing.assert_array_equal(one.read(0, 0, SIDE, SIDE), other.read(0, 0, SIDE, SIDE))
