import numpy as np
import pytest
from made_slides import square, write_slide

from hooknet.config.steps import TissueSettings
from hooknet.groundtruth.stain import MEASURES, STAINS, beyond, measure_slide, ranges_of, stain_of
from hooknet.io.slides import Slide

# Nothing closed, nothing removed: what is dark is tissue.
TISSUE = TissueSettings(spacing=2.0, min_area_um2=0.0, close_um=0.0, threshold=0.05)


def stained(haematoxylin, eosin):
    """Pixels (n, 3) that have taken so much of each, as nearly as bytes allow."""
    dense = np.outer(haematoxylin, STAINS[0]) + np.outer(eosin, STAINS[1])
    return np.rint(256 * 10**-dense - 1).astype(np.uint8)


def test_amounts_that_were_put_in_come_out():
    found = stain_of(stained([0.5, 0.7], [0.2, 0.1]))
    assert found["haematoxylin"] == pytest.approx(0.6, abs=0.003)
    assert found["eosin"] == pytest.approx(0.15, abs=0.003)


def test_density_and_contrast_are_mean_and_deviation_of_the_grey_of_densities():
    # 255 is density 0; 24 is -log10(25 / 256).
    dark = np.log10(256 / 25)
    found = stain_of(np.array([[255, 255, 255], [24, 24, 24], [255, 255, 24], [255, 255, 24]], np.uint8))
    grey = np.array([0, dark, dark / 3, dark / 3])
    assert found["density"] == pytest.approx(grey.mean(), abs=1e-6)
    assert found["contrast"] == pytest.approx(grey.std(), abs=1e-6)


def test_glass_does_not_count(tmp_path):
    image = np.full((120, 160, 3), 255, np.uint8)
    image[20:100, 40:120] = stained([0.6], [0.3])[0]
    path = write_slide(tmp_path / "a.tif", image, spacing=1.0)
    with Slide(path, square(1.0)) as slide:
        found = measure_slide(slide, TISSUE)
    assert found == {"spacing": 1.0, **stain_of(stained([0.6], [0.3]))}


def test_of_a_slide_of_glass_there_is_the_spacing_alone(tmp_path):
    path = write_slide(tmp_path / "a.tif", np.full((120, 160, 3), 255, np.uint8), spacing=1.0)
    with Slide(path, square(0.25)) as slide:
        assert measure_slide(slide, TISSUE) == {"spacing": 0.25}


def test_ranges_are_of_those_that_have_the_measure():
    slides = [{"spacing": 0.25, "eosin": 0.3}, {"spacing": 0.5}, {"spacing": 0.26, "eosin": 0.1}]
    assert ranges_of(slides) == {"spacing": (0.25, 0.5), "eosin": (0.1, 0.3)}
    assert ranges_of([]) == {}


@pytest.mark.parametrize("measure", MEASURES)
def test_warnings_begin_exactly_beyond_the_allowance(measure):
    allowed = MEASURES[measure][2]
    ranges = {measure: (0.4, 0.5)}
    low, high = 0.4 * (1 - allowed), 0.5 * (1 + allowed)
    assert [beyond({measure: one}, ranges) for one in (low + 1e-9, 0.4, 0.45, 0.5, high - 1e-9)] == [[]] * 5
    for one in (low - 1e-9, high + 1e-9):
        (told,) = beyond({measure: one}, ranges)
        assert told.startswith(MEASURES[measure][0])
        assert "is unlike the slides of training (0.4 to 0.5" in told


def test_what_is_not_known_of_either_is_not_told():
    assert beyond({"spacing": 9.0}, {"eosin": (0.1, 0.2)}) == []
    assert beyond({"spacing": 0.5}, {"spacing": (0.25, 0.25), "eosin": (0.1, 0.2)}) == [
        "spacing 0.5 µm/px is unlike the slides of training (0.25 µm/px)"
    ]
