"""What is previewed is what training gets: the same draws, pixels, labels and random numbers."""

from dataclasses import replace
from unittest import mock

import made_runs
import numpy as np
import pytest
import torch

from hooknet.data.index import load_index
from hooknet.errors import ConfigError
from hooknet.io.masks import Mask
from hooknet.io.patches import labels_around, read_views
from hooknet.io.slides import Slide
from hooknet.io.tables import read_centres, write_centres
from hooknet.training import module
from hooknet.training.loop import train
from hooknet.training.preview import preview


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    made_runs.make_slides(folder, made_runs.make_run())
    return folder


def training_of(slides, run):
    return made_runs.make_slides(slides, run)[0]


def shown_in_training(slides, folder, run):
    """What the network of a real training is given in its first epoch: views and target labels as 8-bit values."""
    seen = []
    prepare = module.prepare

    def watch(batch, augment, *rest):
        views, labels = prepare(batch, augment, *rest)
        if len(seen) < run.settings.train.steps:
            pixels = (views * 255).round().byte().permute(0, 1, 3, 4, 2)
            seen.append((pixels.clone().numpy(), labels[0].clone().numpy()))
        return views, labels

    with mock.patch.object(module, "prepare", watch):
        train(run, *made_runs.make_slides(slides, run), made_runs.results(folder))
    return (np.concatenate([one[part] for one in seen]) for part in (0, 1))


@pytest.mark.parametrize(
    "changes",
    [{}, {"shuffle_context": True}, {"augment": {"elastic_um": 0.0}, "train": {"sampler": "official"}}],
)
def test_the_picture_shows_what_training_gives_its_network_number_for_number(slides, tmp_path, changes):
    run = made_runs.make_run(**made_runs.merged({"train": {"epochs": 1}}, changes))
    views, labels = shown_in_training(slides, tmp_path, run)
    found = preview(run, training_of(slides, run), 6)  # a batch and a half
    assert len(found.patches) == 6
    assert found.shuffled == ("shuffle_context" in changes)
    for number, patch in enumerate(found.patches):
        np.testing.assert_array_equal(np.stack(patch.augmented.views), views[number])
        np.testing.assert_array_equal(patch.augmented.labels, labels[number])


def test_as_on_the_slide_is_what_lies_around_the_centre(slides):
    run = made_runs.make_run()
    spec = run.network.shape.patch_spec
    files = training_of(slides, run)[0]
    slide, mask = Slide(files.slide, files.spacing), Mask.open(files.labels)
    names = run.dataset.label_map.names
    centres = load_index([files], names, spec).table
    for patch in preview(run, [files], 5).patches:
        views = read_views(slide, patch.x, patch.y, spec)
        np.testing.assert_array_equal(np.stack(patch.plain.views), views)
        labels = labels_around(mask, patch.x, patch.y, spec.output_size, spec.target_spacing)
        np.testing.assert_array_equal(patch.plain.labels, labels)
        assert patch.slide == "a"
        there = centres[(centres["x"] == patch.x) & (centres["y"] == patch.y)]
        assert names.index(patch.centre_class) + 1 in set(there["label"])
        assert not np.array_equal(patch.augmented.views[0], patch.plain.views[0])
    mask.close()
    slide.close()


def test_without_augmentation_both_halves_are_the_same(slides):
    run = made_runs.make_run(augment=made_runs.NO_AUGMENT)
    for patch in preview(run, training_of(slides, run), 4).patches:
        np.testing.assert_array_equal(np.stack(patch.augmented.views), np.stack(patch.plain.views))
        np.testing.assert_array_equal(patch.augmented.labels, patch.plain.labels)


def test_more_patches_begin_with_the_same_and_another_seed_draws_others(slides):
    run = made_runs.make_run()
    files = training_of(slides, run)
    two, five = preview(run, files, 2).patches, preview(run, files, 5).patches
    assert [(one.x, one.y) for one in two] == [(one.x, one.y) for one in five[:2]]
    np.testing.assert_array_equal(two[1].augmented.views[1], five[1].augmented.views[1])
    other = preview(replace(run, seed=2), files, 5).patches
    assert [(one.x, one.y) for one in other] != [(one.x, one.y) for one in five]


def test_the_caller_s_random_state_changes_nothing_and_is_kept(slides):
    run = made_runs.make_run()
    files = training_of(slides, run)
    one = preview(run, files, 2).patches[1]
    torch.manual_seed(99)
    other = preview(run, files, 2).patches[1]
    np.testing.assert_array_equal(one.augmented.views[0], other.augmented.views[0])


def test_slides_without_a_centre_are_an_error(slides, tmp_path):
    run = made_runs.make_run()
    files = training_of(slides, run)[0]
    centres = read_centres(files.centres)
    empty = tmp_path / "empty.parquet"
    write_centres(empty, replace(centres, table=centres.table[:0]))
    with pytest.raises(ConfigError) as caught:
        preview(run, [replace(files, centres=empty)], 4)
    assert str(caught.value) == (
        "run made: the 1 training slides have no annotated pixel of one, two; wanted every class of the dataset: "
        "move a slide that has it, or annotate more"
    )
