import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import textwrap

import numpy as np
import openslide
import pytest
import rasterio
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from hooknet.coordinates import RasterGrid, Spacing
from hooknet.errors import MaskError
from hooknet.io.masks import Mask, create_mask
from hooknet.io.rasters import STRIP_PIXELS

NAMES = ("tumour", 'Übergang "x"')
PALETTE = {1: (255, 0, 1), 2: (0, 128, 255)}


def grid_of(width, height, spacing=0.5, step=1.0):
    return RasterGrid(width, height, spacing, step, step)


def write(path, labels, grid=None):
    grid = grid or grid_of(labels.shape[1], labels.shape[0])
    with create_mask(path, grid, NAMES, PALETTE) as writer:
        writer.write(0, 0, labels)
    return Mask.open(path)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 3, (height, width), dtype=np.uint8)


def test_a_mask_reads_back_its_values_grid_names_and_colours_exactly(tmp_path):
    # 0.2277 and its step cannot be held by the rational resolution tags.
    grid = RasterGrid.over((1501, 1203), Spacing(0.2277 / 3, 0.2277 / 3.1), 0.2277)
    labels = noise(grid.height, grid.width)
    with write(tmp_path / "mask.tif", labels, grid) as mask:
        assert mask.grid == grid
        assert mask.names == NAMES
        assert mask.palette == PALETTE
        np.testing.assert_array_equal(mask.read(0, 0, grid.width, grid.height), labels)


def test_outside_the_raster_is_0(tmp_path):
    with write(tmp_path / "mask.tif", np.full((3, 4), 2, dtype=np.uint8)) as mask:
        np.testing.assert_array_equal(
            mask.read(-1, -2, 7, 4),
            [[0] * 7, [0] * 7, [0, 2, 2, 2, 2, 0, 0], [0, 2, 2, 2, 2, 0, 0]],
        )
        for column, row in ((4, 0), (-5, 0), (0, 3), (0, -9), (1000, 1000)):
            assert not mask.read(column, row, 5, 5).any()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-60, 700),
            st.integers(-60, 600),
            st.integers(1, 90),
            st.integers(1, 90),
            st.integers(0, 2),
        ),
        max_size=12,
    )
)
def test_blocks_written_anywhere_in_any_order_leave_what_was_written_last(tmp_path_factory, boxes):
    wanted = np.zeros((580, 690), dtype=np.uint8)
    path = tmp_path_factory.mktemp("any") / "mask.tif"
    with create_mask(path, grid_of(690, 580), NAMES, PALETTE) as writer:
        for column, row, width, height, value in boxes:
            writer.write(column, row, np.full((height, width), value, dtype=np.uint8))
            wanted[max(row, 0) : max(row + height, 0), max(column, 0) : max(column + width, 0)] = value
    with Mask.open(path) as mask:
        np.testing.assert_array_equal(mask.read(0, 0, 690, 580), wanted)


def test_zeros_written_over_values_erase_them(tmp_path):
    with create_mask(tmp_path / "mask.tif", grid_of(1200, 1200), NAMES, PALETTE) as writer:
        writer.write(0, 0, np.full((1200, 1200), 1, dtype=np.uint8))
        writer.write(512, 512, np.zeros((512, 512), dtype=np.uint8))
    with Mask.open(tmp_path / "mask.tif") as mask:
        assert np.count_nonzero(mask.read(0, 0, 1200, 1200)) == 1200**2 - 512**2


@pytest.mark.parametrize("dense", [False, True])
def test_the_same_writes_give_the_same_bytes(tmp_path, dense):
    for name in ("a.tif", "b.tif"):
        with create_mask(tmp_path / name, grid_of(1100, 900), NAMES, PALETTE) as writer:
            writer.write(5, 600, noise(200, 300))
            if dense:
                writer.write(0, 0, noise(900, 1100))
    assert (tmp_path / "a.tif").read_bytes() == (tmp_path / "b.tif").read_bytes()


def test_tiles_and_overviews_without_values_are_not_stored(tmp_path):
    with create_mask(tmp_path / "mask.tif", grid_of(512 * 40, 512 * 40), NAMES, PALETTE) as writer:
        writer.write(512 * 20, 512 * 20, noise(512, 512))
        writer.write(0, 0, np.zeros((2048, 2048), dtype=np.uint8))
    with tifffile.TiffFile(tmp_path / "mask.tif") as tiff:
        stored = [sum(count > 0 for count in page.databytecounts) for page in tiff.pages]
        assert not tiff.is_bigtiff
    # The block, and the first and last tile (see io.masks.create_mask).
    assert stored == [3, 1, 1, 1, 1, 1, 1]


