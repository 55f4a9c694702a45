from math import cos, exp, pi, sin, tanh

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from hooknet.models.hdc.heads.shearlet import ShearletHead, rows_of, shearlets
from hooknet.shapes.hdc_heads import shearlet_parameters

FEATURES, CLASSES = 5, 3


def drawn(chunk_rows=32, classes=CLASSES):
    """A head whose controls differ from px to px, as after some training."""
    torch.manual_seed(0)
    head = ShearletHead(FEATURES, classes, chunk_rows).double()
    nn.init.normal_(head.controller[-1].weight, std=0.2)
    return head


def maps_of(held=(3, 4), size=(12, 14), classes=CLASSES, batch=2, seed=1):
    """Features, and logits of the size wanted."""
    rng = np.random.default_rng(seed)
    features = torch.from_numpy(rng.normal(size=(batch, FEATURES, *held)))
    return features, torch.from_numpy(rng.normal(size=(batch, classes, *size)))


def places_of(height, width):
    x, y = (np.arange(width) + 0.5) / width * 2 - 1, (np.arange(height) + 0.5) / height * 2 - 1
    return torch.from_numpy(np.stack(np.meshgrid(x, y)))[None]


def softplus(value):
    return np.log1p(np.exp(value))


@pytest.mark.parametrize(("features", "classes"), [(5, 3), (480, 4), (1, 1)])
def test_parameters_are_those_of_the_arithmetic(features, classes):
    head = ShearletHead(features, classes)
    assert sum(one.numel() for one in head.parameters()) == shearlet_parameters(features, classes)


def test_waves_of_one_px_by_hand():
    place, controls, scales = (0.3, -0.6), (0.4, -0.2, 0.7, 0.25), (0.5, 2.0)
    found = shearlets(
        torch.tensor(place, dtype=torch.float64).view(1, 2, 1, 1),
        torch.tensor(controls, dtype=torch.float64).view(1, 4, 1, 1),
        torch.tensor(scales, dtype=torch.float64),
    )
    frequency, along, across = (softplus(one) + 0.1 for one in controls[:3])
    shear = 2 * tanh(controls[3])
    wanted = []
    for scale in scales:
        for number in range(8):
            angle = number * pi / 8
            v = place[0] * sin(angle) + place[1] * cos(angle)
            u = place[0] * cos(angle) - place[1] * sin(angle) + shear * v
            envelope = exp(-((along * u) ** 2 + (across * v) ** 2) / 2)
            wanted.append(cos(2 * pi * frequency * scale * u) * envelope)
    assert found.flatten().tolist() == pytest.approx(wanted, rel=1e-13)


