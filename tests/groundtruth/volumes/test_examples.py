"""The shipped examples are what importing such a cohort writes."""

from pathlib import Path

import made_volumes
import pytest
import yaml

from hooknet.groundtruth.volumes.cohort import import_volumes
from hooknet.groundtruth.volumes.layouts import LAYOUTS

EXAMPLES = Path(__file__).resolve().parents[3] / "config" / "examples"


@pytest.mark.parametrize("layout", list(LAYOUTS))
def test_the_example_of_a_layout_is_its_dataset(tmp_path, monkeypatch, layout):
    monkeypatch.chdir(tmp_path)
    output = Path("data") / layout
    import_volumes(LAYOUTS[layout], made_volumes.MAKERS[layout](Path("in"), 1), output, layout)
    shipped = (EXAMPLES / layout / "datasets.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(shipped) == yaml.safe_load((output / "datasets.yaml").read_text(encoding="utf-8"))
    assert f"hooknet import-volumes --layout {layout} " in shipped
    assert f"--output {output} --name {layout}" in shipped
