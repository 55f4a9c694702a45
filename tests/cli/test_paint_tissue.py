import made_slides
import made_staged_project as project
import numpy as np
import pytest
from made_cohort import hooknet, refuse

from hooknet.io.masks import Mask


@pytest.fixture(autouse=True)
def staged(tmp_path, monkeypatch):
    project.write(tmp_path)
    monkeypatch.chdir(tmp_path)


def arguments(run="otsu"):
    return project.step("paint-tissue", run, "--tissue", "t.tif", "--output", "map.tif")


def test_tissue_is_painted_as_the_class():
    values = made_slides.random_bits(45, 55)
    made_slides.write_mask("t.tif", values, 4.0, 4.0)
    assert hooknet(*arguments()).status == 0
    with Mask.open("map.tif") as found:
        assert found.names == ("stroma", "gland")
        np.testing.assert_array_equal(found.read(0, 0, 55, 45), values + 1)


def test_what_cannot_be_is_refused_in_a_line():
    made_slides.write_mask("t.tif", np.ones((45, 40), np.uint8), 4.0, 4.0)
    assert "the rasters belong to different slides" in refuse(*arguments())
    assert "found model classifier, paint-tissue wants tissue" in refuse(*arguments("patches"))
