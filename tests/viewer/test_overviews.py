import made_slides
import numpy as np
import pytest

from hooknet.coordinates import RasterGrid, Spacing
from hooknet.errors import MaskError
from hooknet.io.masks import create_mask
from hooknet.io.spool import Spool
from hooknet.io.tiles import Plane, overviews
from hooknet.viewer.overviews import PyramidMask, sampled
from hooknet.viewer.pyramid import Pyramid

CYCLE = 250


def counting_mask(path, slide, spacings, spacing, axis):
    """A mask whose values count its columns (axis 1) or rows (0), over and over."""
    grid = RasterGrid.over(slide, spacings, spacing)
    along = np.arange((grid.height, grid.width)[axis]) % CYCLE + 1
    values = np.broadcast_to(along if axis else along[:, None], (grid.height, grid.width)).astype(np.uint8)
    with create_mask(
        path, grid, tuple(map(str, range(CYCLE))), dict.fromkeys(range(1, 251), (0, 0, 0))
    ) as writer:
        writer.write(0, 0, values)
    return grid


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("spacing", [0.25, 0.5, 0.75, 1.1])
@pytest.mark.parametrize("across", [0.25, 0.2])
def test_every_px_shows_what_lies_under_it(tmp_path, axis, spacing, across):
    """On every level, from masks at other spacings than the slide's, powers of two apart or not, px square or not."""
    size = (9000, 300) if axis else (300, 9000)
    slide = Spacing(across, 0.25)
    grid = counting_mask(tmp_path / "m.tif", size, slide, spacing, axis)
    mask = PyramidMask(tmp_path / "m.tif", size, slide)
    pyramid = Pyramid(*size)
    step_of_mask = (grid.step_y, grid.step_x)[axis]
    for level in range(pyramid.first, pyramid.last + 1):
        ratio = pyramid.step(level) / step_of_mask
        found = mask.read(pyramid.whole(level))
        line = (found[0] if axis else found[:, 0]).astype(int)
        centres = (np.arange(line.size) + 0.5) * ratio
        inside = centres < (grid.height, grid.width)[axis]
        assert (line[inside] > 0).all()
        assert (line[~inside] == 0).all()
        # How far (in the mask's px) from the centre the px is that has this value.
        away = (line - 1 + 0.5 - centres + CYCLE / 2) % CYCLE - CYCLE / 2
        # Where no coarser grid is in the way it is the px under the centre; else 0.4 px of the tile, 0.5 are allowed.
        assert np.abs(away[inside]).max() <= (0.5 + 1e-6 if ratio < 4 else 0.4 * ratio), (level, ratio)
    mask.close()


def test_tiles_are_parts_of_the_whole(tmp_path):
    counting_mask(tmp_path / "m.tif", (9000, 700), made_slides.square(0.25), 0.4, 1)
    mask = PyramidMask(tmp_path / "m.tif", (9000, 700), made_slides.square(0.25))
    pyramid = Pyramid(9000, 700)
    for level in range(pyramid.first, pyramid.last + 1):
        whole = mask.read(pyramid.whole(level))
        for column in range(-(-whole.shape[1] // 256)):
            part = mask.read(pyramid.tile(level, column, 0))
            assert np.array_equal(part, whole[:256, 256 * column : 256 * column + 256])
    mask.close()


@pytest.mark.parametrize("size", [(2048, 513), (1025, 4100), (1537, 1601)])
def test_samples_are_those_that_masks_keep(tmp_path, size):
    width, height = size
    with Spool(tmp_path / "spool") as spool:
        base = Plane(spool, width, height)
        columns = np.broadcast_to(np.arange(width) % CYCLE + 1, (height, width)).astype(np.uint8)
        base.write(0, 0, columns)
        for number, plane in enumerate(overviews(base), start=1):
            told = sampled(width, number)
            assert told.size == plane.width
            first = np.concatenate([plane.tile((0, one))[0] for one in range(-(-plane.width // 512))])[
                : told.size
            ]
            assert np.array_equal(first, told % CYCLE + 1)


def test_a_mask_of_another_slide_is_refused(tmp_path):
    made_slides.write_mask(tmp_path / "m.tif", np.ones((30, 40), np.uint8))
    with pytest.raises(MaskError, match="different slides"):
        PyramidMask(tmp_path / "m.tif", (80, 60), made_slides.square(0.5))
    with pytest.raises(MaskError, match="under two spacings"):
        PyramidMask(tmp_path / "m.tif", (40, 30), made_slides.square(0.25))
