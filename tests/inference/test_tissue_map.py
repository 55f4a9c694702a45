import made_slides
import made_stages
import numpy as np
import pytest

from hooknet.config.datasets import SlideSettings
from hooknet.errors import MaskError
from hooknet.inference import tissue_map
from hooknet.inference.tissue_map import paint_tissue
from hooknet.io.masks import Mask


@pytest.fixture
def slide(tmp_path):
    path = made_slides.write_slide(tmp_path / "s.tif", np.zeros((300, 200, 3), np.uint8), spacing=0.5)
    return SlideSettings(id="s", slide=str(path))


@pytest.fixture
def tissue(tmp_path):
    """Of 2 µm px, 75 rows of 50."""
    values = made_slides.random_bits(75, 50)
    return made_slides.write_mask(tmp_path / "t.tif", values, 4.0, 2.0, classes=1), values


@pytest.mark.parametrize(("outside", "value"), [(None, 0), ("stroma", 1)])
def test_tissue_is_one_class_and_the_rest_another_or_none(
    tmp_path, slide, tissue, monkeypatch, outside, value
):
    monkeypatch.setattr(tissue_map, "BLOCK", 32)
    path, values = tissue
    paint_tissue(made_stages.tissue_run(outside=outside), slide, path, tmp_path / "map.tif")
    with Mask.open(tmp_path / "map.tif") as found, Mask.open(path) as mask:
        assert found.grid == mask.grid
        assert found.names == made_stages.NAMES
        assert found.colours == ((255, 0, 0), (0, 0, 255))
        np.testing.assert_array_equal(found.read(0, 0, 50, 75), np.where(values > 0, 2, value))


def test_what_the_map_holds_is_told(tmp_path, slide, tissue, caplog):
    caplog.set_level("INFO", "hooknet")
    path, values = tissue
    paint_tissue(made_stages.tissue_run(outside="stroma"), slide, path, tmp_path / "map.tif")
    assert f"s: predicted 3750 px: stroma {1 - values.mean():.1%}, tumour {values.mean():.1%}" in caplog.text


def test_a_mask_of_another_slide_is_refused(tmp_path, slide):
    path = made_slides.write_mask(tmp_path / "t.tif", np.ones((70, 50), np.uint8), 4.0, 2.0)
    with pytest.raises(MaskError, match="the rasters belong to different slides"):
        paint_tissue(made_stages.tissue_run(), slide, path, tmp_path / "map.tif")
    assert not (tmp_path / "map.tif").exists()
