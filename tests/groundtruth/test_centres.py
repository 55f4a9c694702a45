import made_slides
import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from hooknet.coordinates import RasterGrid
from hooknet.groundtruth import centres
from hooknet.groundtruth.centres import Fragment, count_pixels, draw_centres, find_regions, generator
from hooknet.io.masks import Mask
from hooknet.io.patches import labels_around

EIGHT = np.ones((3, 3))


def mask_of(folder, labels, step=1.0, spacing=0.5, classes=3):
    return Mask.open(made_slides.write_mask(folder / "mask.tif", labels, step, spacing, classes))


def blobs(height=90, width=110, seed=0, threshold=0.02):
    """Smooth random patches of three classes, some of them touching corner to corner."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((height, width), np.uint8)
    for value in (1, 2, 3):
        field = ndimage.gaussian_filter(rng.normal(size=(height, width)), 2)
        labels[field > threshold * (2 + value)] = value
    labels[rng.random(labels.shape) < 0.15] = 0  # frayed: many connections by a corner only
    return labels


def pixels_of(fragments, regions, shape):
    """(region, class) under every pixel, from fragments that hold all their pixels."""
    region, value = np.full(shape, -1), np.zeros(shape, np.uint8)
    for fragment, number in zip(fragments, regions, strict=True):
        assert len(fragment.rows) == fragment.pixels
        region[fragment.rows, fragment.columns] = number
        value[fragment.rows, fragment.columns] = fragment.value
    return region, value


@pytest.mark.parametrize("block", [1, 2, 7, 16, 64, 2048])
@pytest.mark.parametrize("seed", [0, 1])
def test_regions_across_blocks_are_those_of_the_whole_mask(tmp_path, monkeypatch, block, seed):
    monkeypatch.setattr(centres, "BLOCK", block)
    labels = blobs(seed=seed) if block > 2 else blobs(seed=seed)[:30, :35]
    with mask_of(tmp_path, labels) as mask:
        fragments, regions = find_regions(mask, labels.size, np.random.default_rng(0))
    region, value = pixels_of(fragments, regions, labels.shape)
    np.testing.assert_array_equal(value, labels)
    for one in (1, 2, 3):
        wanted, count = ndimage.label(labels == one, EIGHT)
        pairs = np.unique(np.stack([wanted[labels == one], region[labels == one]]), axis=1)
        assert pairs.shape[1] == count > 3  # one to one
        assert len(set(pairs[1])) == count


@pytest.mark.parametrize("block", [4, 5])
def test_corners_connect_across_a_border_of_blocks_both_ways(tmp_path, monkeypatch, block):
    monkeypatch.setattr(centres, "BLOCK", block)
    for labels in (np.eye(12, dtype=np.uint8), np.eye(12, dtype=np.uint8)[::-1].copy()):
        with mask_of(tmp_path, labels) as mask:
            _, regions = find_regions(mask, 99, np.random.default_rng(0))
        assert set(regions) == {0}


def test_neighbours_of_another_class_are_another_region(tmp_path, monkeypatch):
    monkeypatch.setattr(centres, "BLOCK", 2)
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 1, 1]], np.uint8)
    with mask_of(tmp_path, labels) as mask:
        fragments, regions = find_regions(mask, 99, np.random.default_rng(0))
    region, _ = pixels_of(fragments, regions, labels.shape)
    assert region[0, 0] == region[2, 2]  # by the corner
    assert len({region[0, 0], region[0, 2], region[2, 0]}) == 3


def test_every_region_has_a_centre_however_small(tmp_path):
    labels = np.zeros((60, 60), np.uint8)
    labels[:40] = 1
    labels[50, 5::2] = 2  # 28 regions of one pixel
    labels[55, 3] = 1  # one pixel of a class with thousands
    with mask_of(tmp_path, labels) as mask:
        table = draw_centres(mask, 10, np.random.default_rng(0))
    assert (table["label"] == 2).sum() == 28
    assert ((table["label"] == 1) & (table["y"] == 55)).sum() == 1
    assert (table["label"] == 1).sum() == 11
    assert table["region"].nunique() == 30


def test_there_are_no_more_centres_than_asked_for_and_one_a_region(tmp_path, monkeypatch):
    monkeypatch.setattr(centres, "BLOCK", 16)
    labels = blobs()
    with mask_of(tmp_path, labels) as mask:
        for wanted in (1, 50, 400, 10**6):
            table = draw_centres(mask, wanted, np.random.default_rng(0))
            for value in (1, 2, 3):
                regions = ndimage.label(labels == value, EIGHT)[1]
                mine = table[table["label"] == value]
                assert mine["region"].nunique() == regions
                assert len(mine) <= wanted + regions
                assert len(mine) >= min(wanted - regions, (labels == value).sum())
                assert not mine.duplicated(["x", "y"]).any()
    assert len(table) == (labels > 0).sum()  # a million is more than there are


def test_a_centre_lies_on_a_pixel_of_its_label_and_region(tmp_path, monkeypatch):
    monkeypatch.setattr(centres, "BLOCK", 16)
    labels = blobs()
    with mask_of(tmp_path, labels, step=2.2, spacing=1.1) as mask:
        table = draw_centres(mask, 200, np.random.default_rng(0))
        columns, rows = (table["x"] / 2.2).round().astype(int), (table["y"] / 2.2).round().astype(int)
        np.testing.assert_allclose(columns * 2.2, table["x"])
        np.testing.assert_array_equal(labels[rows, columns], table["label"])
        for row in table.iloc[::25].itertuples():
            # The pixel right of and below the middle of a patch of any even size is the one that was drawn.
            assert labels_around(mask, row.x, row.y, 6, 1.1)[3, 3] == row.label
    numbers = np.stack([ndimage.label(labels == value, EIGHT)[0] for value in (1, 2, 3)])
    own = numbers[table["label"] - 1, rows, columns]
    assert pd.Series(own).groupby([table["label"], table["region"]]).nunique().max() == 1


def test_the_seed_and_the_name_alone_decide(tmp_path):
    with mask_of(tmp_path, blobs()) as mask:
        one = draw_centres(mask, 50, generator(1, "slide"))
        pd.testing.assert_frame_equal(one, draw_centres(mask, 50, generator(1, "slide")))
        for other in (generator(2, "slide"), generator(1, "slide2")):
            assert not one[["x", "y"]].equals(draw_centres(mask, 50, other)[["x", "y"]])


def test_centres_are_spread_evenly_over_a_class_and_its_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(centres, "BLOCK", 13)  # blocks of unequal share of the region
    labels = np.ones((40, 50), np.uint8)
    counts = np.zeros((4, 5))
    with mask_of(tmp_path, labels) as mask:
        for seed in range(40):
            table = draw_centres(mask, 100, np.random.default_rng(seed))
            assert len(table) == 100
            counts += np.histogram2d(table["y"], table["x"], (4, 5), ((0, 40), (0, 50)))[0]
    # 200 expected in each of the 20 cells; chi squared with 19 degrees of freedom exceeds 43.8 once in 1000.
    assert ((counts - 200) ** 2 / 200).sum() < 43.8


def test_regions_get_centres_in_proportion_to_their_pixels(tmp_path):
    labels = np.zeros((50, 60), np.uint8)
    labels[:40, :25] = 1  # 1000 px
    labels[:40, 30:55] = 1
    labels[40:, 55:] = 0
    labels[45:50, :50] = 1  # 250 px
    with mask_of(tmp_path, labels) as mask:
        table = draw_centres(mask, 225, np.random.default_rng(0))
    assert sorted(table.groupby("region").size()) == [25, 100, 100]


def test_a_region_of_billions_of_pixels_can_be_drawn_from():
    grid = RasterGrid(10, 10, 0.5, 1.0, 1.0)

    class Stand:  # its grid is all that is asked for
        pass

    mask = Stand()
    mask.grid = grid
    parts = [
        Fragment(1, 3_000_000_000, np.arange(100), np.zeros(100, int)),
        Fragment(1, 1, np.array([7]), np.array([5])),
    ]
    table = centres._centres_of(parts, 100 / 3_000_000_001, np.random.default_rng(0), mask, 4)
    assert len(table) == 100
    assert set(table["region"]) == {4}


def test_an_empty_mask_has_no_centres_but_all_columns(tmp_path):
    with mask_of(tmp_path, np.zeros((20, 20), np.uint8)) as mask:
        table = draw_centres(mask, 50, np.random.default_rng(0))
        counted = count_pixels(table, mask, 8, 0.5, 3)
    assert list(counted) == ["x", "y", "label", "region", "pixels_1", "pixels_2", "pixels_3"]
    assert len(counted) == 0


@pytest.mark.parametrize(("size", "spacing"), [(8, 0.5), (10, 1.0), (6, 0.8)])
def test_counts_are_those_of_the_patch_counted_one_by_one(tmp_path, size, spacing):
    labels = blobs()
    with mask_of(tmp_path, labels) as mask:
        table = count_pixels(draw_centres(mask, 30, np.random.default_rng(0)), mask, size, spacing, 3)
    ratio = spacing / 0.5
    for row in table.itertuples():
        wanted = {1: 0, 2: 0, 3: 0, 0: 0}
        for i in range(size):
            for j in range(size):
                y = int(np.floor(row.y + (i + 0.5 - size / 2) * ratio + 1e-6))
                x = int(np.floor(row.x + (j + 0.5 - size / 2) * ratio + 1e-6))
                inside = 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]
                wanted[int(labels[y, x]) if inside else 0] += 1
        assert (row.pixels_1, row.pixels_2, row.pixels_3) == (wanted[1], wanted[2], wanted[3])
