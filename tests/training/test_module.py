import made_runs
import numpy as np
import pytest
import torch

from hooknet.data.augment.chain import Augment, Strengths
from hooknet.data.augment.numbers import field_layout
from hooknet.metrics.confusion import count
from hooknet.metrics.scores import scores
from hooknet.training.loop import new_network
from hooknet.training.losses import branches_loss, weight_decay
from hooknet.training.module import Segmentation


class Quiet(Segmentation):
    """Keeps what it logs, without a trainer."""

    def __init__(self, *args):
        super().__init__(*args)
        self.told = {}

    def log(self, name, value, **_):
        self.told[name] = float(value)


def module_of(l2=0.0, augment=None, **changes):
    run = made_runs.make_run(**changes)
    return Quiet(new_network(run), augment, 1e-3, l2, run.dataset.label_map.names)


def batch_of(module, size=None, seed=0, count=2):
    spec, branches = module.network.patch_spec, module.network.output_branches
    generator = torch.Generator().manual_seed(seed)
    views = torch.randint(0, 256, (count, len(spec.spacings), spec.size, spec.size, 3), generator=generator)
    side = size or spec.output_size
    labels = [torch.randint(0, 3, (count, side, side), generator=generator) for _ in branches]
    return [
        views.to(torch.uint8),
        [one.to(torch.uint8) for one in labels],
        torch.zeros(count, 0),
        torch.zeros(0),
    ]


@pytest.mark.parametrize("weights", [None, (0.75, 0.25)])
def test_the_loss_is_that_of_the_networks_own_logits_and_labels(weights):
    module = module_of(l2=0.01, loss_weights=weights).eval()
    batch = batch_of(module)
    inputs = [batch[0][:, branch].permute(0, 3, 1, 2) / 255 for branch in range(2)]
    with torch.no_grad():
        logits = module.network(inputs)
        wanted = branches_loss(logits, batch[1], weights or (1.0,))
        decay = weight_decay(module.network.regularised_kernels(), 0.01)
        found = module.training_step(batch, 0)
    assert float(found) == pytest.approx(float(wanted + decay), rel=1e-5)
    assert module.told["train_cross_entropy"] == pytest.approx(float(wanted), rel=1e-5)
    assert module.told["train_loss"] == pytest.approx(float(wanted + decay), rel=1e-5)


def test_labels_that_are_read_wider_are_cut_to_the_output():
    module = module_of().eval()
    spec = module.network.patch_spec
    wide, narrow = batch_of(module, spec.output_size + 6), batch_of(module)
    narrow[1] = [one[:, 3:-3, 3:-3] for one in wide[1]]
    with torch.no_grad():
        assert float(module.training_step(wide, 0)) == float(module.training_step(narrow, 0))


def test_validation_counts_truth_against_prediction_at_the_target():
    module = module_of().eval()
    module.on_validation_epoch_start()
    truth, predicted = [], []
    for seed in range(3):
        batch = batch_of(module, seed=seed)
        with torch.no_grad():
            module.validation_step(batch, 0)
            inputs = [batch[0][:, branch].permute(0, 3, 1, 2) / 255 for branch in range(2)]
            predicted.append(module.network(inputs)[0].argmax(dim=1).numpy() + 1)
        truth.append(batch[1][0].numpy())
    wanted = scores(count(np.concatenate(truth), np.concatenate(predicted), 2))
    np.testing.assert_array_equal(module.validation_scores.f1, wanted.f1)
    module.on_validation_epoch_end()
    assert module.told["validation_macro_f1"] == pytest.approx(wanted.macro_f1)


def test_the_validation_loss_is_that_of_all_pixels_together():
    module = module_of().eval()
    module.on_validation_epoch_start()
    batches = [batch_of(module, seed=seed, count=seed + 1) for seed in range(3)]
    batches[1][1][0][0] = 0  # fewer annotated pixels in one batch
    with torch.no_grad():
        for batch in batches:
            module.validation_step(batch, 0)
        everything = [torch.cat([one[0] for one in batches]), [torch.cat([one[1][0] for one in batches])]]
        inputs = [everything[0][:, branch].permute(0, 3, 1, 2) / 255 for branch in range(2)]
        wanted = branches_loss(module.network(inputs), everything[1], (1.0,))
    assert module.validation_loss == pytest.approx(float(wanted), rel=1e-5)


def test_every_validation_starts_at_nothing():
    module = module_of().eval()
    for _ in range(2):
        module.on_validation_epoch_start()
        with torch.no_grad():
            module.validation_step(batch_of(module), 0)
        once = module.validation_loss, module.validation_scores.f1.tolist()
    module.on_validation_epoch_start()
    with torch.no_grad():
        module.validation_step(batch_of(module), 0)
    assert (module.validation_loss, module.validation_scores.f1.tolist()) == once


def test_validation_is_not_augmented_and_training_is():
    run = made_runs.make_run()
    spec = new_network(run).patch_spec
    strong = Strengths(True, 0.0, 40.0, 0.0, 0.9, 0.0, 0.0, 0.0, 0.0)
    augment = Augment(strong, spec, field_layout(38.0, 40.0))
    plain, changed = module_of().eval(), module_of(augment=augment).eval()
    batch = batch_of(plain)
    batch[2] = torch.full((2, 12), 0.95)
    with torch.no_grad():
        assert float(plain.training_step(batch, 0)) != float(changed.training_step(batch, 0))
        for one in (plain, changed):
            one.on_validation_epoch_start()
            one.validation_step(batch, 0)
    assert plain.validation_loss == changed.validation_loss


def test_the_optimiser_is_adam_with_keras_epsilon_over_all_parameters():
    module = module_of()
    adam = module.configure_optimizers()
    assert isinstance(adam, torch.optim.Adam)
    assert adam.defaults["eps"] == 1e-7
    assert adam.defaults["lr"] == 1e-3
    assert {id(one) for group in adam.param_groups for one in group["params"]} == {
        id(one) for one in module.network.parameters()
    }
