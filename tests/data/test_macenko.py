import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hooknet.data.augment.colour import DARKEST
from hooknet.data.augment.macenko import BEYOND, FEWEST, SEEN, change_stains, find_stains

SIZE = 64


def unit(*rows):
    stains = torch.tensor(rows, dtype=torch.float64)
    return stains / stains.norm(dim=1, keepdim=True)


#: Haematoxylin and eosin of Ruifrok and Johnston 2001, and a pair of another laboratory.
PAIRS = [unit((0.65, 0.70, 0.29), (0.07, 0.99, 0.11)), unit((0.55, 0.76, 0.35), (0.21, 0.85, 0.48))]


def amounts(seed=0, size=SIZE):
    """(2, size, size): a quarter glass, then mixtures; one px in twenty is of one stain alone."""
    rng = np.random.default_rng(seed)
    found = rng.uniform(0.2, 0.8, (2, size, size))
    pure = rng.random((size, size))
    found[0][pure < 0.05] = 0
    found[1][pure > 0.95] = 0
    found[:, : size // 4] = 0
    return torch.from_numpy(found)


def mixed(of, stains):
    """(3, size, size): transmittance of these amounts (2, size, size)."""
    return 10.0 ** -torch.einsum("khw,kc->chw", of, stains)


def pair(*values):
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("stains", PAIRS)
def test_the_stains_of_a_mixture_are_found_haematoxylin_first(stains):
    found = find_stains(mixed(amounts(), stains))
    torch.testing.assert_close(found, stains, atol=1e-6, rtol=0)


def test_the_stains_of_8_bit_values_are_found_within_a_degree():
    image = (mixed(amounts(), PAIRS[0]) * 255).round() / 255
    found = find_stains(image.float())
    assert found.dtype == torch.float32
    angles = (found.double() * PAIRS[0]).sum(dim=1).clamp(max=1).arccos().rad2deg()
    assert angles.max() < 1


def test_a_few_px_of_another_colour_are_beyond_the_ends():
    image = mixed(amounts(), PAIRS[0])
    tissue = (image.log10().norm(dim=0) >= 0.15).sum()
    image[:, -1, : int(tissue * BEYOND) - 1] = torch.tensor([0.05, 0.9, 0.9], dtype=torch.float64)[:, None]
    found = find_stains(image)
    assert (found * PAIRS[0]).sum(dim=1).min() > 0.99


def test_where_the_tissue_lies_makes_no_difference():
    image = mixed(amounts(), PAIRS[0])
    order = torch.randperm(SIZE * SIZE, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(
        find_stains(image.flatten(1)[:, order].view_as(image)), find_stains(image), atol=1e-9, rtol=0
    )


def test_of_a_large_image_every_nth_row_and_column_are_seen():
    image = mixed(amounts(size=2 * SEEN), PAIRS[0])
    found = find_stains(image)
    assert torch.equal(found, find_stains(image[:, ::2, ::2]))
    image[:, 1::2] = image[:, :, 1::2] = 0.5  # never seen
    assert torch.equal(find_stains(image), found)
    torch.testing.assert_close(found, PAIRS[0], atol=1e-6, rtol=0)


def glass_and(px, image):
    """An image of glass with so many px of another."""
    made = torch.ones_like(image)
    made.flatten(1)[:, :px] = image.flatten(1)[:, -px:]
    return made


def test_an_image_that_tells_no_two_stains_has_none():
    image = mixed(amounts(), PAIRS[0])
    assert find_stains(torch.ones_like(image)) is None
    assert find_stains(torch.full_like(image, 0.94)) is None  # glass under a dim lamp
    assert find_stains(torch.full_like(image, 0.5)) is None  # grey
    one = amounts()
    one[1] = 0
    assert find_stains(mixed(one, PAIRS[0])) is None  # haematoxylin alone
    assert find_stains(glass_and(FEWEST - 1, image)) is None
    assert find_stains(glass_and(FEWEST, image)) is not None


def test_amounts_are_scaled_and_shifted_by_hand():
    stains, of = PAIRS[0], amounts()
    factors, shifts = pair(0.1, -0.05), pair(0.08, -0.1)
    found = change_stains(mixed(of, stains), stains, factors, shifts)
    density = torch.einsum("khw,kc->chw", of, stains).mean(dim=0)
    wanted = of * (1 + factors)[:, None, None] + shifts[:, None, None] * density
    torch.testing.assert_close(found, mixed(wanted, stains), atol=1e-9, rtol=1e-9)


def test_what_the_stains_do_not_explain_is_left():
    stains = PAIRS[0]
    rest = torch.linalg.cross(stains[0], stains[1])
    image = mixed(amounts(), stains) * 10.0 ** (-0.1 * rest / rest.norm())[:, None, None]
    image = image.clamp(max=1)
    changed = change_stains(image, stains, pair(0.1, -0.1), pair(0, 0))
    before, after = ((-one.log10() * rest[:, None, None]).sum(dim=0) for one in (image, changed))
    torch.testing.assert_close(after, before, atol=1e-9, rtol=0)


EIGHT_BIT = arrays(np.uint8, (3, 4, 5), elements=st.one_of(st.integers(0, 255), st.sampled_from([0, 1, 255])))
STRENGTHS = arrays(np.float64, 2, elements=st.floats(-0.3, 0.3))


@given(EIGHT_BIT)
def test_zero_strength_gives_any_image_back_to_the_bit(picture):
    image = torch.from_numpy(picture).float() / 255
    for stains in PAIRS:
        assert torch.equal(change_stains(image, stains, torch.zeros(2), torch.zeros(2)), image)


@given(EIGHT_BIT, STRENGTHS, STRENGTHS)
def test_white_stays_white_and_black_black(picture, factors, shifts):
    image = torch.from_numpy(picture).float() / 255
    image[:, 0], image[:, 1] = 1.0, 0.0
    changed = change_stains(image, PAIRS[0], torch.from_numpy(factors), torch.from_numpy(shifts))
    assert torch.equal(changed[:, :2], image[:, :2])
    assert torch.isfinite(changed).all()


def test_the_given_image_is_left_as_it_is():
    image = mixed(amounts(), PAIRS[0])
    before = image.clone()
    find_stains(image)
    change_stains(image, PAIRS[0], pair(0.1, 0.1), pair(0.1, 0.1))
    assert torch.equal(image, before)
    assert image.min() > DARKEST
