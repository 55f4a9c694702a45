from itertools import pairwise

import numpy as np
import pytest
import torch

from hooknet.training.loss_terms import TERMS
from hooknet.training.region_losses import one_hot

NAMES = sorted(TERMS)


def random_case(seed, batch=2, classes=3, size=6):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(size=(batch, classes, size, size)))
    labels = torch.from_numpy(rng.integers(0, classes + 1, (batch, size, size)).astype(np.uint8))
    return logits, labels


def test_the_terms_are_those_of_the_description():
    assert NAMES == ["boundary", "cross_entropy", "dice", "focal", "frequency"]


@pytest.mark.parametrize("name", NAMES)
def test_px_without_annotation_have_no_influence_and_get_no_gradient(name):
    logits, labels = random_case(2)
    logits.requires_grad_()
    loss = TERMS[name](logits, labels)
    loss.backward()
    ignored = (labels == 0)[:, None].expand_as(logits)
    assert 0 < ignored.sum() < ignored.numel()
    assert not logits.grad[ignored].any()
    assert logits.grad[~ignored].abs().min() > 0
    noise = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0), dtype=logits.dtype)
    changed = torch.where(ignored, 30 * noise, logits.detach())
    torch.testing.assert_close(TERMS[name](changed, labels), loss.detach(), rtol=1e-13, atol=0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [1, 3])
def test_without_any_annotation_the_loss_is_0_and_so_is_its_gradient(name, classes):
    logits = random_case(3, classes=classes)[0].requires_grad_()
    loss = TERMS[name](logits, torch.zeros(2, 6, 6, dtype=torch.uint8))
    loss.backward()
    assert float(loss.detach()) == 0
    assert logits.grad.shape == logits.shape
    assert not logits.grad.any()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_finite_differences(name):
    logits, labels = random_case(4, size=3)
    assert torch.autograd.gradcheck(lambda one: TERMS[name](one, labels), (logits.requires_grad_(),))


@pytest.mark.parametrize("name", NAMES)
def test_the_nearer_the_truth_the_smaller_the_loss(name):
    logits, labels = random_case(5)
    truth = 8 * one_hot(labels, 3, logits.dtype) - 4
    losses = [
        float(TERMS[name](torch.lerp(logits, truth, share), labels)) for share in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert all(after < 0.9 * before for before, after in pairwise(losses))
    assert losses[-1] < 0.05 * losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_steps_down_the_gradient_lead_to_the_truth(name):
    logits, labels = random_case(6)
    logits = torch.zeros_like(logits).requires_grad_()
    optimiser = torch.optim.Adam([logits], lr=0.3)
    for _ in range(60):
        optimiser.zero_grad()
        TERMS[name](logits, labels).backward()
        optimiser.step()
    annotated = labels > 0
    assert torch.equal(logits.argmax(dim=1)[annotated] + 1, labels[annotated].long())


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_logits_are_computed_in_single_and_double_stay_so(name):
    logits, labels = random_case(7, size=64)
    half = logits.bfloat16()
    found = TERMS[name](half, labels)
    assert found.dtype == torch.float32
    precise = TERMS[name](half.double(), labels)
    assert precise.dtype == torch.float64
    assert float(found) == pytest.approx(float(precise), rel=1e-5)
