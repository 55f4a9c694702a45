import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch.utils.data import DataLoader, Dataset

from hooknet.data.hierarchical import LEVELS, Hierarchical, PatchColumns
from hooknet.data.samplers import EpochSampler
from hooknet.errors import CheckpointError, ConfigError

CHAINS = [chain for n in range(4) for chain in itertools.permutations(LEVELS, n)]
MANY = 20_000


def columns(counts, grades):
    """An index with ``counts`` (slides, classes) patches, in an order of its own."""
    counts = np.asarray(counts)
    slides, classes = np.divmod(np.repeat(np.arange(counts.size), counts.ravel()), counts.shape[1])
    mixed = np.random.default_rng(7).permutation(len(slides))
    return PatchColumns(
        slides[mixed].astype(np.int32), (classes[mixed] + 1).astype(np.uint8), tuple(grades), counts.shape[1]
    )


#: Grade I has one slide, II two, III three; every slide has both classes; 1 to 60 patches of each.
FULL = columns([[1, 60], [30, 2], [5, 5], [40, 1], [3, 4], [20, 20]], ["I", "II", "II", "III", "III", "III"])


def sampler(patches=FULL, levels=LEVELS, batch=8, seed=1):
    return Hierarchical(patches, levels, batch, seed)


def rows_of(draws, batches=1):
    return np.array([row for _ in range(batches) for _, row in draws.next_batch()])


def keys(patches, levels):
    """Values of each row, as tuples, at these levels."""
    values = {
        "grade": [patches.grades[slide] for slide in patches.slides],
        "slide": patches.slides.tolist(),
        "class": patches.labels.tolist(),
    }
    return list(zip(*(values[level] for level in levels), strict=True)) or [()] * len(patches.labels)


def chances_by_definition(patches, levels):
    """Of each row: 1 over the number of values at each level below its own values above, and over its like."""
    chances = np.ones(len(patches.labels))
    paths = keys(patches, levels)
    for row, path in enumerate(paths):
        for depth in range(len(levels)):
            there = {other[depth] for other in paths if other[:depth] == path[:depth]}
            chances[row] /= len(there)
        chances[row] /= paths.count(path)
    return chances


def realised(draws, level, column):
    table = draws.realised().set_index(["level", "value"])
    return table.loc[level, column].to_dict()


@st.composite
def indices(draw, lacking=True):
    """Up to 6 slides, graded or not, of up to 4 classes; every class is in one slide at least."""
    classes = draw(st.integers(1, 4))
    slides = draw(st.integers(1, 6))
    each = st.lists(st.integers(0 if lacking else 1, 5), min_size=classes, max_size=classes)
    counts = np.array(draw(st.lists(each, min_size=slides, max_size=slides)))
    counts[0, counts.sum(axis=0) == 0] = 1
    grades = [draw(st.sampled_from([None, "I", "II", "III"])) if one.any() else None for one in counts]
    return columns(counts, grades)


@settings(max_examples=60, derandomize=True)
@given(indices(), st.sampled_from(CHAINS), st.integers(0, 2**31))
def test_each_level_is_even_over_what_is_there_below_the_ones_above(patches, levels, seed):
    draws = sampler(patches, levels, MANY, seed)
    chances = chances_by_definition(patches, levels)
    np.testing.assert_allclose(draws.chances(), chances, rtol=1e-12)
    found = np.bincount(rows_of(draws), minlength=len(chances))
    # Always the same examples: no matter of luck.
    assert len(chances) == 1 or chisquare(found, MANY * chances).pvalue > 1e-6


@settings(max_examples=40, derandomize=True)
@given(indices(lacking=False), st.permutations(LEVELS), st.integers(0, 2**31))
def test_grades_slides_of_a_grade_and_classes_are_even_where_every_slide_has_every_class(
    patches, order, seed
):
    grade_first = [one for one in order if one != "grade"]
    grade_first.insert(grade_first.index("slide"), "grade")  # the slide tells the grade: that comes before it
    draws = sampler(patches, grade_first, MANY, seed)
    draws.next_batch()
    strata = {one: patches.grades.count(one) for one in patches.grades}
    wanted = {
        "grade": {one or "none": 1 / len(strata) for one in strata},
        "slide": {str(i): 1 / len(strata) / strata[one] for i, one in enumerate(patches.grades)},
        "class": {str(one): 1 / patches.classes for one in range(1, patches.classes + 1)},
    }
    for level, expected in wanted.items():
        assert realised(draws, level, "expected") == pytest.approx(expected, rel=1e-12)
        found = realised(draws, level, "share")
        # Five standard deviations.
        limits = {key: 5 * (p * (1 - p) / MANY) ** 0.5 + 1e-12 for key, p in expected.items()}
        assert {key for key, p in expected.items() if abs(found[key] - p) > limits[key]} == set()


