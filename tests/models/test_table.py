from __future__ import annotations

import pytest
import torch

from hooknet.errors import ConfigError
from hooknet.models.hdc.network import HDCHRNet
from hooknet.models.mrn import MRN
from hooknet.models.table import MODELS, build_model
from hooknet.shapes.hdc import HDCSettings, Stage
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.mrn import MRNSettings

SPACINGS = {"unet": (0.5,), "hooknet": (0.5, 2.0), "hooknet by attention": (0.5, 2.0), "mrn": (0.5, 2.0)}
# Groups are normalised within each patch, which leaves little of a colour that fills it: batches here.
HDC = HDCSettings(
    spacings=(0.5,), classes=4, patch_size=64, width=16, stages=(Stage("basic", (1,)),) * 3, norm="batch"
)


@pytest.fixture(params=[*sorted(MODELS), "hooknet by attention"])
def model(request):
    torch.manual_seed(2)
    if request.param == "hdc_hrnet":
        return build_model("hdc_hrnet", HDC)
    spacings = SPACINGS[request.param]
    small = {"spacings": spacings, "classes": 4, "filters": 4, "depth": 2, "patch_size": 52}
    if request.param == "hooknet by attention":
        attends = {**small, "merge": "attention", "window": 3, "patch_size": 60, "loss_weights": (0.75, 0.25)}
        return build_model("hooknet", HookNetSettings(**attends))
    if request.param == "mrn":
        return build_model("mrn", MRNSettings(**small))
    return build_model(request.param, HookNetSettings(**small, loss_weights=(0.75, 0.25)[: len(spacings)]))


def patches_for(model, count=2):
    size = model.patch_spec.size
    return [torch.rand(count, 3, size, size) for _ in model.patch_spec.spacings]


def test_a_model_gives_logits_of_the_size_it_promises(model):
    logits = model(patches_for(model, 3))
    size = {MRN: 52, HDCHRNet: 64}.get(type(model), model.patch_spec.size - 46)
    assert [tuple(one.shape) for one in logits] == [(3, 4, size, size)] * len(model.output_branches)
    assert model.patch_spec.output_size == size
    assert model.output_branches[0] == 0


def test_every_parameter_gets_a_gradient(model):
    logits = model(patches_for(model, 4))
    sum((one * torch.randn_like(one)).sum() for one in logits).backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert without == []


def test_a_model_in_evaluation_gives_the_same_twice_and_patch_by_patch(model):
    model.eval()
    patches = patches_for(model)
    with torch.no_grad():
        first, second = model(patches), model(patches)
        single = model([patch[1:] for patch in patches])
    for a, b, c in zip(first, second, single, strict=True):
        assert torch.equal(a, b)
        assert (a[1:] - c).abs().max() < 1e-5


def test_the_same_seed_gives_the_same_weights(model):
    again = []
    for _ in range(2):
        torch.manual_seed(7)
        again.append(type(model)(model.settings).state_dict())
    assert all(torch.equal(again[0][name], again[1][name]) for name in again[0])
    assert any(not torch.equal(again[0][name], tensor) for name, tensor in model.state_dict().items())


def test_a_model_learns_four_colours(model):
    colours = torch.tensor([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.8, 0.8, 0.1]])
    patches = [
        colours[:, :, None, None].expand(4, 3, model.patch_spec.size, model.patch_spec.size).contiguous()
        for _ in model.patch_spec.spacings
    ]
    size = model.patch_spec.output_size
    labels = torch.arange(4)[:, None, None].expand(4, size, size)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3 if isinstance(model, HDCHRNet) else 3e-2)
    losses = []
    for _ in range(120):
        loss = sum(torch.nn.functional.cross_entropy(one, labels) for one in model(patches))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
    right = [(one.argmax(1) == labels).float().mean() for one in model(patches)]
    assert all(share > 0.999 for share in right)  # padding differs from every colour, so corners come last


@pytest.mark.parametrize(("name", "spacings"), [("unet", (0.5, 2.0)), ("hooknet", (0.5,))])
def test_a_model_for_another_number_of_spacings_is_refused(name, spacings):
    with pytest.raises(ConfigError, match="spacing"):
        build_model(name, HookNetSettings(spacings=spacings, classes=2, filters=1, patch_size=284))


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="unknown model 'u-net'; use one of hdc_hrnet, hooknet, mrn, unet"):
        build_model("u-net", HookNetSettings(spacings=(0.5,), classes=2, filters=1, patch_size=284))


def test_settings_of_another_model_are_refused():
    with pytest.raises(ConfigError, match="HookNetSettings for another model; wanted MRNSettings"):
        build_model("mrn", HookNetSettings(spacings=(0.5, 2.0), classes=2, filters=1, patch_size=284))
