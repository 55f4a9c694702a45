"""A disk that fills up in the middle of writing: one line, exit status 2, nothing half-written.

A limit on the size of files stands for the disk: the same calls fail at the same places, also those of libraries.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from made_cohort import RUN, SLIDES, snapshot, step

LIMIT = """
import resource, sys
from hooknet.cli.main import main
import hooknet.{module}
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
main()
"""


def run(arguments, module, limit):
    script = LIMIT.format(module=module, limit=limit)
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("name", "output", "module", "limit"),
    [
        ("check-slide", SLIDES / "c" / "slide.json", "groundtruth.slide_record", 50),
        ("read-annotations", SLIDES / "c" / "labels.geojson", "groundtruth.geometries", 300),
        ("rasterise", SLIDES / "c" / "labels.tif", "groundtruth.rasterise", 300),
        ("detect-tissue", SLIDES / "c" / "tissue.tif", "groundtruth.tissue", 300),
        ("index-centres", SLIDES / "c" / "centres_26px_1um.parquet", "groundtruth.centres", 300),
        ("train", RUN / "best.ckpt", "training.loop", 1000),
        ("infer", RUN / "maps" / "c.tif", "inference.whole_slide", 300),
        ("evaluate", RUN / "counts" / "labels" / "c.csv", "evaluation.slides", 30),
    ],
)
def test_disk_that_fills_up_is_one_line_and_leaves_nothing(cohort, name, output, module, limit):
    output.unlink()
    before = snapshot(Path())
    found = run(step(name), module, limit)
    lines = [line for line in found.stderr.splitlines() if line.startswith("hooknet: ")]
    assert found.returncode == 2, found.stderr
    assert "Traceback" not in found.stderr
    assert len(lines) == 1, found.stderr
    assert "free space" in lines[0]
    after = snapshot(Path())
    # Training keeps what it needs to go on; that is no result.
    kept = {path: stat for path, stat in after.items() if not path.startswith(str(RUN / "state"))}
    assert kept == before
    assert not [path for path in after if "partial" in path]