def test_the_numbers_of_the_poster():
    draws = sampler(batch=MANY)
    draws.next_batch()
    assert realised(draws, "grade", "expected") == pytest.approx({"I": 1 / 3, "II": 1 / 3, "III": 1 / 3})
    wanted = dict(zip("012345", [1 / 3, 1 / 6, 1 / 6, 1 / 9, 1 / 9, 1 / 9], strict=True))
    assert realised(draws, "slide", "expected") == pytest.approx(wanted)
    assert realised(draws, "slide", "share") == pytest.approx(wanted, abs=0.015)
    assert realised(draws, "class", "share") == pytest.approx({"1": 0.5, "2": 0.5}, abs=0.015)


def test_where_a_slide_lacks_a_class_slides_stay_even_and_the_class_falls_behind():
    # Of two slides of one grade, one has both classes: 1 / 2 · 1 / 2 for the second class.
    draws = sampler(columns([[5, 5], [90, 0]], [None, None]), batch=MANY)
    draws.next_batch()
    assert realised(draws, "class", "expected") == pytest.approx({"1": 0.75, "2": 0.25}, rel=1e-12)
    # Drawing again from the top would give 2/3 and 1/3 of the classes, and 2/3 and 1/3 of the slides.
    assert realised(draws, "class", "share") == pytest.approx({"1": 0.75, "2": 0.25}, abs=0.015)
    assert realised(draws, "slide", "share") == pytest.approx({"0": 0.5, "1": 0.5}, abs=0.018)


def test_classes_drawn_first_are_even_whatever_the_slides_lack():
    draws = sampler(columns([[5, 5], [90, 0]], ["I", "II"]), ("class", "grade", "slide"), MANY)
    draws.next_batch()
    assert realised(draws, "class", "expected") == pytest.approx({"1": 0.5, "2": 0.5}, rel=1e-12)
    assert realised(draws, "slide", "expected") == pytest.approx({"0": 0.75, "1": 0.25}, rel=1e-12)
    assert draws.shares == pytest.approx([0.5, 0.5], abs=0.018)


def test_slides_without_a_grade_are_a_stratum_beside_the_grades():
    draws = sampler(columns([[4, 4]] * 4, ["I", None, None, None]), batch=MANY)
    assert realised(draws, "grade", "expected") == pytest.approx({"I": 0.5, "none": 0.5}, rel=1e-12)
    assert realised(draws, "slide", "expected")["1"] == pytest.approx(1 / 6, rel=1e-12)


def test_a_level_with_one_value_changes_no_draw():
    counts = [[4, 4], [9, 1], [2, 3]]
    graded = rows_of(sampler(columns(counts, ["I"] * 3), batch=MANY))
    found = np.bincount(graded, minlength=23) / MANY
    wanted = sampler(columns(counts, [None] * 3), ("slide", "class")).chances()
    np.testing.assert_allclose(sampler(columns(counts, ["I"] * 3)).chances(), wanted, rtol=1e-12)
    np.testing.assert_allclose(found, wanted, atol=0.013)


def test_without_levels_every_patch_has_the_same_chance():
    np.testing.assert_allclose(sampler(levels=()).chances(), 1 / 191, rtol=1e-12)


def test_a_slide_without_patches_is_never_drawn():
    patches = columns([[4, 4], [0, 0], [4, 4]], ["I", "I", "II"])
    draws = sampler(patches, batch=100)
    assert set(patches.slides[rows_of(draws)]) == {0, 2}
    assert realised(draws, "slide", "drawn")["1"] == 0
    assert realised(draws, "slide", "expected") == pytest.approx({"0": 0.5, "1": 0, "2": 0.5})


def test_realised_counts_what_was_drawn():
    draws = sampler(batch=50)
    assert draws.realised()["share"].isna().all()
    rows = rows_of(draws, 4)
    table = draws.realised()
    assert table.columns.tolist() == ["level", "value", "drawn", "share", "expected"]
    assert table["level"].tolist() == ["grade"] * 3 + ["slide"] * 6 + ["class"] * 2
    for level in LEVELS:
        drawn = [str(keys(FULL, (level,))[row][0]) for row in rows]
        assert realised(draws, level, "drawn") == {
            value: drawn.count(value) for value in realised(draws, level, "drawn")
        }
    assert table.groupby("level")["drawn"].sum().tolist() == [200] * 3
    np.testing.assert_allclose(table["share"], table["drawn"] / 200)
    np.testing.assert_allclose(table.groupby("level")["expected"].sum(), 1)


