from dataclasses import replace

import numpy as np
import pytest
import torch

from hooknet.coordinates import PatchSpec
from hooknet.data.augment import numbers
from hooknet.data.augment.chain import Augment, Strengths

NONE = Strengths(False, 0.0, 40.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0)
ALL = Strengths(True, 3.0, 40.0, 0.5, 0.1, 0.1, 0.1, 0.02, 0.05)
SPEC = PatchSpec(64, 32, (0.5, 1.0))
LAYOUT = numbers.field_layout(64.0, 40.0)


def drawn(count, seed=1, first=0):
    found = [numbers.draw_numbers(LAYOUT, seed, first + number) for number in range(count)]
    return (torch.from_numpy(np.stack([one[part] for one in found])) for part in (0, 1))


def coded():
    """Views whose red and green say where they are (µm / 64 + 0.5), labels that say the column at 0.5 µm."""
    views = torch.full((1, 2, 3, 64, 64), 0.5)
    for branch, spacing in enumerate(SPEC.spacings):
        axis = (torch.arange(64) + 0.5 - 32) * spacing
        views[0, branch, 0] = axis / 64 + 0.5
        views[0, branch, 1] = axis[:, None] / 64 + 0.5
    return views


def apply(strengths, views, labels, branches, uniform, field):
    return Augment(strengths, SPEC, LAYOUT)(views, labels, branches, uniform, field)


def test_without_strengths_nothing_changes():
    views = torch.rand(3, 2, 3, 64, 64)
    labels = [torch.randint(0, 3, (3, 40, 40), dtype=torch.uint8)]
    found, told = apply(NONE, views, labels, (0,), *drawn(3))
    assert torch.equal(found, views)
    assert torch.equal(told[0], labels[0])


def test_everything_together_stays_an_image_and_keeps_the_labels_values():
    views = torch.rand(4, 2, 3, 64, 64)
    labels = [
        torch.randint(0, 3, (4, 50, 50), dtype=torch.uint8),
        torch.randint(0, 3, (4, 40, 40), dtype=torch.uint8),
    ]
    found, told = apply(ALL, views, labels, (0, 1), *drawn(4))
    assert found.shape == views.shape
    assert found.min() >= 0
    assert found.max() <= 1
    assert [one.shape for one in told] == [one.shape for one in labels]
    assert {int(value) for one in told for value in one.unique()} <= {0, 1, 2}
    assert told[0].dtype == torch.uint8


def test_the_same_numbers_give_the_same_patches():
    views, labels = torch.rand(4, 2, 3, 64, 64), [torch.randint(0, 3, (4, 50, 50), dtype=torch.uint8)]
    one, _ = apply(ALL, views, labels, (0,), *drawn(4))
    again, _ = apply(ALL, views, labels, (0,), *drawn(4))
    assert torch.equal(one, again)
    other, _ = apply(ALL, views, labels, (0,), *drawn(4, first=4))
    assert not torch.equal(one, other)


def test_a_patch_is_changed_alike_in_any_company():
    # Noise apart, which is drawn for the batch as a whole.
    strengths = replace(ALL, noise=0.0)
    views, labels = torch.rand(4, 2, 3, 64, 64), [torch.randint(0, 3, (4, 50, 50), dtype=torch.uint8)]
    uniform, field = drawn(4)
    together, told = apply(strengths, views, labels, (0,), uniform, field)
    alone, alone_told = apply(strengths, views[2:3], [labels[0][2:3]], (0,), uniform[2:3], field[2:3])
    torch.testing.assert_close(alone[0], together[2], atol=1e-6, rtol=0)
    assert torch.equal(alone_told[0][0], told[0][2])


