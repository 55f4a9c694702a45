from dataclasses import fields

import made_runs
import made_slides
import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from hooknet.data.augment.chain import Augment, Strengths
from hooknet.data.augment.numbers import field_layout
from hooknet.evaluation import score_tables
from hooknet.evaluation import slides as slides_counted
from hooknet.evaluation.compare import compare
from hooknet.evaluation.system import System
from hooknet.io.masks import Mask
from hooknet.metrics.confusion import count, merge
from hooknet.metrics.scores import Scores, scores
from hooknet.training import scored as validating
from hooknet.training.losses import (
    all_pixels_cross_entropy,
    annotated_cross_entropy,
    branches_loss,
    weight_decay,
)
from hooknet.training.module import Segmentation
from hooknet.training.weights import new_network


class Quiet(Segmentation):
    """Keeps what it logs, without a trainer."""

    def __init__(self, *args):
        super().__init__(*args)
        self.told = {}

    def log(self, name, value, **_):
        self.told[name] = float(value)


def module_of(l2=0.0, augment=None, **changes):
    run = made_runs.make_run(**made_runs.merged({"train": {"learning_rate": 1e-3, "l2": l2}}, changes))
    return Quiet(new_network(run), augment, run.settings, run.dataset.label_map.names)


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


MODELS = [
    {},
    {"loss_weights": (0.75, 0.25)},
    {"model": "unet", "spacings": (0.5,)},
    {"model": "mrn", "patch_size": 32},
]


MEASURES = {"annotated": annotated_cross_entropy, "all_pixels": all_pixels_cross_entropy}


@pytest.mark.parametrize("normalise", ["annotated", "all_pixels"])
@pytest.mark.parametrize("model", MODELS)
def test_the_loss_is_that_of_the_networks_own_logits_and_labels(model, normalise):
    module = module_of(l2=0.01, train={"normalise": normalise}, **model).eval()
    batch = batch_of(module)
    branches = len(module.network.patch_spec.spacings)
    inputs = [batch[0][:, branch].permute(0, 3, 1, 2) / 255 for branch in range(branches)]
    with torch.no_grad():
        logits = module.network(inputs)
        wanted = branches_loss(logits, batch[1], model.get("loss_weights", (1.0,)), MEASURES[normalise])
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


def test_validation_and_final_evaluation_are_the_same_functions():
    assert validating.count is slides_counted.count is count
    assert validating.scores is score_tables.scores is scores


@pytest.mark.parametrize("model", MODELS)
def test_validation_gives_the_very_numbers_that_the_evaluation_gives_of_the_same_pixels(tmp_path, model):
    module = module_of(**model).eval()
    module.on_validation_epoch_start()
    branches = len(module.network.patch_spec.spacings)
    slides, truth, predicted = {}, [], []
    for seed in range(3):
        batch = batch_of(module, seed=seed)
        inputs = [batch[0][:, branch].permute(0, 3, 1, 2) / 255 for branch in range(branches)]
        with torch.no_grad():
            module.validation_step(batch, 0)
            found = module.network(inputs)[0].argmax(dim=1).numpy().astype(np.uint8) + 1
        # The patches of a batch side by side are the label mask and the map of a slide.
        rasters = [np.concatenate(list(one), axis=1) for one in (batch[1][0].numpy(), found)]
        paths = [
            made_slides.write_mask(tmp_path / f"{seed}_{name}.tif", one)
            for name, one in zip("tp", rasters, strict=True)
        ]
        with Mask.open(paths[0]) as one, Mask.open(paths[1]) as other:
            slides[f"s{seed}"] = slides_counted.count_slide(one, other, 2)
        truth.append(rasters[0].ravel())
        predicted.append(rasters[1].ravel())
    evaluated = scores(merge(slides.values(), 2))
    for field in fields(Scores):
        one, other = (getattr(of, field.name) for of in (module.validation_scores, evaluated))
        np.testing.assert_array_equal(one, other, err_msg=field.name)
    tables = compare([System("made", "made", 1, slides)], ["one", "two"])
    module.on_validation_epoch_end()
    told = tables.scores.set_index("class")["f1"]
    assert told["macro"] == module.told["validation_macro_f1"] == by_sklearn(truth, predicted)
    assert told[["one", "two"]].tolist() == module.validation_scores.f1.tolist()
    per_slide = [by_sklearn([one], [other]) for one, other in zip(truth, predicted, strict=True)]
    assert tables.slide_scores["macro_f1"].tolist() == per_slide


def by_sklearn(truth, predicted):
    """Macro F1 over annotated pixels, up to the last bits."""
    truth, predicted = np.concatenate(truth), np.concatenate(predicted)
    found = f1_score(truth[truth > 0], predicted[truth > 0], average="macro", labels=[1, 2])
    return pytest.approx(found, rel=1e-12)