def test_tables_and_messages_have_the_names_of_slides_and_classes():
    of = columns([[3, 1], [2, 2]], [None, None])
    named = replace(of, slide_names=("one", "two"), class_names=("rest", "tumour"))
    assert sampler(named).realised()["value"].tolist() == ["none", "one", "two", "rest", "tumour"]
    lacking = replace(named, labels=np.ones_like(named.labels))
    with pytest.raises(
        ConfigError, match=r"^index of patches: class tumour has none, wanted some of each class"
    ):
        sampler(lacking)


def test_shares_are_those_of_the_classes_drawn():
    draws = sampler()
    assert np.isnan(draws.shares).all()
    rows = rows_of(draws, 3)
    np.testing.assert_allclose(draws.shares, np.bincount(FULL.labels[rows], minlength=3)[1:] / 24)


@pytest.mark.parametrize("levels", CHAINS)
def test_draws_do_not_depend_on_the_size_of_a_mini_batch_and_are_numbered_without_a_gap(levels):
    small, large = sampler(levels=levels, batch=3), sampler(levels=levels, batch=12)
    found = [draw for _ in range(8) for draw in small.next_batch()]
    assert found == large.next_batch() + large.next_batch()
    assert [number for number, _ in found] == list(range(24))


def test_the_seed_decides():
    one, same, other = (rows_of(sampler(seed=seed), 5).tolist() for seed in (1, 1, 2))
    assert one == same
    assert one != other


@settings(max_examples=20)
@given(indices(), st.sampled_from(CHAINS), st.integers(0, 9), st.integers(1, 9))
def test_a_sampler_goes_on_from_the_state_of_another(patches, levels, done, batch):
    one, other = sampler(patches, levels, batch, 1), sampler(patches, levels, batch, 2)
    rows_of(one, done)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert [one.next_batch() for _ in range(3)] == [other.next_batch() for _ in range(3)]
    assert one.realised().equals(other.realised())
    assert one.state_dict() == other.state_dict()


def test_a_state_is_not_changed_by_later_draws():
    draws = sampler()
    state = draws.state_dict()
    before = json.dumps(state)
    draws.load_state_dict(state)
    draws.next_batch()
    assert json.dumps(state) == before


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (
            sampler(levels=("class",)),
            r"with levels \['class'\], wanted \['grade', 'slide', 'class'\]; train afresh$",
        ),
        (sampler(columns([[1, 1]] * 6, [None] * 6)), "with patches 12, wanted 191"),
        (sampler(columns([[190, 1]], [None])), "with slides 1, wanted 6"),
        (sampler(columns([[186, 0, 1], *[[0, 1, 0]] * 4, [0, 0, 0]], ["I"] * 6)), "with classes 3, wanted 2"),
    ],
)
def test_the_state_of_another_index_is_refused(other, told):
    with pytest.raises(CheckpointError, match=f"^state of a sampler {told}"):
        sampler().load_state_dict(other.state_dict())


def test_the_state_of_another_rule_is_refused():
    with pytest.raises(CheckpointError, match=r"with rule balanced, wanted hierarchical; train afresh$"):
        sampler().load_state_dict({"rule": "balanced", "step": 1})


@pytest.mark.parametrize(
    ("patches", "levels", "told"),
    [
        (columns([[0, 0]], ["I"]), LEVELS, "^index of patches: it is empty"),
        (columns([[0, 0]], ["I"]), (), "^index of patches: it is empty"),
        (
            columns([[5, 0], [5, 0]], [None, None]),
            LEVELS,
            "class 2 has none, .* leave class out of train.levels$",
        ),
        (columns([[5, 5], [0, 0]], ["I", "II"]), LEVELS, "grade II has none, wanted some of each grade"),
        (FULL, ("grade", "stain"), "^train.levels: found grade, stain, wanted some of grade, slide, class"),
        (FULL, ("slide", "slide"), "^train.levels: found slide, slide, .* each once$"),
    ],
)
def test_what_could_never_be_drawn_is_an_error(patches, levels, told):
    with pytest.raises(ConfigError, match=told):
        sampler(patches, levels)


def test_a_class_or_grade_without_patches_is_no_error_where_it_is_no_level():
    draws = sampler(columns([[5, 0], [0, 0]], ["I", "II"]), ("slide",))
    draws.next_batch()
    assert draws.shares.tolist() == [1, 0]


class Echo(Dataset):
    """What it is asked for."""

    def __getitem__(self, draw):
        return draw


def test_it_shares_out_epochs_through_a_loader():
    loader = DataLoader(Echo(), batch_sampler=EpochSampler(sampler(), 3), collate_fn=list)
    alone = sampler()
    assert list(loader) + list(loader) == [alone.next_batch() for _ in range(6)]


def test_it_says_what_its_shares_count():
    assert sampler().unit == "patches"
