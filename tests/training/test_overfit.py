"""Every system can learn four patches by heart, also what only its contexts tell."""

from functools import partial

import made_runs
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.ndimage import gaussian_filter

from hooknet.config.experiments import kind_of
from hooknet.data.patches import PatchDataset
from hooknet.models.table import build_model
from hooknet.training.module import Segmentation

PATCHES = 4
#: Standard deviations (along y, along x) of the noise that a texture is made of.
FINE, COARSE, LYING, STANDING = (0.5, 0.5), (1.6, 1.6), (0.5, 3.0), (3.0, 0.5)

SYSTEMS = {
    "unet": {"model": "unet", "spacings": (0.5,), "patch_size": 38},
    "hooknet": {"model": "hooknet", "spacings": (0.5, 1.0), "patch_size": 38},
    "hooknet_3": {"model": "hooknet", "spacings": (0.5, 2.0, 8.0), "patch_size": 38},
    "mrn": {"model": "mrn", "spacings": (0.5, 2.0), "patch_size": 32},
}

BLOCKS = ("basic", "convnext", "dcn", "inverted_residual", "swin", "fno", "wavelet", "rwkv")
HEADS = {
    "points": {"head": "pointrend", "points": {"points": 128, "hidden": 16, "inference_points": 256}},
    "points_repo": {"head": "pointrend", "points": {"mode": "repo", "points": 128, "hidden": 16}},
    "shearlet": {"head": "shearlet"},
}
#: One block a stage.
HDC = {"model": "hdc_hrnet", "spacings": (0.5,), "patch_size": 64, "deep_weights": None}
HDC_NETWORK = {
    "width": 8,
    "stem": "stride4",
    "block": "basic",
    "stages": [{"blocks": 1}] * 3,
    "head": "plain",
}


def of_blocks(**network):
    return {**HDC, "network": {**HDC_NETWORK, **network}, "train": {"learning_rate": 3e-3, "l2": 0}}


SYSTEMS_HDC = {
    **{block: of_blocks(block=block) for block in BLOCKS},
    "dcn3": of_blocks(block="dcn", version=3),
    **{head: of_blocks(**options) for head, options in HEADS.items()},
    "deep": {**of_blocks(norm="batch"), "deep_weights": (0.4, 0.3, 0.2, 0.1)},
    "losses": {**of_blocks(), "train": {"l2": 0, "learning_rate": 3e-3, "losses": {
        "cross_entropy": 0, "dice": 1, "focal": 1, "frequency": 1, "boundary": 1, "boundary_warmup": 0}}},
}  # fmt: skip


def texture(size, grain, rng):
    """(size, size, 3) of grey noise, smoothed and brought to one spread: no texture is darker than another."""
    noise = gaussian_filter(rng.normal(size=(size, size)), grain, mode="wrap")
    grey = 128 + 50 * (noise - noise.mean()) / noise.std()
    return np.repeat(grey.clip(0, 255)[..., None], 3, axis=-1).astype(np.uint8)


def four_patches(size, output, contexts, rng):
    """Views (4, branches, size, size, 3), target labels (4, output, output).

    Class 1 is fine grain.  Coarse grain is the class that the contexts make it: those lie or stand, and each
    of their combinations is a class of its own.  Patches of other combinations have one target view between
    them, so without contexts nothing above chance can be learnt on it.  A fifth of the pixels is not annotated.
    """
    combinations = 2**contexts
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    views, labels = np.zeros((PATCHES, 1 + contexts, size, size, 3), np.uint8), []
    for first in range(0, PATCHES, combinations):
        angle, offset = rng.uniform(0, 2 * np.pi), rng.uniform(-1.5, 1.5)
        fine = x * np.cos(angle) + y * np.sin(angle) > offset
        target = np.where(fine[..., None], texture(size, FINE, rng), texture(size, COARSE, rng))
        for combination in range(combinations):
            patch = views[first + combination]
            patch[0] = target
            for context in range(contexts):
                patch[1 + context] = texture(size, STANDING if combination >> context & 1 else LYING, rng)
            labels.append(np.where(fine, 1, 2 + combination))
    margin = (size - output) // 2
    cut = np.stack(labels)[:, margin : margin + output, margin : margin + output].astype(np.uint8)
    cut[rng.random(cut.shape) < 0.2] = 0
    return views, cut


class Quiet(Segmentation):
    """Logs to nobody: there is no trainer."""

    def log(self, *_, **__):
        pass


def made(system, **more):
    """A system with first weights, and a source of batches for it."""
    own = SYSTEMS_HDC.get(system) or {**SYSTEMS[system], "network": {"filters": 6}, "train": {"l2": 1e-4}}
    base = {**made_runs.SETTINGS, "network": {}, "infer": {}} if system in SYSTEMS_HDC else made_runs.SETTINGS
    section = made_runs.merged(base, {**own, **more})
    settings = kind_of(section).model_validate(section)
    spec = settings.network_settings(2).shape.patch_spec
    rng = np.random.default_rng(1)

    def batch(times=1):
        made = [four_patches(spec.size, spec.output_size, len(spec.spacings) - 1, rng) for _ in range(times)]
        views, labels = (np.concatenate(parts) for parts in zip(*made, strict=True))
        order = rng.permutation(len(views))
        return [torch.from_numpy(views[order]), [torch.from_numpy(labels[order])], *torch.zeros(2, 0)]

    classes = 1 + 2 ** (len(spec.spacings) - 1)
    torch.manual_seed(1)
    network = build_model(settings.model, settings.network_settings(classes))
    names = [f"class {one}" for one in range(1, classes + 1)]
    return Quiet(network, None, settings, names), batch


