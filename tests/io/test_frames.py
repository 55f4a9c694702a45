"""A slide in a square: each px where the slide has it, whatever its aspect, its px's shape and its size."""

import made_slides
import numpy as np
import pytest

from hooknet.coordinates import RasterGrid, Spacing
from hooknet.errors import MaskError
from hooknet.io.frames import as_raster, frame_of, read_heat, read_image, read_labels
from hooknet.io.masks import Mask, create_mask
from hooknet.io.probabilities import Probabilities, create_probabilities
from hooknet.io.slides import Slide

NAMES = ("one", "two", "three")


def waves(folder, width, height, half, spacing=0.5):
    """A slide whose red rises and falls along x and its green along y."""
    image = made_slides.coordinates_image(width, height, half)
    return Slide(made_slides.write_slide(folder / "s.tif", image, spacing=spacing))


def heat_file(folder, grid, bands):
    with create_probabilities(folder / "heat.tif", grid, NAMES[: len(bands)]) as writer:
        writer.write(0, 0, np.asarray(bands, np.uint8))
    return folder / "heat.tif"


def mask_file(folder, grid, labels):
    palette = dict.fromkeys(range(1, 4), (0, 0, 0))
    with create_mask(folder / "labels.tif", grid, NAMES, palette) as writer:
        writer.write(0, 0, labels)
    return folder / "labels.tif"


@pytest.mark.parametrize(
    ("width", "height", "spacing", "size", "grid"),
    [
        # The longer side fills the square: 1000 px in 64, 15.625 level-0 px a px.
        (1000, 500, 0.5, 64, RasterGrid(64, 32, 7.8125, 15.625, 15.625)),
        (500, 1000, 0.5, 64, RasterGrid(32, 64, 7.8125, 15.625, 15.625)),
        # 333 px at 1000 / 64: 21.3, of which the last px lies partly beyond the slide.
        (1000, 333, 0.5, 64, RasterGrid(64, 22, 7.8125, 15.625, 15.625)),
        # 0.25 x 0.5 µm px: 250 x 200 µm.
        (1000, 400, (0.25, 0.5), 50, RasterGrid(50, 40, 5.0, 20.0, 10.0)),
        # Fewer px than the square has: as it is; px that are not square by the coarser side.
        (60, 40, 0.5, 64, RasterGrid(60, 40, 0.5, 1.0, 1.0)),
        (60, 40, (0.25, 0.5), 64, RasterGrid(30, 40, 0.5, 2.0, 1.0)),
    ],
)
def test_the_longer_side_fills_the_square(tmp_path, width, height, spacing, size, grid):
    with waves(tmp_path, width, height, 50, spacing) as slide:
        frame = frame_of(slide, size)
    found = frame.grid
    assert (found.width, found.height) == (grid.width, grid.height)
    for name in ("spacing", "step_x", "step_y"):
        assert getattr(found, name) == pytest.approx(getattr(grid, name))
    assert frame.shown == (grid.height, grid.width)
    assert max(frame.shown) <= size


