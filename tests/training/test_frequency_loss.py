import numpy as np
import pytest
import torch

from hooknet.training.frequency_loss import frequency_loss


def by_numpy(logits, labels):
    exponents = np.exp(logits)
    shares = exponents / exponents.sum(axis=1, keepdims=True)
    found = []
    for image, truth in zip(shares, labels, strict=True):
        for number, share in enumerate(image):
            missed = np.where(truth > 0, share - (truth == number + 1), 0.0)
            # The transform written out: rows e^(-2πi u y / h), columns of the half plane.
            height, width = missed.shape
            rows = np.exp(-2j * np.pi * np.outer(np.arange(height), np.arange(height)) / height)
            columns = np.exp(-2j * np.pi * np.outer(np.arange(width), np.arange(width // 2 + 1)) / width)
            spectrum = rows @ missed @ columns / np.sqrt(height * width)
            found += [spectrum.real**2, spectrum.imag**2]
    return np.mean(found)


def test_two_px_by_hand():
    # p of class 1: 3/4 and 1/2, both px of class 1: misses of class 1 -1/4 and -1/2, of class 2 the opposite.
    logits = torch.tensor([[0.75, 0.5], [0.25, 0.5]], dtype=torch.float64).log()[None, :, None]
    labels = torch.ones(1, 1, 2, dtype=torch.uint8)
    # Frequencies 0 and 1 of (a, b): (a + b) / √2 and (a - b) / √2; imaginary parts are 0.
    by_hand = 2 * (0.75**2 / 2 + 0.25**2 / 2) / (2 * 2 * 2)
    assert float(frequency_loss(logits, labels)) == pytest.approx(by_hand, rel=1e-14)
    # The second px not annotated: a miss of -1/4 alone, at both frequencies.
    labels[..., 1] = 0
    assert float(frequency_loss(logits, labels)) == pytest.approx(2 * 2 * 0.25**2 / 2 / 8, rel=1e-14)


@pytest.mark.parametrize("size", [(4, 4), (5, 7), (6, 3)])
def test_any_size_is_the_transform_written_out(size):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 3, *size)), rng.integers(0, 4, (2, *size)).astype(np.uint8)
    found = frequency_loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert float(found) == pytest.approx(by_numpy(logits, labels), rel=1e-12)


def test_all_annotated_px_get_a_gradient():
    rng = np.random.default_rng(1)
    logits = torch.from_numpy(rng.normal(size=(1, 3, 6, 6))).requires_grad_()
    labels = torch.from_numpy(rng.integers(1, 4, (1, 6, 6)).astype(np.uint8))
    frequency_loss(logits, labels).backward()
    assert logits.grad.abs().min() > 0


@pytest.mark.parametrize("size", [6, 7])  # half precision has no FFT of such sizes
def test_half_precision_is_transformed_in_single(size):
    rng = np.random.default_rng(2)
    logits = torch.from_numpy(rng.normal(size=(1, 2, size, size))).bfloat16()
    labels = torch.from_numpy(rng.integers(0, 3, (1, size, size)).astype(np.uint8))
    found = frequency_loss(logits, labels)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(by_numpy(logits.double().numpy(), labels.numpy()), rel=1e-5)
