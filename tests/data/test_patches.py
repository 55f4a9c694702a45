from dataclasses import replace

import made_runs
import numpy as np
import pytest
from torch.utils.data import DataLoader

from hooknet.coordinates import PatchSpec, Spacing
from hooknet.data.augment.numbers import AugmentNumbers, draw_numbers
from hooknet.data.index import load_index
from hooknet.data.patches import LabelSpec, PatchDataset
from hooknet.data.samplers import EpochSampler, PixelBalanced
from hooknet.errors import MaskError, SlideError
from hooknet.io.masks import Mask
from hooknet.io.patches import labels_around, read_views
from hooknet.io.slice_file import SliceInfo, write_slice
from hooknet.io.slides import Slide
from hooknet.shapes.hooknet import HookNetShape

NUMBERS = AugmentNumbers(5, 100.0)


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    run = made_runs.make_run()
    training, validation = made_runs.make_slides(tmp_path_factory.mktemp("slides"), run)
    return load_index([*training, *validation], ("one", "two"), HookNetShape(run.network).patch_spec)


SPEC = PatchSpec(38, 12, (0.5, 1.0))


def dataset(index, numbers=NUMBERS, seed=1, cache=None):
    return PatchDataset(index, SPEC, LabelSpec((0, 1), (16, 12)), numbers, seed, cache)


def test_an_item_is_the_views_and_labels_around_its_centre(index):
    patches = dataset(index)
    assert len(patches) == len(index.table)
    for row in (0, 7, len(patches) - 1):
        views, labels, uniform, field = patches[(3, row)]
        one = index.table.iloc[row]
        files = index.slides[int(one["slide"])]
        slide, mask = Slide(files.slide, files.spacing), Mask.open(files.labels)
        np.testing.assert_array_equal(views, read_views(slide, one["x"], one["y"], SPEC))
        assert [label.shape for label in labels] == [(16, 16), (12, 12)]
        for label, size, spacing in zip(labels, (16, 12), (0.5, 1.0), strict=True):
            np.testing.assert_array_equal(label, labels_around(mask, one["x"], one["y"], size, spacing))
        wanted = draw_numbers(NUMBERS, 1, 3)
        np.testing.assert_array_equal(uniform, wanted[0])
        np.testing.assert_array_equal(field, wanted[1])
        mask.close()
        slide.close()


def test_the_class_under_the_centre_is_that_of_the_index(index):
    patches = dataset(index)
    for row in range(0, len(patches), 11):
        labels = patches[(0, row)][1][0]
        assert labels[8, 8] == index.labels[row]  # right of and below the middle of 16


def test_the_counts_of_the_index_are_those_of_the_labels_that_are_scored(index):
    patches = PatchDataset(index, SPEC, LabelSpec((0,), (12,)), None, 1)
    for row in range(0, len(patches), 11):
        labels = patches[(0, row)][1][0]
        assert np.bincount(labels.ravel(), minlength=3)[1:].tolist() == index.pixels[row].tolist()


def test_validation_draws_no_numbers(index):
    _, _, uniform, field = dataset(index, None)[(0, 0)]
    assert uniform.size == 0
    assert field.size == 0


def batches(index, workers, epochs=2, cache=None):
    draws = PixelBalanced(index.labels, index.pixels, 4, 1)
    loader = DataLoader(
        dataset(index, cache=cache),
        batch_sampler=EpochSampler(draws, 3),
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    return [batch for _ in range(epochs) for batch in loader]


@pytest.mark.parametrize(("workers", "cache"), [(2, None), (0, 0), (0, 1 << 24), (2, 300_000)])
def test_workers_and_what_they_keep_change_nothing(index, workers, cache):
    alone, shared = batches(index, 0), batches(index, workers, cache=cache)
    assert len(alone) == len(shared) == 6
    for one, other in zip(alone, shared, strict=True):
        for left, right in zip((one[0], *one[1], *one[2:]), (other[0], *other[1], *other[2:]), strict=True):
            np.testing.assert_array_equal(left.numpy(), right.numpy())
    assert not np.array_equal(alone[0][0].numpy(), alone[1][0].numpy())


def test_the_slides_share_the_bytes_that_are_kept(index):
    limit = 400_000  # two blocks of 256 px
    patches = dataset(index, cache=limit)
    blocks = {id(slide._blocks): slide._blocks for slide in patches.slides}
    assert len(patches.slides) == 2
    assert len(blocks) == 1
    for row in range(0, len(patches), 5):
        patches[(0, row)]
        assert 0 < next(iter(blocks.values())).bytes <= limit


def test_a_slide_too_coarse_for_the_target_is_refused_before_training(index):
    with pytest.raises(SlideError, match="finest possible spacing"):
        PatchDataset(index, PatchSpec(38, 12, (0.25, 0.5)), LabelSpec((0,), (12,)), None, 1)


def test_a_mask_of_another_spacing_is_refused_before_training(index):
    slides = tuple(replace(one, spacing=Spacing(0.4, 0.4)) for one in index.slides)
    with pytest.raises(MaskError, match="or to one slide under two spacings"):
        dataset(replace(index, slides=slides))


def test_a_mask_that_is_none_is_refused_before_training(index, tmp_path):
    broken = replace(index, slides=(replace(index.slides[0], labels=tmp_path / "none.tif"), index.slides[1]))
    with pytest.raises(MaskError):
        dataset(broken)


def test_a_slide_of_other_bands_than_the_network_is_refused_before_training(index):
    with pytest.raises(SlideError, match=r"found 3 band\(s\), wanted 4, the dataset's `channels`"):
        PatchDataset(index, replace(SPEC, channels=4), LabelSpec((0, 1), (16, 12)), None, 1)


def test_views_of_a_slice_have_all_its_bands(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (50, 60, 4), dtype=np.uint8)
    about = SliceInfo(Spacing(500.0, 500.0), (1, 2, 3, 4), ("a", "b", "c", "d"), "v", 0, 1.0)
    write_slice(tmp_path / "v.slice.tif", pixels, about)
    slide = Slide(tmp_path / "v.slice.tif")
    views = read_views(slide, 30.0, 20.0, PatchSpec(38, 12, (500.0, 1000.0), channels=4))
    assert views.shape == (2, 38, 38, 4)
    np.testing.assert_array_equal(views[0], pixels[1:39, 11:49])
    np.testing.assert_array_equal(views[1, 0, 0], [1, 2, 3, 4])
