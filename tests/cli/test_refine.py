import made_staged_project as project
import numpy as np
import pytest
from made_cohort import HEIGHT, WIDTH, hooknet, refuse

from hooknet.coordinates import RasterGrid
from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities, create_probabilities

NAMES = ("stroma", "gland")


@pytest.fixture(autouse=True)
def staged(tmp_path, monkeypatch):
    project.write(tmp_path)
    monkeypatch.chdir(tmp_path)


def heat(grid, names=NAMES):
    with create_probabilities("heat.tif", grid, names) as writer:
        writer.write(0, 0, np.full((len(names), grid.height, grid.width), 128, np.uint8))
    return "--heat", "heat.tif"


def arguments(*more, run="refined"):
    return project.step("refine", run, "--checkpoint", f"{run}.ckpt", "--output", "map.tif", *more)


OWN = RasterGrid(7, 6, 32.0, 32.0, 32.0)


@pytest.mark.parametrize("run", ["refined", "low_power"])
def test_a_map_of_the_whole_slide_at_low_power(run):
    outcome = hooknet(
        *arguments(*(heat(OWN) if run == "refined" else ()), "--probabilities", "p.tif", run=run)
    )
    assert outcome.status == 0, outcome
    with Mask.open("map.tif") as mask, Probabilities.open("p.tif") as shares:
        assert mask.names == shares.names == NAMES
        assert mask.grid == shares.grid
        assert (mask.grid.width, mask.grid.height) == (32, int(np.ceil(HEIGHT / (WIDTH / 32))))
        labels, bands = mask.read(0, 0, 32, mask.grid.height), shares.read_all()
    assert (labels > 0).all()
    assert np.abs(bands.astype(int).sum(axis=0) - 255).max() <= 1
    sure = bands[0] != bands[1]
    np.testing.assert_array_equal(labels[sure], bands.argmax(axis=0)[sure] + 1)


def test_what_cannot_be_is_refused_in_a_line():
    assert "run refined: sees the heat map of patches, found none; give --heat" in refuse(*arguments())
    other = heat(RasterGrid(7, 5, 32.0, 32.0, 32.0))
    assert "a heat map of another slide; make it again with classify-patches" in refuse(*arguments(*other))
    assert "run low_power sees no heat map; leave --heat out" in refuse(
        *arguments(*heat(OWN), run="low_power")
    )
    named = heat(OWN, ("gland", "stroma"))
    assert "probabilities of gland, stroma, wanted stroma, gland" in refuse(*arguments(*named))
    told = refuse(*arguments("--checkpoint", "low_power.ckpt", *heat(OWN)))
    assert told.startswith(
        "low_power.ckpt: tensor encoder.0.0.weight is of shape (8, 3, 3, 3), wanted shape (8, 5,"
    )
    wrong = project.step("refine", "patches", "--checkpoint", "patches.ckpt", "--output", "map.tif")
    assert "found model classifier, refine wants refiner" in refuse(*wrong)
