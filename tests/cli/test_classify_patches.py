import made_staged_project as project
import numpy as np
import pytest
from made_cohort import hooknet, refuse

from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities


@pytest.fixture(autouse=True)
def staged(tmp_path, monkeypatch):
    project.write(tmp_path)
    monkeypatch.chdir(tmp_path)


def arguments(*more, run="patches"):
    files = ["--checkpoint", "patches.ckpt", "--output", "map.tif", "--probabilities", "heat.tif"]
    return project.step("classify-patches", run, *files, *more)


def test_heat_map_and_map_cover_the_tissue_cell_by_cell():
    about = ("--dataset", "colon", "--slide", "c", "--output", "t.tif")
    assert hooknet("detect-tissue", *about, *project.FILES).status == 0
    outcome = hooknet(*arguments("--tissue", "t.tif", "--memory", 3000))
    assert outcome.status == 0, outcome
    with Mask.open("map.tif") as mask, Probabilities.open("heat.tif") as heat:
        assert (mask.grid.width, mask.grid.height, mask.grid.spacing) == (7, 6, 32.0)
        assert mask.names == heat.names == ("stroma", "gland")
        labels, shares = mask.read(0, 0, 7, 6), heat.read_all()
    with Mask.open("t.tif") as mask:
        assert mask.grid.spacing == 8.0  # 4 x 4 px a cell
        tissue = mask.read(0, 0, 28, 24)
    enough = tissue.reshape(6, 4, 7, 4).mean(axis=(1, 3)) >= 0.5
    assert 8 <= enough.sum() <= 30
    np.testing.assert_array_equal(labels > 0, enough)
    np.testing.assert_array_equal(shares.any(axis=0), enough)
    np.testing.assert_array_equal(labels[enough], shares.argmax(axis=0)[enough] + 1)


def test_what_cannot_be_is_refused_in_a_line():
    assert "infers over tissue, found no tissue mask; give --tissue" in refuse(*arguments())
    assert "found model refiner, classify-patches wants classifier" in refuse(*arguments(run="refined"))
    assert "found model unet, classify-patches wants classifier" in refuse(*arguments(run="unet"))
    assert "nowhere.ckpt: no such file" in refuse(*arguments("--checkpoint", "nowhere.ckpt"))
    told = refuse(*arguments("--checkpoint", "refined.ckpt"))
    assert told.startswith("refined.ckpt: trained with model refiner, run patches has classifier")
    assert "t.tif: no such file" in refuse(*arguments("--tissue", "t.tif"))
