import json

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader, Dataset

from hooknet.data.samplers import SAMPLERS, EpochSampler, OfficialBalanced, validation_rows
from hooknet.errors import CheckpointError

# Class 1: 900 centres in patches full of it; 2: 90 centres, small; 3: 10 centres, tiny.
LABELS = np.repeat([1, 2, 3], [900, 90, 10]).astype(np.uint8)
PIXELS = np.zeros((1000, 3), np.int32)
PIXELS[:900, 0] = 4900
PIXELS[900:990] = (3900, 1000, 0)
PIXELS[990:] = (4000, 0, 100)
RULES = pytest.mark.parametrize("rule", list(SAMPLERS))
#: Pixels of a label patch: 70 x 70 and a sixteenth of it.
WHOLE, SIXTEENTH = 4900, 306
BATCHES, BATCH = 200, 12


def sampler(rule="balanced", batch=8, seed=1, labels=LABELS, pixels=PIXELS):
    return SAMPLERS[rule](labels, pixels, batch, seed)


def go(draws, batches):
    """Rows of the next ``batches`` mini-batches."""
    return np.array([row for _ in range(batches) for _, row in draws.next_batch()])


def pure(areas, counts):
    """An index of patches of one class each: labels and pixels."""
    labels = np.repeat(np.arange(1, len(areas) + 1), counts).astype(np.uint8)
    pixels = np.zeros((len(labels), len(areas)), np.int32)
    pixels[np.arange(len(labels)), labels - 1] = np.asarray(areas)[labels - 1]
    return labels, pixels


def worst(draws):
    """Largest deviation of a class from its equal share, relative to that share."""
    return np.abs(draws.shares * len(draws.shares) - 1).max()


@st.composite
def imbalanced(draw):
    """Patches of one class each, 2..6 classes: 1:1000 in centres and 1:16 in pixels per patch, in any order."""
    classes = draw(st.integers(2, 6))
    between = draw(st.lists(st.integers(SIXTEENTH, WHOLE), min_size=classes - 2, max_size=classes - 2))
    areas = draw(st.permutations([WHOLE, SIXTEENTH, *between]))
    counts = draw(st.permutations([3 * round(one) for one in np.geomspace(1, 1000, classes)]))
    return pure(areas, counts)


@st.composite
def mixed(draw):
    """Patches that show other classes too, where equal shares can be reached."""
    classes = draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    areas = rng.permutation(np.geomspace(SIXTEENTH, WHOLE, classes))
    counts = rng.permutation([3 * round(one) for one in np.geomspace(1, 1000, classes)])
    labels, _ = pure(areas, counts)
    shares = rng.dirichlet(np.full(classes, 0.3), len(labels)) * rng.uniform(0, 0.6, (len(labels), 1))
    shares[np.arange(len(labels)), labels - 1] += 1 - shares.sum(axis=1)
    pixels = (areas[labels - 1, None] * rng.uniform(0.5, 1, (len(labels), 1)) * shares).astype(np.int32)
    assume((pixels[np.arange(len(labels)), labels - 1] > 0).all())
    # Reachable: chances that show a pixel of each class exist, and each class needs some of its own centres.
    means = np.array([pixels[labels == value].mean(axis=0) for value in range(1, classes + 1)])
    assume((np.linalg.solve(means.T, np.ones(classes)) * np.diag(means) > 0.1).all())
    return labels, pixels


@settings(max_examples=40, deadline=None)
@given(imbalanced(), st.integers(0, 2**31))
def test_every_class_comes_to_its_equal_share_of_pixels(index, seed):
    draws = sampler("balanced", BATCH, seed, *index)
    go(draws, BATCHES)
    assert worst(draws) < 0.05


@settings(max_examples=40, deadline=None)
@given(mixed(), st.integers(0, 2**31))
def test_every_class_comes_to_its_equal_share_among_patches_of_several_classes(index, seed):
    draws = sampler("balanced", BATCH, seed, *index)
    go(draws, BATCHES)
    assert worst(draws) < 0.05


@pytest.mark.parametrize(("others", "limit"), [(1, 0.05), (2, 0.05), (4, 0.07)])
def test_equal_shares_are_nearly_kept_where_the_patches_of_others_show_a_class_enough(others, limit):
    # Patches of other classes show class 1 its equal share; its own centres, of the first mini-batch and of the
    # standing chances, come on top.
    counts = [3000, *[30] * others]
    labels, pixels = pure([WHOLE] * (others + 1), counts)
    pixels[3000:, 0] = WHOLE // (others + 1)
    pixels[np.arange(3000, len(labels)), labels[3000:] - 1] = WHOLE - WHOLE // (others + 1)
    draws = sampler("balanced", BATCH, 1, labels, pixels)
    rows = go(draws, BATCHES)
    assert worst(draws) < limit
    assert (labels[rows[BATCH:]] == 1).any()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("areas", [(WHOLE, SIXTEENTH), (SIXTEENTH, WHOLE), (4900, 1225, SIXTEENTH)])
