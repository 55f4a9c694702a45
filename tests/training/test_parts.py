"""A mini-batch in parts gives the outputs, gradients and statistics of its parts seen once."""

import copy

import made_runs
import pytest
import torch

from hooknet.training.module import Segmentation
from hooknet.training.parts import checkpointed, joined
from hooknet.training.weights import new_network


def network_of(run):
    return new_network(run).double().train()


def patches_of(network, count):
    torch.manual_seed(2)
    spec = network.patch_spec
    return [torch.rand(count, 3, spec.size, spec.size, dtype=torch.float64) for _ in spec.spacings]


def values_of(found):
    deep = [logits for _, logits in found.deep]
    points = [] if found.points is None else [found.points.logits]
    return [*found.logits, *deep, *points]


def gradients(network, found):
    network.zero_grad()
    sum(one.square().mean() for one in values_of(found)).backward()
    return {name: one.grad.clone() for name, one in network.named_parameters()}


def in_parts(network, patches, parts):
    each = zip(*(one.chunk(parts) for one in patches), strict=True)
    return joined([checkpointed(network, network.outputs, list(one)) for one in each])


def test_without_layers_that_see_the_mini_batch_nothing_differs():
    run = made_runs.make_hdc_run(network={"head": "pointrend", "points": {"points": 32}})
    network = network_of(run)
    patches = patches_of(network, 4)
    torch.manual_seed(1)
    whole = network.outputs(patches)
    torch.manual_seed(1)
    found = in_parts(network, patches, 1)
    assert [share for share, _ in found.deep] == [share for share, _ in whole.deep]
    torch.testing.assert_close(found.points.places, whole.points.places)
    for one, other in zip(values_of(found), values_of(whole), strict=True):
        torch.testing.assert_close(one, other)

    plain = network_of(made_runs.make_hdc_run())
    expected = gradients(plain, plain.outputs(patches))
    for name, gradient in gradients(plain, in_parts(plain, patches, 3)).items():
        torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-12, msg=name)


def test_running_statistics_see_each_part_once():
    network = network_of(made_runs.make_run())
    other = copy.deepcopy(network)
    patches = patches_of(network, 4)
    gradients(network, in_parts(network, patches, 2))
    for part in zip(*(one.chunk(2) for one in patches), strict=True):
        other.outputs(list(part))
    for (name, one), (_, wanted) in zip(network.named_buffers(), other.named_buffers(), strict=True):
        if one.is_floating_point():
            torch.testing.assert_close(one, wanted, msg=name)
    momenta = [one.momentum for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    assert momenta == pytest.approx([0.3] * len(momenta))


@pytest.mark.parametrize("accumulate", [2, 5])
def test_the_loss_of_a_step_is_over_the_whole_mini_batch(accumulate):
    losses = []
    for parts in (1, accumulate):
        run = made_runs.make_hdc_run(train={"accumulate": parts})
        module = Segmentation(new_network(run), None, run.settings, ("one", "two"))
        module.log = lambda *_, **__: None
        torch.manual_seed(4)
        views = torch.randint(0, 256, (4, 1, 64, 64, 3), dtype=torch.uint8)
        labels = torch.randint(0, 3, (4, 64, 64), dtype=torch.uint8)
        labels[1] = 0
        loss = module.training_step((views, [labels], torch.zeros(4, 0), torch.zeros(4, 0)), 0)
        loss.backward()
        losses.append(loss.detach())
    torch.testing.assert_close(losses[1], losses[0])