@pytest.mark.parametrize(
    ("width", "height", "spacing"), [(997, 333, 0.5), (400, 611, 0.5), (990, 407, (0.25, 0.5)), (45, 31, 0.5)]
)
@pytest.mark.parametrize("stretch", [False, True])
def test_each_px_of_the_image_is_the_mean_of_the_slide_under_it(
    tmp_path, width, height, spacing, stretch, monkeypatch
):
    monkeypatch.setattr("hooknet.io.frames.BAND", 7)
    with waves(tmp_path, width, height, 83, spacing) as slide:
        frame = frame_of(slide, 64, stretch)
        image = read_image(slide, frame)
    assert image.shape == (64, 64, 3)
    px = Spacing(*spacing) if isinstance(spacing, tuple) else Spacing(spacing, spacing)
    micrometres = width * px.x, height * px.y
    scale = max(max(micrometres) / 64, px.x, px.y)
    steps = (width / 64, height / 64) if stretch else (scale / px.x, scale / px.y)
    shown = (64, 64) if stretch else tuple(int(np.ceil(one / scale - 1e-9)) for one in micrometres)
    red = made_slides.area_means(
        made_slides.wave(width, 83).astype(float), np.arange(shown[0] + 1) * steps[0]
    )
    green = made_slides.area_means(
        made_slides.wave(height, 83).astype(float), np.arange(shown[1] + 1) * steps[1]
    )
    if min(steps) >= 1:
        # Inside the slide each channel is that of its own axis; the last px may hold white.
        assert np.abs(image[: shown[1] - 1, : shown[0], 0] - red).max() <= 1
        assert np.abs(image[: shown[1], : shown[0] - 1, 1] - green[:, None]).max() <= 1
    else:  # magnified: linear, so that the middle of what is shown lies where it should
        assert np.abs(image[20, 5:60, 0].astype(int) - red[5:60]).max() <= 6
    assert (image[shown[1] :] == 255).all()
    assert (image[:, shown[0] :] == 255).all()


@pytest.mark.parametrize("stretch", [False, True])
def test_heat_is_linear_between_the_centres_of_its_cells(tmp_path, stretch):
    with waves(tmp_path, 1000, 500, 50) as slide:
        frame = frame_of(slide, 64, stretch)
        grid = slide.grid(100.0)  # cells of 200 level-0 px: 5 x 3, of which the last row is half beyond
    rng = np.random.default_rng(3)
    bands = rng.integers(0, 256, (3, 3, 5))
    with Probabilities.open(heat_file(tmp_path, grid, bands)) as heat:
        np.testing.assert_array_equal(heat.read_all(), bands)
        found = read_heat(heat, frame, (3, 1))
    assert found.shape == (2, 64, 64)
    steps = (1000 / 64, 500 / 64) if stretch else (1000 / 64, 1000 / 64)
    rows = 64 if stretch else 32
    x, y = (np.arange(64) + 0.5) * steps[0], (np.arange(rows) + 0.5) * steps[1]
    for place, band in enumerate((bands[2], bands[0])):
        across = np.array([np.interp(x, np.arange(5) * 200 + 100, row) for row in band])
        wanted = np.array([np.interp(y, np.arange(3) * 200 + 100, column) for column in across.T]).T
        assert np.abs(found[place, :rows] - wanted).max() <= 0.51
    assert not found[:, rows:].any()


def test_heat_of_slides_whose_px_are_not_square_lies_on_them(tmp_path):
    with waves(tmp_path, 800, 300, 50, (0.25, 0.5)) as slide:  # 200 x 150 µm
        frame = frame_of(slide, 50)
        grid = slide.grid(50.0)  # cells of 200 x 100 level-0 px: 4 x 3
    ramp = np.broadcast_to(np.arange(4) * 60, (1, 3, 4))
    with Probabilities.open(heat_file(tmp_path, grid, ramp)) as heat:
        found = read_heat(heat, frame, (1,))[0]
    centres = (np.arange(50) + 0.5) * 4  # µm
    wanted = np.interp(centres, np.arange(4) * 50 + 25, np.arange(4) * 60)
    assert np.abs(found[:38] - wanted).max() <= 0.51
    assert not found[38:].any()


def test_heat_maps_of_other_slides_are_refused(tmp_path):
    with waves(tmp_path, 1000, 500, 50) as slide:
        frame, grid = frame_of(slide, 64), slide.grid(100.0)
    for other in (
        RasterGrid(5, 2, grid.spacing, grid.step_x, grid.step_y),
        RasterGrid(6, 3, grid.spacing, grid.step_x, grid.step_y),
        RasterGrid(5, 3, grid.spacing, grid.step_x * 1.001, grid.step_y * 1.001),  # of another spacing
    ):
        path = heat_file(tmp_path, other, np.zeros((1, other.height, other.width)))
        with (
            Probabilities.open(path) as heat,
            pytest.raises(MaskError, match="a heat map of another slide") as caught,
        ):
            read_heat(heat, frame, (1,))
        assert str(caught.value).startswith(str(path))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("stretch", [False, True])