def test_the_official_rule_comes_to_square_roots_of_pixels_per_patch(areas, seed):
    counts = [3 * round(one) for one in np.geomspace(1000, 1, len(areas))]
    draws = sampler("official", BATCH, seed, *pure(areas, counts))
    go(draws, BATCHES)
    # p_c ∝ 1 / s_c and s_c' = p_c a_c give s_c ∝ sqrt(a_c).
    wanted = np.sqrt(areas) / np.sqrt(areas).sum()
    np.testing.assert_allclose(draws.shares, wanted, rtol=0.2)
    assert worst(draws) > 0.25


def test_chances_grow_with_the_square_of_what_a_class_lacks():
    labels, pixels = pure((100, 50, 25), (4, 4, 4))
    draws = sampler(labels=labels, pixels=pixels)
    draws.shown = np.array([109, 100, 80])
    # What lacks, and 1: 1, 10, 30.  A pixel of each class takes 1, 2 and 4 of 7 patches.
    wanted = 0.95 * np.array([1, 100, 900]) / 1001 + 0.05 * np.array([1, 2, 4]) / 7
    np.testing.assert_allclose(draws.chances(), wanted, rtol=1e-12)


def test_classes_that_are_level_have_equal_chances():
    labels, pixels = pure((70, 70, 70, 70), (1, 10, 100, 1000))
    draws = sampler(labels=labels, pixels=pixels)
    draws.shown = np.full(4, 10**12)
    np.testing.assert_allclose(draws.chances(), 0.25)


def test_a_class_that_the_patches_of_others_overshow_is_still_looked_at_for_itself():
    # Patches of class 2 are mostly of class 1, which then never lacks anything.
    labels = np.repeat([1, 2], 500).astype(np.uint8)
    pixels = np.repeat([[4900, 0], [3000, 1900]], 500, axis=0).astype(np.int32)
    draws = sampler("balanced", 100, 1, labels, pixels)
    rows = go(draws, 201)[100:]
    # 0.05 x (1 / 4900) / (1 / 4900 + 1 / 1900) of 20,000 draws, within four standard deviations.
    assert (labels[rows] == 1).sum() == pytest.approx(279, abs=67)


def test_a_class_that_cannot_reach_its_share_does_not_take_the_others_draws():
    # 20 px of class 3 in a patch of class 1; class 2 could have half of all pixels.
    labels = np.repeat([1, 2, 3], 100).astype(np.uint8)
    pixels = np.repeat([[4900, 0, 0], [0, 4900, 0], [4880, 0, 20]], 100, axis=0).astype(np.int32)
    draws = sampler("balanced", BATCH, 1, labels, pixels)
    go(draws, BATCHES)
    assert draws.shares[1] > 0.25
    assert draws.shares[2] > 0.002  # of at most 20 / 4900


@RULES
def test_the_first_batch_is_drawn_from_all_centres_alike(rule):
    rows = np.concatenate([go(sampler(rule, 100, seed), 1) for seed in range(100)])
    # 10,000 draws, 9000, 900, 100 expected.
    found = np.bincount(LABELS[rows], minlength=4)[1:]
    expected = np.array([9000, 900, 100])
    assert ((found - expected) ** 2 / expected).sum() < 13.8  # chi squared, 2 degrees, once in 1000
    assert len(np.unique(rows)) > 900


def test_the_official_chances_are_inverse_to_the_pixels_shown_before_the_batch():
    draws = sampler("official", 20_000)
    draws.next_batch()
    chances = (1 / (1 + draws.shown)) / (1 / (1 + draws.shown)).sum()
    np.testing.assert_allclose(draws.chances(), chances)
    found = np.bincount(LABELS[go(draws, 1)], minlength=4)[1:]
    np.testing.assert_allclose(found / 20_000, chances, atol=4 * np.sqrt(0.25 / 20_000))


@RULES
def test_within_a_class_every_centre_has_the_same_chance(rule):
    draws = sampler(rule, 20_000)
    draws.next_batch()
    rows = go(draws, 1)
    counts = np.bincount(rows[LABELS[rows] == 3] - 990, minlength=10)
    expected = counts.sum() / 10
    assert expected > 100
    assert ((counts - expected) ** 2 / expected).sum() < 27.9  # chi squared, 9 degrees, once in 1000


@RULES
def test_shown_pixels_are_those_of_the_patches_drawn(rule):
    draws = sampler(rule)
    assert np.isnan(draws.shares).all()
    rows = go(draws, 20)
    total = PIXELS[rows].sum(axis=0)
    assert draws.shown.tolist() == total.tolist()
    np.testing.assert_allclose(draws.shares, total / total.sum())


@RULES
def test_a_class_without_centres_is_never_drawn(rule):
    # Class 3 is shown by patches of others, but none of it is a centre.
    labels, pixels = LABELS[LABELS != 2], np.full((910, 3), 7, np.int32)
    draws = sampler(rule, labels=labels, pixels=pixels)
    rows = go(draws, 50)
    assert draws.chances()[1] == 0
    assert set(labels[rows]) == {1, 3}