@pytest.mark.parametrize("normalise", ["annotated", "all_pixels"])
def test_the_validation_loss_is_that_of_all_pixels_together(normalise):
    module = module_of(train={"normalise": normalise}).eval()
    module.on_validation_epoch_start()
    batches = [batch_of(module, seed=seed, count=seed + 1) for seed in range(3)]
    batches[1][1][0][0] = 0  # fewer annotated pixels in one batch
    with torch.no_grad():
        for batch in batches:
            module.validation_step(batch, 0)
        everything = [torch.cat([one[0] for one in batches]), [torch.cat([one[1][0] for one in batches])]]
        inputs = [everything[0][:, branch].permute(0, 3, 1, 2) / 255 for branch in range(2)]
        wanted = branches_loss(module.network(inputs), everything[1], (1.0,), MEASURES[normalise])
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


def with_contexts_of_the_next(batch):
    """The batch as ``shuffle_context`` has to make it, written out patch by patch."""
    views, labels, uniform, field = batch
    last = len(views) - 1
    shown = torch.stack(
        [torch.stack([views[one, 0], *views[one + 1 if one < last else 0, 1:]]) for one in range(len(views))]
    )
    target, *contexts = labels
    moved = [torch.stack([*one[1:], one[0]]) for one in contexts]
    return [shown, [target, *moved], uniform, field]


@pytest.mark.parametrize(
    "model",
    [
        {"loss_weights": (0.75, 0.25)},
        {},
        {"model": "mrn", "patch_size": 32},
        {"spacings": (0.5, 1.0, 2.0), "loss_weights": (0.5, 0.0, 0.5)},
    ],
)
def test_a_shuffled_context_is_that_of_the_next_patch_of_the_batch(model):
    plain, shuffled = (module_of(shuffle_context=one, **model).eval() for one in (False, True))
    batch = batch_of(plain, count=3)
    with torch.no_grad():
        wanted = float(plain.training_step(with_contexts_of_the_next(batch), 0))
        assert float(shuffled.training_step(batch, 0)) == wanted
        assert float(plain.training_step(batch, 0)) != wanted
        for module, shown in ((plain, with_contexts_of_the_next(batch)), (shuffled, batch)):
            module.on_validation_epoch_start()
            module.validation_step(shown, 0)
    assert shuffled.validation_loss == plain.validation_loss
    np.testing.assert_array_equal(shuffled.validation_scores.f1, plain.validation_scores.f1)


def test_contexts_are_shuffled_after_all_views_of_a_patch_were_augmented_alike():
    run = made_runs.make_run()
    spec = new_network(run).patch_spec
    flips = Augment(Strengths(True, 0.0, 40.0, *[0.0] * 6), spec, field_layout(38.0, 40.0))
    plain, shuffled = module_of(), module_of(augment=flips, shuffle_context=True)
    batch = batch_of(plain)
    batch[2] = torch.rand(2, 12, generator=torch.Generator().manual_seed(3))
    views, labels = module_of(augment=flips)._prepare(batch, augment=True)
    found, kept = shuffled._prepare(batch, augment=True)
    assert torch.equal(found[:, 0], views[:, 0])
    assert torch.equal(found[:, 1], views[:, 1].flip(0))
    assert torch.equal(kept[0], labels[0])
    assert not torch.equal(views, plain._prepare(batch, augment=True)[0])


def test_a_patch_alone_is_never_trained_or_validated_on_with_its_own_context():
    module = module_of(shuffle_context=True).eval()
    batch = batch_of(module, count=1)
    with pytest.raises(ValueError, match="one patch"):
        module.training_step(batch, 0)
    module.on_validation_epoch_start()
    module.validation_step(batch, 0)
    assert not module.validation_scores.support.any()


def test_the_numbers_that_decide_stay_where_the_loader_left_them():
    module = module_of()
    batch = batch_of(module)
    views, labels, uniform, field = module.transfer_batch_to_device(batch, torch.device("meta"), 0)
    assert [one.device.type for one in (views, *labels, field)] == ["meta"] * (2 + len(labels))
    assert uniform is batch[2]


@pytest.mark.parametrize("changes", MODELS)
def test_a_compiled_network_is_one_graph_of_the_same_names_and_results(changes, monkeypatch):
    compiled = torch.compile
    # Without the minutes of its compiler: what is left is whether the network can be traced as a whole.
    monkeypatch.setattr(torch, "compile", lambda f, **_: compiled(f, backend="eager", fullgraph=True))
    plain, fast = module_of(**changes), module_of(**made_runs.merged(changes, {"train": {"compile": True}}))
    assert list(plain.state_dict()) == list(fast.state_dict())
    batch = batch_of(plain)
    one, other = (module.training_step(batch, 0) for module in (plain, fast))
    torch.testing.assert_close(one, other)
    for module, loss in ((plain, one), (fast, other)):
        module.zero_grad()
        loss.backward()
    for left, right in zip(plain.network.parameters(), fast.network.parameters(), strict=True):
        torch.testing.assert_close(left.grad, right.grad)