def test_a_gigapixel_mask_with_little_in_it_is_small(tmp_path):
    with create_mask(tmp_path / "mask.tif", grid_of(48_896, 50_000), NAMES, PALETTE) as writer:
        writer.write(40_000, 45_000, np.ones((700, 700), dtype=np.uint8))
    assert (tmp_path / "mask.tif").stat().st_size < 1_000_000
    with Mask.open(tmp_path / "mask.tif") as mask:
        assert int(mask.read(39_990, 44_990, 720, 720).sum()) == 700**2


def red(slide, level):
    size = slide.level_dimensions[level]
    return np.asarray(slide.read_region((0, 0), level, size))[..., 0]


def test_openslide_shows_every_level_and_the_spacing(tmp_path):
    # Sides are multiples of 8: each level's pixel is then the first (top-left) of its block.
    labels = noise(2048, 3000)
    write(tmp_path / "mask.tif", labels, grid_of(3000, 2048, spacing=0.2277)).close()
    with openslide.OpenSlide(tmp_path / "mask.tif") as slide:
        assert slide.level_dimensions == ((3000, 2048), (1500, 1024), (750, 512), (375, 256))
        for name in ("openslide.mpp-x", "openslide.mpp-y"):
            assert float(slide.properties[name]) == pytest.approx(0.2277, rel=1e-6)
        for level in range(4):
            np.testing.assert_array_equal(red(slide, level), labels[:: 2**level, :: 2**level])


@pytest.mark.parametrize("side", [1025, 1051, 2047, 4099])
def test_a_level_of_odd_sides_is_off_by_less_than_half_its_pixel(tmp_path, side):
    # Level px i starts at level-0 i * side / (level side); two masks hold each column's number in base 256.
    columns = [[], []]
    for digit in range(2):
        labels = np.tile((np.arange(side) >> 8 * digit).astype(np.uint8), (520, 1))
        grid = grid_of(side, 520)
        with create_mask(
            tmp_path / "m.tif", grid, ("x",) * 255, dict.fromkeys(range(256), (0, 0, 0))
        ) as writer:
            writer.write(0, 0, labels)
        with openslide.OpenSlide(tmp_path / "m.tif") as slide:
            columns[digit] = [red(slide, level)[0].astype(int) for level in range(slide.level_count)]
    for level, (low, high) in enumerate(zip(*columns, strict=True)):
        start = np.arange(low.size) * side / low.size
        assert np.abs(low + 256 * high - start).max() <= 2**level / 2


def test_openslide_sees_no_smaller_bounds_though_the_first_tiles_are_empty(tmp_path):
    with create_mask(tmp_path / "mask.tif", grid_of(5000, 4000), NAMES, PALETTE) as writer:
        writer.write(2500, 2500, noise(300, 300))
    with openslide.OpenSlide(tmp_path / "mask.tif") as slide:
        assert slide.properties.get("openslide.bounds-x", "0") == "0"
        assert slide.properties.get("openslide.bounds-y", "0") == "0"
        assert slide.properties.get("openslide.bounds-width", "5000") == "5000"
        assert slide.properties.get("openslide.bounds-height", "4000") == "4000"


def test_one_pixel_is_a_mask_too(tmp_path):
    with write(tmp_path / "mask.tif", np.array([[2]], dtype=np.uint8)) as mask:
        assert mask.read(0, 0, 1, 1).tolist() == [[2]]


def test_other_programs_find_class_names_and_colours_in_the_description(tmp_path):
    write(tmp_path / "mask.tif", noise(10, 10)).close()
    with tifffile.TiffFile(tmp_path / "mask.tif") as tiff:
        assert tiff.pages[0].photometric.name == "MINISBLACK"
        description = json.loads(tiff.pages[0].description)
    assert description["classes"] == [
        {"name": "tumour", "colour": "#ff0001"},
        {"name": NAMES[1], "colour": "#0080ff"},
    ]