def train_on(module, batch, steps):
    """``batch()`` gives the patches of a step; the learning rate falls to where batch statistics stand still."""
    made = module.configure_optimizers()
    optimiser = made["optimizer"] if isinstance(made, dict) else made
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.01, steps)
    module.train()
    for number in range(steps):
        optimiser.zero_grad()
        module.training_step(batch(), number).backward()
        optimiser.step()
        slower.step()


def macro_f1(module, batches):
    """In eval mode, over all annotated pixels."""
    module.eval()
    module.on_validation_epoch_start()
    with torch.no_grad():
        for number, batch in enumerate(batches):
            module.validation_step(batch, number)
    assert module.validation_scores.present.all()
    return module.validation_scores.macro_f1


@pytest.mark.parametrize("normalise", ["annotated", "all_pixels"])
@pytest.mark.parametrize("system", SYSTEMS)
def test_four_patches_are_learnt_by_heart(system, normalise):
    module, batch = made(system, train={"l2": 1e-4, "normalise": normalise})
    patches = batch()
    assert macro_f1(module, [patches]) < 0.7
    train_on(module, lambda: patches, steps=100)
    assert macro_f1(module, [patches]) > 0.95


@pytest.mark.parametrize(
    "system",
    [
        pytest.param(one, marks=() if one in ("dcn", "points", "losses") else pytest.mark.slow)
        for one in SYSTEMS_HDC
    ],
)
def test_four_patches_are_learnt_by_heart_by_every_block_head_and_loss(system):
    module, batch = made(system)
    patches = batch()
    assert macro_f1(module, [patches]) < 0.75
    train_on(module, lambda: patches, steps=60)
    assert macro_f1(module, [patches]) > 0.95


@pytest.mark.parametrize("system", ["hooknet", "hooknet_3", "mrn"])
def test_what_only_contexts_tell_cannot_be_learnt_without_them(system):
    module, batch = made(system)
    patches = batch()
    patches[0][:, 1:] = patches[0][:1, 1:]  # every patch has the contexts of the first
    train_on(module, lambda: patches, steps=100)
    # At best class 1 is right, and of the coarse grain one pixel in n.
    n = len(module.validation_scores.f1) - 1
    assert macro_f1(module, [patches]) < (1 + n * 1 / n) / (n + 1) + 0.1
    assert module.validation_scores.f1[0] > 0.95


@pytest.mark.parametrize("system", ["hooknet", "mrn"])
def test_the_advantage_of_a_context_vanishes_when_contexts_are_shuffled(system):
    found = {}
    for shuffled in (False, True):
        module, batch = made(system, shuffle_context=shuffled)
        train_on(module, partial(batch, 4), steps=80)
        found[shuffled] = macro_f1(module, [batch(4) for _ in range(8)]), module.validation_scores.f1
    assert found[False][0] > 0.9
    assert found[True][0] < 0.7  # 2/3 is to be had: class 1 whole, and by luck half of the coarse grain
    assert found[True][1][0] > 0.9  # what the target shows is learnt all the same


@pytest.mark.parametrize(
    "model",
    [
        {"spacings": (0.5, 2.0, 8.0)},
        {"spacings": (0.5, 2.0, 8.0), "loss_weights": (0.6, 0.3, 0.1), "train": {"normalise": "all_pixels"}},
        {"model": "mrn", "patch_size": 32, "shuffle_context": True},
    ],
)
def test_a_run_trains(tmp_path, model):
    steps = {"train": {"epochs": 3, "steps": 25}, "augment": made_runs.NO_AUGMENT}
    made_runs.train_in(tmp_path, tmp_path, made_runs.make_run(**made_runs.merged(steps, model)))
    table = pd.read_csv(tmp_path / "metrics.csv")
    assert table["validation_macro_f1"].max() > 0.95
    assert table["train_cross_entropy"].iloc[-1] < 0.5 * table["train_cross_entropy"].iloc[0]


def test_neighbours_on_a_slide_are_not_neighbours_in_a_validation_of_shuffled_contexts(tmp_path, monkeypatch):
    rows = {False: [], True: []}
    read = PatchDataset.__getitem__

    def noted(self, draw):
        if self._numbers is None:  # not augmented: validation
            rows[shuffled].append(draw[1])
        return read(self, draw)

    monkeypatch.setattr(PatchDataset, "__getitem__", noted)
    for shuffled in (False, True):
        run = made_runs.make_run(shuffle_context=shuffled, train={"epochs": 1, "steps": 1})
        made_runs.train_in(tmp_path, tmp_path / str(shuffled), run)
    assert rows[False] == sorted(rows[True]) != rows[True]
    assert len(rows[True]) == 8