def test_turning_the_place_by_an_eighth_of_a_half_turn_moves_the_waves_on_by_one():
    angle = -pi / 8
    turn = torch.tensor([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]], dtype=torch.float64)
    places = torch.rand(1, 2, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    controls = torch.randn(1, 4, 3, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scales = torch.ones(1, dtype=torch.float64)
    before = shearlets(places, controls, scales)
    after = shearlets(torch.einsum("ij,bjhw->bihw", turn, places), controls, scales)
    torch.testing.assert_close(after[:, :7], before[:, 1:], rtol=1e-12, atol=1e-12)


def test_at_first_controls_are_the_same_everywhere():
    head = ShearletHead(FEATURES, CLASSES).double()
    found = head.controller(torch.randn(2, 256, 3, 3, dtype=torch.float64))
    assert torch.equal(found, torch.tensor([1.0, 1, 1, 0]).view(1, 4, 1, 1).double().expand(2, -1, 3, 3))
    assert head.scales.tolist() == pytest.approx([0.5, 0.5 + 3.5 / 3, 0.5 + 7 / 3, 4.0])


@pytest.mark.parametrize("size", [(12, 14), (3, 4), (7, 5), (2, 3), (1, 1)])
def test_rows_are_those_of_a_resized_map(size):
    features = maps_of()[0]
    wanted = functional.interpolate(features, size=size, mode="bilinear", align_corners=False)
    for first in range(size[0]):
        for last in range(first + 1, size[0] + 1):
            found = rows_of(features, first, last, size)
            torch.testing.assert_close(found, wanted[:, :, first:last], rtol=1e-13, atol=1e-14)


def by_definition(head, features, logits):
    """The head without its chunks and its short cut: wide features enlarged, joined with all else, then the layers."""
    height, width = logits.shape[-2:]
    wide = functional.interpolate(features, size=(height, width), mode="bilinear", align_corners=False)
    to_controls, to_decoder = head.of_features.weight.chunk(2)
    controller_bias, decoder_bias = head.of_features.bias.chunk(2)
    place = places_of(height, width)
    controls = head.controller(functional.conv2d(wide, to_controls, controller_bias))
    waves = shearlets(place, controls, head.scales)
    encoded = head.of_place[:3](place).expand(len(features), -1, -1, -1)
    joined = torch.cat([encoded, waves, wide], dim=1)
    assert joined.shape[1] == 256 + 32 + FEATURES
    first = torch.cat([head.of_place[3].weight, head.of_waves.weight, to_decoder], dim=1)
    found = head.decoder(functional.conv2d(joined, first, decoder_bias))
    share = 1 / (1 + np.exp(-float(head.share.detach())))
    return (1 - share) * logits + share * found


@pytest.mark.parametrize("classes", [1, 3])
def test_it_is_the_head_of_its_definition(classes):
    head, (features, logits) = drawn(classes=classes), maps_of(classes=classes)
    torch.testing.assert_close(
        head(features, logits), by_definition(head, features, logits), rtol=1e-12, atol=1e-13
    )


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("chunk_rows", [1, 5, 12, 100])
def test_chunks_change_neither_logits_nor_gradients(training, chunk_rows):
    wanted, found = (gradients_of(drawn(rows), mode) for rows, mode in ((12, False), (chunk_rows, training)))
    assert wanted.keys() == found.keys()
    for name, one in wanted.items():
        torch.testing.assert_close(
            found[name], one, rtol=1e-12, atol=1e-12, msg=lambda m, n=name: f"{n}: {m}"
        )


def gradients_of(head, training):
    features, logits = (one.requires_grad_() for one in maps_of())
    head.train(training)
    found = head(features, logits)
    (found * torch.linspace(-1, 1, found.numel(), dtype=torch.float64).view_as(found)).sum().backward()
    gradients = {name: one.grad for name, one in head.named_parameters()}
    return gradients | {"logits": found.detach(), "of features": features.grad, "of coarse": logits.grad}


def test_in_training_values_inside_chunks_are_not_kept():
    kept = []

    def keep(one):
        kept.append(one.numel())
        return one

    features, logits = maps_of(size=(64, 16), batch=1)
    sums = {}
    for training in (True, False):
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda one: one):
            drawn(8).train(training)(features, logits)
        sums[training] = sum(kept)
    # Without, more than all seven layers' worth of 256 channels; with, the small map of features and the logits.
    assert sums[False] > 7 * 256 * 64 * 16
    assert sums[True] < 256 * 64 * 16


def test_all_parameters_get_a_gradient():
    for name, one in gradients_of(drawn(), True).items():
        assert one.any(), name


def test_gradients_are_those_of_finite_differences():
    features, logits = (one.requires_grad_() for one in maps_of(held=(2, 2), size=(3, 3), batch=1))
    head = drawn(2).train()
    assert torch.autograd.gradcheck(head, (features, logits), fast_mode=True)
    assert torch.autograd.gradcheck(lambda _: head(features, logits), (head.scales,), fast_mode=True)


def test_the_share_says_how_much_of_the_logits_is_the_heads():
    head, (features, logits) = drawn(), maps_of()
    assert float(head.share.detach()) == 0.5
    with torch.no_grad():
        head.share.fill_(-100.0)
    torch.testing.assert_close(head(features, logits).detach(), logits, rtol=0, atol=1e-12)


def test_it_sees_where_in_the_tile_a_px_is():
    head = drawn()
    features, logits = torch.ones(1, FEATURES, 4, 4).double(), torch.zeros(1, CLASSES, 8, 8).double()
    found = head(features, logits)[0, 0].detach()
    assert found.std() > 1e-3
    # Of the same tissue in a larger tile, the same corner is another place.
    larger = head(torch.ones(1, FEATURES, 8, 8).double(), torch.zeros(1, CLASSES, 16, 16).double())
    assert (larger[0, 0, :8, :8].detach() - found).abs().max() > 1e-3


def test_it_learns_a_picture_from_places_alone():
    torch.manual_seed(0)
    head = ShearletHead(1, 2).train()
    place = places_of(12, 12)[0]
    labels = (place.square().sum(dim=0) < 0.5).long()[None]
    features, logits = torch.zeros(1, 1, 4, 4), torch.zeros(1, 2, 12, 12)
    optimiser = torch.optim.Adam(head.parameters(), lr=5e-3)
    for _ in range(25):
        optimiser.zero_grad()
        functional.cross_entropy(head(features, logits), labels).backward()
        optimiser.step()
    assert (head.eval()(features, logits).argmax(dim=1) == labels).double().mean() > 0.97


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit.trace:DeprecationWarning")
def test_it_can_be_traced():
    head, first, other = drawn(5).eval(), maps_of(seed=1), maps_of(seed=2)
    traced = torch.jit.trace(head, first, check_trace=False)
    torch.testing.assert_close(traced(*other), head(*other))
