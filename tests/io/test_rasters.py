import numpy as np
import pytest
import rasterio
from PIL import Image

from hooknet.coordinates import RasterGrid, Spacing
from hooknet.errors import MaskError
from hooknet.io.masks import Mask, create_mask
from hooknet.io.rasters import LabelRaster, open_raster, quiet

LABELS = np.arange(60, dtype=np.uint8).reshape(6, 10)


def save(path, labels=LABELS, mode=None):
    image = Image.fromarray(labels)
    if mode == "P":
        image.putpalette([7] * 768)
        image = Image.frombytes("P", image.size, labels.tobytes())
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768, dtype=np.uint8).tobytes())
    image.save(path)
    return path


@pytest.mark.parametrize("name", ["truth.png", "truth.tif"])
@pytest.mark.parametrize("mode", [None, "P"])
def test_a_raster_as_large_as_the_slide_is_read_as_it_is(tmp_path, name, mode):
    with open_raster(save(tmp_path / name, mode=mode), (10, 6)) as raster:
        assert (raster.grid.step_x, raster.grid.step_y) == (1.0, 1.0)
        np.testing.assert_array_equal(raster.read(-1, 0, 11, 6)[:, 1:], LABELS)


def test_a_black_and_white_png_has_the_values_0_and_1(tmp_path):
    Image.fromarray(LABELS > 30).save(tmp_path / "truth.png")
    with open_raster(tmp_path / "truth.png", (10, 6)) as raster:
        np.testing.assert_array_equal(raster.read(0, 0, 10, 6), LABELS > 30)


def test_a_coarser_raster_covers_the_slide_from_edge_to_edge(tmp_path):
    with open_raster(save(tmp_path / "truth.png"), (40, 24)) as raster:
        grid = RasterGrid.over((40, 24), Spacing(0.5, 0.5), 1.0)
        found = raster.read_as(grid, 0, 0, 20, 12)
        np.testing.assert_array_equal(found, LABELS.repeat(2, axis=0).repeat(2, axis=1))
        coarse = RasterGrid.over((40, 24), Spacing(0.5, 0.5), 4.0)
        np.testing.assert_array_equal(raster.read_as(coarse, 0, 0, 5, 3), LABELS[1::2, 1::2])


@pytest.mark.parametrize(
    ("slide", "step"),
    # The same size; whole factors with the last px cut or filled up; one ratio that both sides show within a px.
    [((10, 6), 1), ((100, 60), 10), ((101, 60), 10), ((100, 55), 10), ((25, 15), 2.5), ((100, 70), 10)],
)
def test_a_coarser_raster_has_one_scale_for_both_sides(tmp_path, slide, step):
    grid = open_raster(save(tmp_path / "truth.png"), slide).grid
    assert (grid.step_x, grid.step_y) == (step, step)


def test_a_large_raster_reduced_by_a_whole_factor_does_not_drift(tmp_path):
    # 188 rows of 16 px reach beyond the 3000 px of the slide: a row is 16 px all the same.
    grid = open_raster(save(tmp_path / "truth.png", np.zeros((188, 250), np.uint8)), (4000, 3000)).grid
    assert (grid.step_x, grid.step_y) == (16, 16)


def test_a_raster_a_little_smaller_than_the_slide_is_cropped_and_refused(tmp_path):
    raster = save(tmp_path / "truth.png", np.zeros((30, 39), np.uint8))
    with pytest.raises(MaskError, match=r"truth\.png: found 39 x 30 px, wanted the slide's 40 x 30 px"):
        open_raster(raster, (40, 30))


@pytest.mark.parametrize("slide", [(60, 100), (100, 71), (100, 49), (9, 6), (10, 5), (5, 3)])
def test_a_raster_of_another_shape_is_refused_with_both_sizes(tmp_path, slide):
    with pytest.raises(
        MaskError, match=rf"truth\.png: found 10 x 6 px, wanted the slide's {slide[0]} x {slide[1]} px"
    ):
        open_raster(save(tmp_path / "truth.png"), slide)


