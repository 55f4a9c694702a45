import made_runs
import numpy as np
import pytest
import torch

from hooknet.data.augment.numbers import label_margin
from hooknet.data.index import load_index
from hooknet.models.gpus import rounding_to_tf32
from hooknet.training.batches import augmentation, balanced_draws, prepare, training_loader


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    run = made_runs.make_run()
    training, _ = made_runs.make_slides(tmp_path_factory.mktemp("slides"), run)
    return load_index(training, ("one", "two"), run.network.shape.patch_spec)


def loaded(run, index, rows=((0, 3), (1, 60))):
    return next(iter(training_loader(run, index, [list(rows)], workers=0)))


@pytest.mark.parametrize("elastic", [0.0, 2.0])
def test_labels_are_read_with_what_may_be_warped_into_them_and_cut_to_the_output(index, elastic):
    run = made_runs.make_run(augment={"elastic_um": elastic}, loss_weights=(0.5, 0.5))
    views, labels, uniform, field = loaded(run, index)
    assert views.shape == (2, 2, 38, 38, 3)
    wanted = [min(38, 12 + 2 * label_margin(elastic, spacing)) for spacing in (0.5, 1.0)]
    assert [one.shape[-1] for one in labels] == wanted
    assert (wanted == [12, 12]) == (elastic == 0)
    batch = views, labels, uniform, field
    pixels, cut = prepare(batch, augmentation(run), (0, 1), 12, False)
    assert pixels.shape == (2, 2, 3, 38, 38)
    assert [one.shape for one in cut] == [(2, 12, 12)] * 2


def test_without_augmentation_pixels_are_the_slide_s_over_255(index):
    run = made_runs.make_run()
    batch = loaded(run, index)
    views, labels = prepare(batch, None, (0,), 12, False)
    np.testing.assert_array_equal(
        (views * 255).round().numpy(), batch[0].permute(0, 1, 4, 2, 3).float().numpy()
    )
    margin = (batch[1][0].shape[-1] - 12) // 2
    assert torch.equal(labels[0], batch[1][0][:, margin : margin + 12, margin : margin + 12])


def test_augmentation_is_in_fp32_whatever_the_network_computes_in(index):
    run = made_runs.make_run()
    found = []

    def augment(views, labels, branches, uniform, field):
        found.append(torch.backends.cuda.matmul.allow_tf32 or torch.is_autocast_enabled("cpu"))
        return views, labels

    with rounding_to_tf32(True), torch.autocast("cpu", torch.bfloat16):
        prepare(loaded(run, index), augment, (0,), 12, False)
    assert found == [False]


def test_every_run_starts_its_draws_anew(index):
    run = made_runs.make_run()
    assert balanced_draws(run, index).next_batch() == balanced_draws(run, index).next_batch()
    assert balanced_draws(made_runs.make_run(train={"sampler": "official"}), index).rule == "official"