@RULES
def test_a_centre_whose_patch_shows_none_of_its_class_is_drawn_by_chance_only(rule):
    # At a coarse spacing the label patch may miss a small region: 10 of the 20 centres of class 2 show nothing.
    labels = np.repeat([1, 2], [80, 20]).astype(np.uint8)
    pixels = np.zeros((100, 2), np.int32)
    pixels[:80, 0] = 100
    pixels[90:, 1] = 100
    draws = sampler(rule, 10, 1, labels, pixels)
    draws.next_batch()
    rows = go(draws, 50)
    assert set(rows[labels[rows] == 2]) <= set(range(90, 100))
    assert 0.4 < (labels[rows] == 2).mean() < 0.6  # the class fills up, so the other is drawn as well


@RULES
def test_draws_are_numbered_without_a_gap(rule):
    draws = sampler(rule, 5)
    numbers = [number for _ in range(4) for number, _ in draws.next_batch()]
    assert numbers == list(range(20))


@RULES
def test_the_seed_decides(rule):
    one, same, other = (go(sampler(rule, seed=seed), 10).tolist() for seed in (1, 1, 2))
    assert one == same
    assert one != other


@RULES
def test_pixel_counts_do_not_overflow(rule):
    draws = sampler(rule, 64, 1, np.array([1, 1], np.uint8), np.full((2, 1), 2**30, np.int32))
    go(draws, 10)
    assert draws.shown[0] == 640 * 2**30


def test_the_square_of_many_pixels_does_not_overflow():
    draws = sampler()
    draws.shown = np.array([2**50, 0, 2**49])
    found = draws.chances()
    assert (found > 0).all()
    assert found.sum() == pytest.approx(1)
    assert found[1] > 0.75


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(list(SAMPLERS)), st.integers(0, 30), st.integers(0, 2**31), st.integers(1, 9))
def test_a_sampler_goes_on_from_the_state_of_another_at_any_batch(rule, done, seed, batch):
    one, other = sampler(rule, batch, seed), sampler(rule, batch, seed + 1)
    go(one, done)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert [one.next_batch() for _ in range(5)] == [other.next_batch() for _ in range(5)]
    assert one.shown.tolist() == other.shown.tolist()
    assert one.state_dict() == other.state_dict()


def test_a_state_is_not_changed_by_later_draws():
    draws = sampler()
    go(draws, 2)
    state = draws.state_dict()
    before = json.dumps(state)
    go(draws, 3)
    assert json.dumps(state) == before
    draws.load_state_dict(state)
    go(draws, 3)
    assert json.dumps(state) == before


def test_the_state_of_another_rule_or_of_other_classes_is_refused():
    draws = sampler("official")
    with pytest.raises(
        CheckpointError, match=r"^state of a sampler of the rule official, wanted balanced; train afresh$"
    ):
        sampler().load_state_dict(draws.state_dict())
    with pytest.raises(CheckpointError, match=r"^state of a sampler of the rule None, wanted official"):
        draws.load_state_dict({})
    two = OfficialBalanced(*pure((9, 9), (5, 5)), 8, 1)
    with pytest.raises(CheckpointError, match=r"^state of a sampler of 2 classes, wanted 3; train afresh$"):
        draws.load_state_dict(two.state_dict())


def test_epochs_share_out_one_sequence():
    draws, all_at_once = EpochSampler(sampler(), 3), sampler()
    assert len(draws) == 3
    found = [batch for _ in range(2) for batch in draws]
    assert found == [all_at_once.next_batch() for _ in range(6)]


class Echo(Dataset):
    """What it is asked for."""

    def __getitem__(self, draw):
        return draw


def loaded(rule, workers):
    """Draws of two epochs through a loader, and the state of the sampler after each."""
    draws = sampler(rule)
    loader = DataLoader(
        Echo(),
        batch_sampler=EpochSampler(draws, 7),
        num_workers=workers,
        persistent_workers=workers > 0,
        collate_fn=list,
    )
    found = []
    for _ in range(2):
        found += list(loader)
        found.append(draws.state_dict())
    return found


@RULES
def test_draws_and_state_at_the_end_of_an_epoch_do_not_depend_on_workers(rule):
    alone = loaded(rule, 0)
    assert len(alone) == 16
    assert alone[7]["step"] == 7
    assert loaded(rule, 2) == alone


def test_validation_takes_equally_many_of_every_class_once():
    rows = validation_rows(LABELS, 90, 1)
    assert np.bincount(LABELS[rows]).tolist() == [0, 30, 30, 10]  # class 3 has no more
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, validation_rows(LABELS, 90, 1))
    assert not np.array_equal(rows, validation_rows(LABELS, 90, 2))


def test_validation_of_nothing_is_nothing():
    assert validation_rows(np.zeros(0, np.uint8), 90, 1).tolist() == []