def test_colour_and_deep_images_are_refused(tmp_path):
    save(tmp_path / "rgb.png", np.zeros((6, 10, 3), np.uint8))
    with pytest.raises(MaskError, match=r"rgb\.png: found 3 band\(s\) of uint8, wanted one band"):
        open_raster(tmp_path / "rgb.png", (10, 6))
    save(tmp_path / "deep.png", np.zeros((6, 10), np.uint16))
    with pytest.raises(MaskError, match="uint16"):
        open_raster(tmp_path / "deep.png", (10, 6))
    with pytest.raises(MaskError, match="no such file"):
        open_raster(tmp_path / "none.png", (10, 6))


def sparse(path):
    """A mask of 5 x 4 tiles with values in the tiles 1 and 2 of row 1; the first and last tile hold 0."""
    with create_mask(path, RasterGrid(2560, 2048, 0.5, 1.0, 1.0), ("a",), {1: (1, 1, 1)}) as writer:
        writer.write(600, 600, np.ones((100, 700), np.uint8))
    return Mask.open(path)


@pytest.mark.parametrize(
    ("window", "empty"),
    [
        ((512, 512, 1, 1), False),
        ((1535, 1023, 9, 9), False),
        ((0, 0, 2560, 2048), False),
        ((0, 0, 9, 9), False),  # stored, though it holds 0
        ((512, 0, 2048, 512), True),
        ((1536, 512, 600, 900), True),
        ((513, 511, 600, 1), True),
        ((513, 511, 600, 2), False),
        ((2560, 0, 100, 100), True),
        ((-100, -100, 100, 100), True),
        ((-100, -100, 101, 101), False),
    ],
)
def test_a_window_is_empty_where_no_tile_is_stored(tmp_path, window, empty):
    with sparse(tmp_path / "mask.tif") as mask:
        assert mask.is_empty(*window) == empty
        if empty:
            assert not mask.read(*window).any()


def test_only_windows_with_stored_tiles_are_read(tmp_path, monkeypatch):
    class Deaf:
        def read(self, *_, **__):
            raise AssertionError("read")

    with sparse(tmp_path / "mask.tif") as mask:
        dataset = mask._dataset()
        for name in ("driver", "nodata", "block_shapes", "get_tag_item"):
            monkeypatch.setattr(Deaf, name, getattr(dataset, name), raising=False)
        monkeypatch.setattr(LabelRaster, "_dataset", lambda _: Deaf())
        assert mask.read(1536, 0, 1024, 1536).tolist() == [[0] * 1024] * 1536
        with pytest.raises(AssertionError, match="read"):
            mask.read(1535, 512, 10, 10)


def test_rasters_that_leave_nothing_out_are_never_empty(tmp_path):
    with open_raster(save(tmp_path / "truth.png", np.zeros((6, 10), np.uint8)), (10, 6)) as raster:
        assert not raster.is_empty(0, 0, 10, 6)


def test_blocks_left_out_of_a_raster_with_nodata_are_nodata_and_not_0(tmp_path):
    layout = {"tiled": True, "blockxsize": 16, "blockysize": 16, "sparse_ok": True, "nodata": 3}
    size = {"width": 64, "height": 32, "count": 1, "dtype": "uint8"}
    with quiet(), rasterio.open(tmp_path / "truth.tif", "w", driver="GTiff", **size, **layout) as file:
        file.write(np.ones((16, 16), np.uint8), 1, window=rasterio.windows.Window(0, 0, 16, 16))
    with open_raster(tmp_path / "truth.tif", (64, 32)) as raster:
        assert not raster.is_empty(48, 16, 16, 16)
        np.testing.assert_array_equal(
            np.unique(raster.read(0, 0, 64, 32), return_counts=True), [[1, 3], [256, 1792]]
        )
