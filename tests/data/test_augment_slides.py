import colorsys

import numpy as np
import pytest
import torch

from hooknet.data.augment.macenko import find_stains
from hooknet.data.augment.slide_images import SlideStrengths, augment_slide, lit
from hooknet.data.augment.spatial import turn

SIZE = 32
PUBLISHED = SlideStrengths(flips=True, stain=0.1, brightness=0.2)
NOTHING = SlideStrengths(flips=False, stain=0, brightness=0)


def slide(seed=0):
    """A stained image (3, N, N) in a white frame, two heat maps, labels; all differ under each symmetry."""
    rng = np.random.default_rng(seed)
    stains = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
    amounts = rng.uniform(0, 0.6, (2, SIZE, SIZE))
    amounts[:, :5] = amounts[:, -3:] = 0
    image = 10 ** -np.einsum("khw,kc->chw", amounts, stains)
    heat, labels = rng.random((2, SIZE, SIZE)), rng.integers(0, 4, (SIZE, SIZE))
    return (
        torch.from_numpy(image).float(),
        torch.from_numpy(heat).float(),
        torch.from_numpy(labels.astype(np.uint8)),
    )


def varied(strengths, seed, of=None):
    return augment_slide(*(of or slide()), strengths, np.random.default_rng(seed))


def symmetry_of(made, labels):
    """The number of the symmetry that the labels show."""
    (found,) = [
        number for number in range(8) if torch.equal(turn(labels[None], torch.tensor([number]))[0], made)
    ]
    return found


def test_without_any_strength_all_comes_back_to_the_bit():
    given = slide()
    for seed in range(20):
        for before, after in zip(given, varied(NOTHING, seed), strict=True):
            assert torch.equal(before, after)


def test_image_heat_maps_and_labels_move_alike_and_keep_their_kind():
    given, seen = slide(), []
    for seed in range(200):
        made = varied(SlideStrengths(True, 0, 0), seed)
        number = symmetry_of(made[2], given[2])
        for before, after in zip(given, made, strict=True):
            assert torch.equal(turn(before[None], torch.tensor([number]))[0], after)
            assert after.dtype == before.dtype
        seen.append(number)
    # Unmoved: neither mirrored nor turned, a quarter; mirrored: a half, in either direction.
    shares = np.bincount(seen, minlength=8) / len(seen)
    assert shares.min() > 0.02
    assert abs(shares[0] - 1 / 4) < 0.1
    assert abs(shares[4:].sum() - 1 / 2) < 0.12


def test_a_draw_depends_on_its_generator_alone():
    for seed in range(5):
        for one, again in zip(varied(PUBLISHED, seed), varied(PUBLISHED, seed), strict=True):
            assert torch.equal(one, again)
    assert not torch.equal(varied(PUBLISHED, 0)[0], varied(PUBLISHED, 1)[0])


def test_switching_one_off_leaves_the_others_numbers():
    given = slide()
    for seed in range(20):
        whole = varied(PUBLISHED, seed)
        unmoved = varied(SlideStrengths(False, 0.1, 0.2), seed)
        number = torch.tensor([symmetry_of(whole[2], given[2])])
        torch.testing.assert_close(turn(unmoved[0][None], number)[0], whole[0], atol=1e-4, rtol=0)
        unstained = varied(SlideStrengths(True, 0, 0.2), seed)
        assert torch.equal(unstained[2], whole[2])


def test_stain_varies_every_other_draw_and_leaves_white_heat_and_labels():
    given, changed = slide(), 0
    for seed in range(100):
        image, heat, labels = varied(SlideStrengths(False, 0.1, 0), seed)
        assert torch.equal(heat, given[1])
        assert torch.equal(labels, given[2])
        assert torch.equal(image[:, :5], torch.ones(3, 5, SIZE))
        assert image.min() >= 0
        assert image.max() <= 1
        changed += not torch.equal(image, given[0])
        # 10 % of an amount, and of the density that shows all of it.
        assert (image.log10() - given[0].log10()).abs().max() < 0.2 * 1.4
    assert 35 <= changed <= 65


def test_an_image_with_too_little_tissue_keeps_its_stain():
    white = torch.ones(3, SIZE, SIZE)
    white[:, 3, 4] = torch.tensor([0.4, 0.2, 0.5])
    assert find_stains(white) is None
    for seed in range(10):
        assert torch.equal(varied(SlideStrengths(False, 0.1, 0), seed, (white, *slide()[1:]))[0], white)


def test_brightness_varies_every_other_draw_by_up_to_a_fifth():
    given = slide()[0] * 0.8  # nothing gets brighter than 1
    factors = []
    for seed in range(200):
        image = varied(SlideStrengths(False, 0, 0.2), seed, (given, *slide()[1:]))[0]
        factor = image / given
        torch.testing.assert_close(factor, factor[0, 0, 0].expand_as(factor))
        factors.append(float(factor[0, 0, 0]))
    varying = [one for one in factors if one != 1.0]
    assert 75 <= len(varying) <= 125
    assert 0.8 <= min(varying) < 0.82
    assert 1.18 < max(varying) <= 1.2


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.2])
def test_value_is_scaled_and_cut_while_hue_and_saturation_stay(factor):
    image = torch.rand(3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    image[:, 0, 0], image[:, 0, 1] = 0.0, 1.0
    found = lit(image, factor)
    for before, after in zip(image.flatten(1).T.tolist(), found.flatten(1).T.tolist(), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        wanted = colorsys.hsv_to_rgb(hue, saturation, min(1.0, value * factor))
        assert after == pytest.approx(wanted, abs=1e-12)
