import numpy as np
import pytest
import torch

from hooknet.data.augment import colour


def pictures(seed=0):
    return torch.rand((2, 2, 3, 5, 5), generator=torch.Generator().manual_seed(seed)) * 0.9 + 0.05


def one(*values):
    return torch.tensor(values, dtype=torch.float32)


def test_strength_0_changes_nothing():
    images = pictures()
    torch.testing.assert_close(
        colour.adjust(images, one(0, 0), one(0, 0), one(0, 0)), images, atol=1e-6, rtol=0
    )
    torch.testing.assert_close(
        colour.stain(images, torch.zeros(2, 3), torch.zeros(2, 3)), images, atol=1e-5, rtol=0
    )
    assert torch.equal(colour.add_noise(images, one(0, 0), torch.Generator()), images)


def test_brightness_contrast_and_saturation_by_hand():
    image = one(0.2, 0.4, 0.6).view(1, 1, 3, 1, 1)
    found = colour.adjust(image, one(0.5), one(0.0), one(0.0)).flatten()
    torch.testing.assert_close(found, one(0.3, 0.6, 0.9))
    found = colour.adjust(image, one(0.0), one(1.0), one(0.0)).flatten()
    torch.testing.assert_close(found, one(-0.1, 0.3, 0.7))
    grey = 0.299 * 0.2 + 0.587 * 0.4 + 0.114 * 0.6
    found = colour.adjust(image, one(0.0), one(0.0), one(-1.0)).flatten()
    torch.testing.assert_close(found, one(grey, grey, grey))
    found = colour.adjust(image, one(0.0), one(0.0), one(1.0)).flatten()
    torch.testing.assert_close(found, one(0.4 - grey, 0.8 - grey, 1.2 - grey))


def test_each_patch_has_its_own_strength_and_all_its_views_share_it():
    images = pictures()[:1].expand(2, 2, 3, 5, 5).clone()
    images[:, 1] = images[:, 0]
    found = colour.adjust(images, one(0.1, -0.1), one(0.2, 0.0), one(0.0, 0.3))
    assert torch.equal(found[:, 0], found[:, 1])
    assert not torch.allclose(found[0], found[1])
    stained = colour.stain(images, torch.tensor([[0.1, 0, 0], [0, 0.1, 0]]), torch.zeros(2, 3))
    torch.testing.assert_close(stained[:, 0], stained[:, 1])
    assert not torch.allclose(stained[0], stained[1])


def test_white_glass_stays_white_under_any_stain():
    white = torch.ones(3, 2, 3, 4, 4)
    generator = torch.Generator().manual_seed(0)
    factors, shifts = (torch.rand((3, 3), generator=generator) - 0.5 for _ in range(2))
    torch.testing.assert_close(colour.stain(white, factors, shifts), white, atol=1e-6, rtol=0)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_factor_deepens_its_own_stain_only(which):
    amounts = np.array([0.5, 0.3, 0.2])
    stains = colour.STAINS.numpy()
    np.testing.assert_allclose(np.linalg.norm(stains, axis=1), 1, rtol=1e-6)
    image = torch.tensor(10 ** -(amounts @ stains), dtype=torch.float32).view(1, 1, 3, 1, 1)
    factors = torch.zeros(1, 3)
    factors[0, which] = 0.5
    deeper = amounts.copy()
    deeper[which] *= 1.5
    found = colour.stain(image, factors, torch.zeros(1, 3)).flatten()
    np.testing.assert_allclose(found, 10 ** -(deeper @ stains), atol=1e-5)


def test_a_shift_adds_in_proportion_to_what_is_there():
    image = torch.tensor([0.4, 0.3, 0.5]).view(1, 1, 3, 1, 1)
    density = -np.log10(image.flatten().numpy())
    amounts = density @ np.linalg.inv(colour.STAINS.numpy())
    amounts[1] += 0.2 * density.mean()
    found = colour.stain(image, torch.zeros(1, 3), one(0.0, 0.2, 0.0)[None]).flatten()
    np.testing.assert_allclose(found, 10 ** -(amounts @ colour.STAINS.numpy()), atol=1e-5)


def test_black_pixels_stay_finite():
    found = colour.stain(torch.zeros(1, 1, 3, 2, 2), torch.full((1, 3), 0.3), torch.full((1, 3), 0.3))
    assert torch.isfinite(found).all()


def test_noise_has_its_standard_deviation_and_no_mean():
    images = torch.full((2, 1, 3, 100, 100), 0.5)
    found = colour.add_noise(images, one(0.02, 0.1), torch.Generator().manual_seed(0)) - images
    np.testing.assert_allclose(found.std(dim=(1, 2, 3, 4)), [0.02, 0.1], rtol=0.03)
    np.testing.assert_allclose(found.mean(dim=(1, 2, 3, 4)), [0, 0], atol=0.003)
