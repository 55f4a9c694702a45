"""Generated hearts end to end: NIfTI volumes, slices, two networks, scores in 3D and a report."""

import json
import subprocess
import sys

import made_workflow
import pandas as pd
import pytest
import yaml
from made_workflow import snakemake

from hooknet.demo.hearts import HeartSettings, write_hearts

pytestmark = pytest.mark.slow

EXPERIMENTS = {
    "defaults": {
        "dataset": "hearts",
        "spacings": [1500],
        "train": {
            "epochs": 1, "steps": 3, "batch": 2, "learning_rate": 1e-3, "validation_patches": 8, "threads": 1,
            "workers": 0,
        },
        "augment": {"stain": 0, "saturation": 0, "elastic_um": 0},
        "infer": {"over": "everything"},
    },
    "experiments": {
        "unet": {"model": "unet", "patch_size": 60, "network": {"filters": 2, "depth": 2}},
        "hdc": {"model": "hdc_hrnet", "patch_size": 64, "network": {"width": 4, "stages": [{"blocks": 1}] * 3}},
    },
}  # fmt: skip
CLASSES = ["background", "rv", "myo", "lv", "macro"]


def test_volumes_come_out_scored_in_3d(tmp_path):
    write_hearts(tmp_path / "acdc", HeartSettings(patients=3, side=64, slices=3))
    call = [sys.executable, "-m", "hooknet", "import-volumes", "--layout", "acdc", "--folder", "acdc"]
    subprocess.run([*call, "--output", "slices", "--name", "hearts"], cwd=tmp_path, check=True)
    made_workflow.write(tmp_path, EXPERIMENTS)
    section = yaml.safe_load((tmp_path / "slices" / "datasets.yaml").read_text())
    assert section["datasets"]["hearts"]["channels"] == 1
    (tmp_path / "config" / "datasets.yaml").write_text(yaml.safe_dump(section, sort_keys=False))
    found = snakemake(tmp_path)
    assert found.returncode == 0, found.stdout
    report = tmp_path / "results" / "report" / "hearts"
    scores = pd.read_csv(report / "tables" / "volume_scores.csv")
    assert set(scores["system"]) == {"unet", "hdc"}
    # ED and ES of the one patient that tests.
    volumes = sorted(set(scores["volume"]))
    assert len(volumes) == 2 and volumes[0].replace("_ED", "_ES") == volumes[1]  # noqa: PT018
    assert scores.groupby(["system", "volume"], sort=False)["class"].agg(list).tolist() == [CLASSES] * 4
    sides = pd.read_csv(tmp_path / "results" / "runs" / "hdc" / "volumes" / f"{volumes[0]}.csv")
    assert set(sides["class"]) == set(CLASSES[:-1])
    assert json.loads((report / "summary.json").read_text())["volumes"]
    assert "3D Dice" in (report / "index.html").read_text()