@pytest.mark.parametrize("spacing", [0.5, 2.0, 3.7])
def test_labels_are_those_under_the_centres(tmp_path, stretch, spacing):
    with waves(tmp_path, 997, 333, 50) as slide:
        frame, grid = frame_of(slide, 64, stretch), slide.grid(spacing)
    labels = np.random.default_rng(4).integers(0, 4, (grid.height, grid.width)).astype(np.uint8)
    with Mask.open(mask_file(tmp_path, grid, labels)) as mask:
        found = read_labels(mask, frame)
    steps = (997 / 64, 333 / 64) if stretch else (997 / 64, 997 / 64)
    wanted = np.zeros((64, 64), np.uint8)
    for row, column in np.ndindex(64, 64):
        x, y = (column + 0.5) * steps[0], (row + 0.5) * steps[1]
        inside = int(y / grid.step_y), int(x / grid.step_x)
        if inside[0] < grid.height and inside[1] < grid.width and (stretch or row < frame.grid.height):
            wanted[row, column] = labels[inside]
    np.testing.assert_array_equal(found, wanted)


def test_a_px_whose_centre_lies_beyond_the_slide_has_no_label(tmp_path):
    with waves(tmp_path, 1000, 503, 50) as slide:  # 32.19 rows: the centre of row 32 is level-0 row 507.8
        frame, grid = frame_of(slide, 64), slide.grid(0.5)
    with Mask.open(mask_file(tmp_path, grid, np.ones((503, 1000), np.uint8))) as mask:
        found = read_labels(mask, frame)
    assert frame.grid.height == 33
    assert (found[:32] == 1).all()
    assert not found[32:].any()


def test_labels_of_another_slide_are_refused(tmp_path):
    with waves(tmp_path, 1000, 500, 50) as slide:
        frame = frame_of(slide, 64)
    path = mask_file(tmp_path, RasterGrid(1000, 400, 0.5, 1.0, 1.0), np.ones((400, 1000), np.uint8))
    with Mask.open(path) as mask, pytest.raises(MaskError, match="belong to different slides"):
        read_labels(mask, frame)


def test_a_padded_map_is_the_corner_of_the_square(tmp_path):
    with waves(tmp_path, 1000, 333, 50) as slide:
        frame = frame_of(slide, 64)
    maps = np.random.default_rng(5).random((2, 64, 64)).astype(np.float32)
    np.testing.assert_array_equal(as_raster(maps, frame), maps[:, :22])


@pytest.mark.parametrize(("width", "height"), [(1000, 333), (333, 1000)])
def test_a_stretched_map_comes_back_to_where_it_was_on_the_slide(tmp_path, width, height):
    with waves(tmp_path, width, height, 50) as slide:
        frame = frame_of(slide, 64, stretch=True)
    # A function of the place on the slide, linear, so that it is known between the px too.
    x, y = frame.centres()
    ramp = (0.2 + 0.3 * x / width)[None, :] + (0.4 * y / height)[:, None]
    found = as_raster(ramp.astype(np.float32)[None], frame)[0]
    grid = frame.grid
    assert found.shape == (grid.height, grid.width)
    at_x = np.clip((np.arange(grid.width) + 0.5) * grid.step_x, x[0], x[-1])
    at_y = np.clip((np.arange(grid.height) + 0.5) * grid.step_y, y[0], y[-1])
    wanted = (0.2 + 0.3 * at_x / width)[None, :] + (0.4 * at_y / height)[:, None]
    np.testing.assert_allclose(found, wanted, atol=1e-6)