@pytest.mark.parametrize("flips", [False, True])
def test_both_views_and_both_labels_show_the_same_tissue_afterwards(flips):
    strengths = replace(NONE, flips=flips, elastic_um=2.0, elastic_share=1.0)
    views = coded()
    # Labels of 50 px at 0.5 µm and of 40 px at 1 µm around the same centre: column numbers of their own view.
    fine = torch.arange(50, dtype=torch.uint8).repeat(50, 1)[None]
    coarse = torch.arange(40, dtype=torch.uint8).repeat(40, 1)[None]
    for draw in range(8):
        uniform, field = drawn(1, first=draw)
        found, (told, told_coarse) = apply(strengths, views, [fine, coarse], (0, 1), uniform, field)
        micrometres = (found[0, :, :2] - 0.5) * 64  # (branch, x and y, 64, 64)
        # The context's middle half, averaged in pairs of the target's px, is the target.
        target = torch.nn.functional.avg_pool2d(micrometres[:1], 2)[0, :, 4:-4, 4:-4]
        context = micrometres[1, :, 16:48, 16:48][:, 4:-4, 4:-4]
        assert (target - context).abs().max() < 0.25  # µm: half a px of the finer view
        # Labels: column c of 50 lies at (c + .5 - 25) * .5 µm.
        for label, branch, size, spacing in ((told, 0, 50, 0.5), (told_coarse, 1, 40, 1.0)):
            cut = (64 - size) // 2
            seen = micrometres[branch, 0, cut : 64 - cut, cut : 64 - cut]
            said = (label[0].float() + 0.5 - size / 2) * spacing
            inner = np.s_[12:-12, 12:-12]
            assert (seen - said)[inner].abs().max() <= spacing * 0.51


def test_flips_reach_all_eight_symmetries():
    views = coded().expand(64, -1, -1, -1, -1)
    found, _ = apply(replace(NONE, flips=True), views, [], (), *drawn(64))
    assert len({tuple(one[0, :2, ::63, ::63].flatten().tolist()) for one in found}) == 8


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_patches_that_are_not_deformed_come_back_to_the_bit(share):
    views = torch.rand((16, 2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    labels = [torch.randint(0, 3, (16, 50, 50), dtype=torch.uint8)]
    before, labels_before = views.clone(), labels[0].clone()
    uniform, field = drawn(16)
    strengths = replace(NONE, elastic_um=3.0, elastic_share=share)
    found, told = apply(strengths, views, labels, (0,), uniform, field)
    chosen = uniform[:, numbers.ELASTIC] < share
    same = (found == views).flatten(1).all(dim=1)
    assert same.tolist() == (~chosen).tolist()
    assert torch.equal(told[0][~chosen], labels[0][~chosen])
    # And what was given is left as it was.
    assert torch.equal(views, before)
    assert torch.equal(labels[0], labels_before)


def test_nothing_given_is_changed():
    views = torch.rand((4, 2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    uniform, field = drawn(4)
    before = [one.clone() for one in (views, uniform, field)]
    apply(ALL, views, [], (), uniform, field)
    for one, other in zip((views, uniform, field), before, strict=True):
        assert torch.equal(one, other)


def test_the_elastic_share_says_how_many_patches_are_warped():
    views = torch.rand(200, 1, 3, 16, 16)
    spec, layout = PatchSpec(16, 8, (0.5,)), numbers.field_layout(8.0, 4.0)
    found = [numbers.draw_numbers(layout, 1, number) for number in range(200)]
    uniform, field = (torch.from_numpy(np.stack([one[part] for one in found])) for part in (0, 1))
    for share in (0.0, 0.3, 1.0):
        augment = Augment(replace(NONE, elastic_um=2.0, elastic_share=share), spec, layout)
        warped, _ = augment(views, [], (), uniform, field)
        changed = ((warped - views).abs().amax(dim=(1, 2, 3, 4)) > 1e-3).float().mean()
        assert float(changed) == pytest.approx(share, abs=0.1)


@pytest.mark.parametrize("bands", [1, 4])
def test_bands_that_are_no_colours_are_varied_all_alike(bands):
    strengths = replace(ALL, saturation=0.0, stain=0.0, noise=0.0)
    grey = torch.rand(4, 2, 1, 64, 64)
    found, _ = apply(strengths, grey.expand(-1, -1, bands, -1, -1).contiguous(), [], (), *drawn(4))
    single, _ = apply(strengths, grey, [], (), *drawn(4))
    assert not torch.equal(single, grey)
    assert torch.equal(found, single.expand(-1, -1, bands, -1, -1))
    with pytest.raises(ValueError, match=f"stains of {bands} bands"):
        apply(replace(strengths, stain=0.1), found, [], (), *drawn(4))
