import logging
import re

import made_slides
import made_stages
import numpy as np
import pytest

from hooknet.config.datasets import SlideSettings
from hooknet.coordinates import RasterGrid
from hooknet.errors import MaskError
from hooknet.inference.refining import RefinerFiles, Refining
from hooknet.io.masks import Mask
from hooknet.io.probabilities import Probabilities, create_probabilities
from hooknet.io.slides import Slide

WIDTH, HEIGHT = 256, 160
PARENT = made_stages.classifier_run()


def sigmoid(values):
    return 1 / (1 + np.exp(-values))


def halves(folder, spacing=0.5):
    """Red from level-0 column 100 on, black before."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, 100:, 0] = 255
    path = made_slides.write_slide(folder / "halves.tif", image, spacing=spacing)
    return SlideSettings(id="halves", slide=str(path), spacing=spacing)


def heat_map(folder, slide, values, cell_um, names=made_stages.NAMES):
    """A heat map whose class 2 has these bytes."""
    with Slide(slide.slide, slide.spacing_override) as opened:
        grid = opened.grid(cell_um)
    assert values.shape == (grid.height, grid.width)
    with create_probabilities(folder / "heat.tif", grid, names) as writer:
        writer.write(0, 0, np.stack([255 - values, values]).astype(np.uint8))
    return folder / "heat.tif"


def refined(folder, slide, run, heat=None, network=None):
    wanted = RefinerFiles(folder / "map.tif", folder / "p.tif", heat)
    Refining(run, network or made_stages.RedSlide()).write(slide, wanted)
    with Mask.open(folder / "map.tif") as mask, Probabilities.open(folder / "p.tif") as shares:
        assert mask.names == shares.names == made_stages.NAMES
        assert mask.grid == shares.grid
        return mask.read(0, 0, mask.grid.width, mask.grid.height), shares.read_all(), mask.grid


def test_a_slide_alone_comes_back_as_the_network_sees_it(tmp_path):
    labels, shares, grid = refined(tmp_path, halves(tmp_path), made_stages.refiner_run())
    # 128 x 80 µm in 64 px: 2 µm a px, 4 level-0 px.
    assert grid == RasterGrid(64, 40, 2.0, 4.0, 4.0)
    wanted = np.ones((40, 64), np.uint8)
    wanted[:, 25:] = 2
    np.testing.assert_array_equal(labels, wanted)
    np.testing.assert_array_equal(np.unique(shares[1, :, :25]), [round(255 * sigmoid(-4.0))])
    np.testing.assert_array_equal(np.unique(shares[1, :, 25:]), [round(255 * sigmoid(4.0))])


def test_the_heat_map_is_seen_where_it_lies(tmp_path):
    slide = halves(tmp_path)
    run = made_stages.refiner_run(PARENT, foreground=("tumour",))
    values = np.array([[0, 0, 255, 255], [255, 255, 255, 255], [0, 0, 0, 0]], np.uint8)  # cells of 32 µm
    _, shares, _ = refined(tmp_path, slide, run, heat_map(tmp_path, slide, values, 32.0))
    # Linear between the cells' centres, each 16 px of the map; red adds its part.
    rows, columns = (np.clip((np.arange(count) + 0.5) / 16 - 0.5, 0, None) for count in (40, 64))
    across = np.array([np.interp(columns, np.arange(4), row) for row in values.astype(float)])
    heat = np.rint(np.array([np.interp(rows, np.arange(3), column) for column in across.T]).T)
    red = np.where(np.arange(64) < 25, 0.0, 1.0)
    wanted = 255 * sigmoid(8 * (red - 0.5 + heat / 255 - 0.5))
    assert np.abs(shares[1] - wanted).max() <= 1.6
    assert np.abs(shares.astype(int).sum(axis=0) - 255).max() <= 1


def test_heat_maps_of_the_foreground_are_seen_in_its_order(tmp_path):
    slide = halves(tmp_path)
    heat = heat_map(tmp_path, slide, np.full((3, 4), 200, np.uint8), 32.0)
    for foreground, seen in ((("tumour",), 200), (("stroma",), 55), (("tumour", "stroma"), 200), (None, 55)):
        run = made_stages.refiner_run(PARENT, foreground=foreground)
        _, shares, _ = refined(tmp_path, slide, run, heat)
        wanted = 255 * sigmoid(8 * (0.5 + seen / 255 - 0.5))
        assert abs(int(shares[1, 5, 50]) - wanted) <= 1


def test_a_stretched_slide_comes_back_on_its_own_raster(tmp_path):
    labels, _, grid = refined(tmp_path, halves(tmp_path), made_stages.refiner_run(stretch=True))
    assert grid == RasterGrid(64, 40, 2.0, 4.0, 4.0)
    wanted = np.ones((40, 64), np.uint8)
    wanted[:, 25:] = 2
    np.testing.assert_array_equal(labels, wanted)


def test_a_slide_of_few_px_is_not_magnified(tmp_path):
    labels, _, grid = refined(tmp_path, halves(tmp_path), made_stages.refiner_run(size=512))
    assert (grid.width, grid.height, grid.spacing) == (WIDTH, HEIGHT, 0.5)
    assert (labels[:, 100:] == 2).all()
    assert (labels[:, :100] == 1).all()


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_both_engines_write_one_map(tmp_path, monkeypatch, engine, caplog):
    if engine == "openvino":
        pytest.importorskip("openvino")
    monkeypatch.setenv("HOOKNET_CACHE", str(tmp_path / "cache"))
    run = made_stages.refiner_run(infer={"engine": engine})
    with caplog.at_level(logging.INFO, "hooknet"):
        _, shares, _ = refined(tmp_path, halves(tmp_path), run)
    np.testing.assert_array_equal(np.unique(shares[1]), [round(255 * sigmoid(one)) for one in (-4.0, 4.0)])
    assert {"torch": "torch on cpu, fp32", "openvino": "as torch in fp32 on the slide"}[engine] in caplog.text


def test_the_map_alone_is_written_where_no_probabilities_are_wanted(tmp_path):
    Refining(made_stages.refiner_run(), made_stages.RedSlide()).write(
        halves(tmp_path), RefinerFiles(tmp_path / "map.tif")
    )
    assert sorted(one.name for one in tmp_path.iterdir()) == ["halves.tif", "map.tif"]


def test_heat_maps_that_do_not_fit_are_refused_in_a_line(tmp_path):
    slide = halves(tmp_path)
    with_heat = made_stages.refiner_run(PARENT)
    heat = heat_map(tmp_path, slide, np.zeros((3, 4), np.uint8), 32.0)
    with pytest.raises(MaskError, match="run refined: sees the heat map of patches, found none; give --heat"):
        refined(tmp_path, slide, with_heat)
    with pytest.raises(MaskError, match=r"heat\.tif: run refined sees no heat map; leave --heat out"):
        refined(tmp_path, slide, made_stages.refiner_run(), heat)
    other = heat_map(tmp_path, slide, np.zeros((3, 4), np.uint8), 32.0, ("one", "two"))
    with pytest.raises(MaskError, match=r"heat\.tif: probabilities of one, two, wanted stroma, tumour"):
        refined(tmp_path, slide, with_heat, other)
    heat = heat_map(tmp_path, slide, np.zeros((3, 4), np.uint8), 32.0)
    larger = made_slides.write_slide(tmp_path / "larger.tif", np.zeros((200, 256, 3), np.uint8))
    with pytest.raises(MaskError, match="a heat map of another slide"):
        refined(tmp_path, slide.model_copy(update={"slide": str(larger)}), with_heat, heat)
    assert not (tmp_path / "map.tif").exists()
    assert not (tmp_path / "p.tif").exists()


def test_only_tissue_and_what_is_annotated_is_predicted(tmp_path):
    run = made_stages.refiner_run(infer={"over": "tissue"})
    slide = halves(tmp_path)  # 256 x 160 px; a px of the map is 4 x 4 of them
    tissue = np.zeros((40, 64), np.uint8)
    tissue[10:20, 5:50] = 1
    labels = np.zeros((160, 256), np.uint8)
    labels[159, 255] = 2
    files = RefinerFiles(
        tmp_path / "map.tif",
        tmp_path / "p.tif",
        None,
        made_slides.write_mask(tmp_path / "t.tif", tissue, 4.0, 2.0),
        (made_slides.write_mask(tmp_path / "l.tif", labels),),
    )
    Refining(run, made_stages.RedSlide()).write(slide, files)
    shown = tissue > 0
    shown[39, 63] = True
    with Mask.open(files.output) as found, Probabilities.open(files.probabilities) as shares:
        np.testing.assert_array_equal(found.read(0, 0, 64, 40) > 0, shown)
        np.testing.assert_array_equal(shares.read_all().any(axis=0), shown)


def test_a_network_that_fails_leaves_nothing_behind(tmp_path):
    class Broken(made_stages.RedSlide):
        def forward(self, channels):
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        refined(tmp_path, halves(tmp_path), made_stages.refiner_run(), network=Broken())
    assert [one.name for one in tmp_path.iterdir()] == ["halves.tif"]


def test_what_was_predicted_is_told(tmp_path, caplog):
    with caplog.at_level(logging.INFO, "hooknet"):
        refined(tmp_path, halves(tmp_path), made_stages.refiner_run())
    assert "halves: predicted 2560 px: stroma 39.1%, tumour 60.9%" in caplog.text
    assert re.search(r"halves: 2560 px of 2 µm; 1 slide in [\d.]+ s: read", caplog.text)
