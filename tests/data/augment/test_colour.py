import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hooknet.data.augment import colour


def pictures(seed=0):
    return torch.rand((2, 2, 3, 5, 5), generator=torch.Generator().manual_seed(seed)) * 0.9 + 0.05


def one(*values):
    return torch.tensor(values, dtype=torch.float32)


EIGHT_BIT = arrays(np.uint8, (3, 4, 5), elements=st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 255])))


def as_batch(picture):
    """(3, height, width) uint8 -> (1, 1, 3, height, width), 0..1."""
    return torch.from_numpy(picture).float()[None, None] / 255


@given(EIGHT_BIT)
def test_strength_0_gives_any_image_back_to_the_bit_black_and_white_included(picture):
    images = as_batch(picture)
    zeros = torch.zeros(1, 3)
    assert torch.equal(colour.stain(images, zeros, zeros), images)
    assert torch.equal(colour.adjust(images, one(0), one(0), one(0)), images)
    assert torch.equal(colour.add_noise(images, one(0), torch.Generator()), images)


FACTORS = arrays(np.float64, 3, elements=st.floats(-0.3, 0.3))


@given(EIGHT_BIT, FACTORS)
def test_the_inverse_factors_undo_what_factors_did_where_nothing_was_too_dark(picture, drawn):
    images, factors = as_batch(picture).double(), torch.from_numpy(drawn)[None]
    changed = colour.stain(images, factors, torch.zeros(1, 3))
    back = colour.stain(changed, 1 / (1 + factors) - 1, torch.zeros(1, 3))
    seen = (
        ((images >= colour.DARKEST) & (changed >= colour.DARKEST)).all(dim=2, keepdim=True).expand_as(images)
    )
    torch.testing.assert_close(back[seen], images[seen], atol=1e-6, rtol=0)
    assert torch.equal(back[images == 0], images[images == 0])  # black has no stain to change


def test_of_8_bit_values_only_0_is_too_dark_to_have_its_density():
    assert 0 < colour.DARKEST < 1 / 255


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


def test_a_pixel_by_hand():
    # Pure haematoxylin of amount 1: the vector (0.65, 0.70, 0.29) has length 0.998298, so the densities are
    # (0.651108, 0.701193, 0.290494), their mean 0.547599, and the colours 10 to the power of minus each.
    image = one(0.2233, 0.1990, 0.5123).view(1, 1, 3, 1, 1)
    # Twice as much haematoxylin: the squares.
    found = colour.stain(image, one(1.0, 0.0, 0.0)[None], torch.zeros(1, 3)).flatten()
    np.testing.assert_allclose(found, [0.0499, 0.0396, 0.2624], atol=2e-4)
    # A shift of 0.5 of eosin, (0.07, 0.99, 0.11) of length 0.998549: 0.5 * 0.547599 = 0.273800 is added, of
    # densities (0.019194, 0.271454, 0.030162): times 0.956768, 0.535237, 0.932907.
    found = colour.stain(image, torch.zeros(1, 3), one(0.0, 0.5, 0.0)[None]).flatten()
    np.testing.assert_allclose(found, [0.2136, 0.1065, 0.4779], atol=2e-4)
    # In tissue of mean density 1 (each channel a tenth) the shift is that of Tellez et al., to the full.
    tenth = torch.full((1, 1, 3, 1, 1), 0.1)
    found = colour.stain(tenth, torch.zeros(1, 3), one(0.5, 0.0, 0.0)[None]).flatten()
    np.testing.assert_allclose(found, [0.1 * 0.4725, 0.1 * 0.4461, 0.1 * 0.7157], atol=2e-5)


def test_stain_is_unmixing_changing_and_mixing_again_pixel_by_pixel():
    images = pictures(3)
    factors, shifts = (torch.rand((2, 3), generator=torch.Generator().manual_seed(n)) - 0.5 for n in (1, 2))
    stains = colour.STAINS.numpy().astype(float)
    pixels = images.permute(0, 1, 3, 4, 2).numpy().astype(float)
    density = -np.log10(pixels)
    amounts = density @ np.linalg.inv(stains)
    share, shift = (one.numpy().astype(float)[:, None, None, None] for one in (factors, shifts))
    amounts += amounts * share + density.mean(axis=-1, keepdims=True) * shift
    found = colour.stain(images, factors, shifts).permute(0, 1, 3, 4, 2)
    np.testing.assert_allclose(found, 10 ** -(amounts @ stains), rtol=1e-4)


def test_brightness_comes_before_contrast_and_contrast_before_saturation():
    images = pictures(4)
    b, c, s = one(0.1, -0.2), one(-0.1, 0.3), one(0.2, -0.5)
    bright = images * (1 + b.view(-1, 1, 1, 1, 1))
    stretched = (bright - 0.5) * (1 + c.view(-1, 1, 1, 1, 1)) + 0.5
    grey = (stretched * torch.tensor([0.299, 0.587, 0.114]).view(1, 1, 3, 1, 1)).sum(dim=2, keepdim=True)
    wanted = grey + (stretched - grey) * (1 + s.view(-1, 1, 1, 1, 1))
    torch.testing.assert_close(colour.adjust(images, b, c, s), wanted, atol=1e-6, rtol=0)


def test_black_pixels_stay_finite():
    found = colour.stain(torch.zeros(1, 1, 3, 2, 2), torch.full((1, 3), 0.3), torch.full((1, 3), 0.3))
    assert torch.equal(found, torch.zeros_like(found))


def test_noise_has_its_standard_deviation_and_no_mean():
    images = torch.full((2, 1, 3, 100, 100), 0.5)
    found = colour.add_noise(images, one(0.02, 0.1), torch.Generator().manual_seed(0)) - images
    np.testing.assert_allclose(found.std(dim=(1, 2, 3, 4)), [0.02, 0.1], rtol=0.03)
    np.testing.assert_allclose(found.mean(dim=(1, 2, 3, 4)), [0, 0], atol=0.003)


@pytest.mark.parametrize("bands", [1, 2, 4])
def test_bands_that_are_no_colours_are_changed_each_for_itself(bands):
    images = torch.rand((2, 3, bands, 5, 5), generator=torch.Generator().manual_seed(1))
    brightness, contrast = torch.tensor([0.2, -0.1]), torch.tensor([-0.3, 0.4])
    found = colour.adjust(images, brightness, contrast, torch.zeros(2))
    for patch, (light, stretch) in enumerate([(0.2, -0.3), (-0.1, 0.4)]):
        wanted = (images[patch] * (1 + light) - 0.5) * (1 + stretch) + 0.5
        torch.testing.assert_close(found[patch], wanted)
    still = colour.adjust(images, *torch.zeros(3, 2))
    assert torch.equal(still, images)


def test_saturation_and_stain_are_for_three_colours_only():
    images = torch.rand(1, 1, 4, 2, 2)
    with pytest.raises(ValueError, match="saturation of 4 bands"):
        colour.adjust(images, torch.zeros(1), torch.zeros(1), torch.ones(1))
    with pytest.raises(ValueError, match="stains of 4 bands"):
        colour.stain(images, torch.zeros(1, 3), torch.zeros(1, 3))