def test_read_as_takes_the_value_under_the_centre(tmp_path):
    labels = noise(8, 12)
    with write(tmp_path / "mask.tif", labels, grid_of(12, 8, spacing=1.0, step=2.0)) as mask:
        finer = grid_of(24, 16, spacing=0.5, step=1.0)
        np.testing.assert_array_equal(
            mask.read_as(finer, 0, 0, 24, 16), labels.repeat(2, axis=0).repeat(2, axis=1)
        )
        # The centre of a 4 x 4 block lies on a corner: the px to the right, below.
        coarser = grid_of(3, 2, spacing=4.0, step=8.0)
        np.testing.assert_array_equal(mask.read_as(coarser, 0, 0, 3, 2), labels[2::4, 2::4])
        np.testing.assert_array_equal(mask.read_as(mask.grid, -1, 3, 4, 4)[:, 1:], labels[3:7, :3])
        assert not mask.read_as(coarser, 3, 0, 4, 4).any()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_read_as_equals_looking_up_every_centre(tmp_path_factory, data):
    size = data.draw(st.integers(20, 400)), data.draw(st.integers(20, 400))
    slide = Spacing(0.25, 0.25)
    mine, other = (RasterGrid.over(size, slide, data.draw(st.floats(0.2, 3.0))) for _ in range(2))
    labels = noise(mine.height, mine.width)
    column, row = data.draw(st.integers(-20, 90)), data.draw(st.integers(-20, 90))
    mask = write(tmp_path_factory.mktemp("as") / "mask.tif", labels, mine)
    found = mask.read_as(other, column, row, 40, 30)
    mask.close()
    for r in range(30):
        for c in range(40):
            x = int((column + c + 0.5) * other.spacing / mine.spacing + 1e-6 // 1)
            y = int((row + r + 0.5) * other.spacing / mine.spacing + 1e-6 // 1)
            inside = column + c >= 0 <= row + r and x < mine.width and y < mine.height
            # A centre on a corner may fall to either side.
            near = abs((column + c + 0.5) * other.spacing / mine.spacing % 1) < 1e-5
            near = near or abs((row + r + 0.5) * other.spacing / mine.spacing % 1) < 1e-5
            assert near or found[r, c] == (labels[y, x] if inside else 0)


def test_read_as_in_strips_equals_reading_at_once(tmp_path, monkeypatch):
    labels = noise(600, 500)
    with write(tmp_path / "mask.tif", labels) as mask:
        coarser = RasterGrid.over((500, 600), Spacing(0.5, 0.5), 3.7)
        once = mask.read_as(coarser, -3, -3, 80, 100)
        assert STRIP_PIXELS > 600 * 500
        monkeypatch.setattr("hooknet.io.rasters.STRIP_PIXELS", 3000)
        np.testing.assert_array_equal(mask.read_as(coarser, -3, -3, 80, 100), once)
        assert once.any()


def test_a_grid_over_another_slide_is_refused(tmp_path):
    with write(tmp_path / "mask.tif", noise(100, 100)) as mask:
        with pytest.raises(MaskError, match=r"mask\.tif: covers 100 x 100 .* 120 x 100: .*different slides"):
            mask.read_as(grid_of(120, 100), 0, 0, 5, 5)
        with pytest.raises(MaskError, match="different slides"):
            # As many level-0 px, of another size.
            mask.read_as(RasterGrid(100, 100, 0.25, 1.0, 1.0), 0, 0, 5, 5)


def sum_of(mask):
    return int(mask.read(0, 0, 700, 600).sum())


def test_a_mask_that_is_open_can_be_pickled_and_used_in_other_processes(tmp_path):
    labels = noise(600, 700)
    with write(tmp_path / "mask.tif", labels) as mask:
        assert sum_of(mask) == labels.sum()
        copy = pickle.loads(pickle.dumps(mask))
        assert copy == mask
        assert sum_of(copy) == labels.sum()
        copy.close()
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            assert pool.map(sum_of, [mask, mask]) == [labels.sum()] * 2


def test_a_mask_opened_before_a_fork_is_opened_again_in_the_child(tmp_path):
    with write(tmp_path / "mask.tif", noise(600, 700)) as mask:
        mask.read(0, 0, 1, 1)
        parent = mask._handle[1]
        object.__setattr__(mask, "_handle", (os.getpid() + 1, parent))
        assert mask._dataset() is not parent
        parent.close()
        mask.read(0, 0, 1, 1)


def write_and_fail(path):
    with create_mask(path, grid_of(900, 900), NAMES, PALETTE) as writer:
        writer.write(0, 0, noise(900, 900))
        raise ZeroDivisionError


def test_a_failure_in_the_middle_leaves_nothing_and_keeps_what_was_there(tmp_path):
    before = tmp_path / "mask.tif"
    write(before, noise(20, 20)).close()
    bytes_before = before.read_bytes()
    with pytest.raises(ZeroDivisionError):
        write_and_fail(before)
    assert list(tmp_path.iterdir()) == [before]
    assert before.read_bytes() == bytes_before


def test_a_killed_writer_leaves_no_mask_behind(tmp_path):
    script = textwrap.dedent("""
        import os, signal, sys
        import numpy as np
        from hooknet.coordinates import RasterGrid
        from hooknet.io.masks import create_mask
        with create_mask(sys.argv[1], RasterGrid(900, 900, 0.5, 1.0, 1.0), ("a",), {1: (0, 0, 0)}) as writer:
            writer.write(0, 0, np.ones((900, 900), dtype=np.uint8))
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    path = tmp_path / "mask.tif"
    done = subprocess.run([sys.executable, "-c", script, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(MaskError, match="no such file"):
        Mask.open(path)


def test_values_without_a_class_cannot_be_written(tmp_path):
    with (
        pytest.raises(MaskError, match=r"mask\.tif: found value 3, wanted at most 2"),
        create_mask(tmp_path / "mask.tif", grid_of(9, 9), NAMES, PALETTE) as writer,
    ):
        writer.write(0, 0, np.full((2, 2), 3, dtype=np.uint8))
    with (
        pytest.raises(TypeError, match="float64"),
        create_mask(tmp_path / "mask.tif", grid_of(9, 9), NAMES, PALETTE) as writer,
    ):
        writer.write(0, 0, np.ones((2, 2)))
    assert not list(tmp_path.iterdir())


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_is_not_a_mask_of_ours_is_refused_in_one_line(tmp_path):
    with pytest.raises(MaskError, match=r"none\.tif: no such file") as error:
        Mask.open(tmp_path / "none.tif")
    one_line(error)
    (tmp_path / "text.tif").write_text("not a tiff")
    with pytest.raises(MaskError, match=r"text\.tif: not a readable raster") as error:
        Mask.open(tmp_path / "text.tif")
    one_line(error)
    tifffile.imwrite(tmp_path / "rgb.tif", np.zeros((20, 20, 3), np.uint8), photometric="rgb")
    with pytest.raises(MaskError, match=r"rgb\.tif: found 3 band\(s\) of uint8, wanted one band") as error:
        Mask.open(tmp_path / "rgb.tif")
    one_line(error)
    tifffile.imwrite(tmp_path / "deep.tif", np.zeros((20, 20), np.uint16))
    with pytest.raises(MaskError, match=r"1 band\(s\) of uint16"):
        Mask.open(tmp_path / "deep.tif")
    for name, text in (
        ("plain", "made elsewhere"),
        ("other", '{"format": "x"}'),
        ("list", "[1]"),
        ("number", "3"),
    ):
        tifffile.imwrite(
            tmp_path / f"{name}.tif", np.zeros((20, 20), np.uint8), description=text, metadata=None
        )
        with pytest.raises(MaskError, match="wanted a mask written by this package") as error:
            Mask.open(tmp_path / f"{name}.tif")
        one_line(error)


def test_a_damaged_tile_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "mask.tif"
    write(path, noise(1100, 1100)).close()
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages[0].dataoffsets[1]
    content = bytearray(path.read_bytes())
    content[offset : offset + 500] = b"\xff" * 500
    path.write_bytes(content)
    with (
        Mask.open(path) as mask,
        pytest.raises(MaskError, match=r"mask\.tif: cannot read .*damaged") as error,
    ):
        mask.read(400, 0, 300, 300)
    one_line(error)


def test_rasterio_opens_it_as_it_is(tmp_path):
    labels = noise(700, 600)
    write(tmp_path / "mask.tif", labels).close()
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        dataset = rasterio.open(tmp_path / "mask.tif")
    with dataset:
        assert (dataset.dtypes, dataset.block_shapes, dataset.overviews(1)) == (("uint8",), [(512, 512)], [2])
        np.testing.assert_array_equal(dataset.read(1), labels)


def test_a_slide_of_another_height_of_px_is_another_slide(tmp_path):
    grid = RasterGrid(100, 100, 0.5, 1.0, 1.0)
    for name, one in (("a.tif", grid), ("b.tif", RasterGrid(100, 100, 0.5, 1.0, 1.004))):
        with create_mask(tmp_path / name, one, ("x",), {1: (1, 2, 3)}) as writer:
            writer.write(0, 0, np.ones((100, 100), np.uint8))
    with Mask.open(tmp_path / "a.tif") as one, Mask.open(tmp_path / "b.tif") as other:
        one.check_same_slide(grid)
        with pytest.raises(MaskError, match="under two spacings"):
            one.check_same_slide(other.grid)
