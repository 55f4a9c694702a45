"""Curves, overlap and ranking of views whose answers are known."""

import numpy as np
import pytest
from made_points import points, sure

from hooknet.config.candidates import Candidate
from hooknet.search.ranking import SingleViews, curves, entering, overlap, ranking

NAMES = ("a", "b", "c")
PATIENTS = 12
EACH = 12


def three_views():
    """At 1 µm/px class a is known from b or c, at 4 class b from a or c, at 16 nothing: it always says c."""
    labels = np.tile([1, 2, 3], PATIENTS * EACH // 3)
    slides = np.repeat([f"s{at}" for at in range(PATIENTS)], EACH)
    first = np.where((labels == 1)[:, None], [0.8, 0.1, 0.1], [0.1, 0.44, 0.46])
    second = np.where((labels == 2)[:, None], [0.1, 0.8, 0.1], [0.44, 0.1, 0.46])
    third = sure(np.full(len(labels), 3), 3, 0.5)
    of = {1.0: first, 4.0: second, 16.0: third}
    found = {spacing: points(labels, shares, NAMES, slides) for spacing, shares in of.items()}
    return SingleViews(found, list(slides))


def test_curves_have_the_f1_of_each_class_at_each_spacing():
    table = curves(three_views()).set_index(["spacing", "class"])["f1"]
    assert table[1.0, "a"] == 1.0
    assert table[1.0, "b"] == 0.0
    # b is taken for c: as many right as wrong.
    assert table[1.0, "c"] == pytest.approx(2 / 3)
    assert table[1.0, "macro"] == pytest.approx((1 + 0 + 2 / 3) / 3)
    assert table[4.0, "b"] == 1.0
    assert table[16.0, "c"] == pytest.approx(0.5)


def test_overlap_tells_who_is_right_where():
    table = overlap(three_views()).set_index(["first", "second", "class"])
    assert table.loc[(1.0, 4.0, "a")].tolist() == [1.0, 0.0, 0.0, 1.0]
    assert table.loc[(1.0, 4.0, "c")].tolist() == [1.0, 1.0, 0.0, 1.0]
    assert table.loc[(1.0, 16.0, "b"), "double_fault"] == 1.0
    assert table.loc[(1.0, 16.0, "macro"), "double_fault"] == pytest.approx(1 / 3)


def test_the_combination_that_tells_most_is_first_and_the_simpler_of_two_that_tell_as_much():
    table = ranking(three_views(), [(1.0, 4.0), (1.0, 16.0), (4.0, 16.0), (1.0, 4.0, 16.0)], 0.01)
    assert table["view"].tolist()[:2] == ["1+4", "1+4+16"]
    by_view = table.set_index("view")
    assert by_view.loc["1+4", "pooled_f1"] == 1.0
    assert by_view.loc["1+4", "ceiling"] == pytest.approx((1 + 1 + 2 / 3) / 3)
    assert by_view.loc["1+16", "none_right"] == pytest.approx(1 / 3)
    assert by_view.loc["1+4", "gain"] == pytest.approx(1 - by_view.loc[["1", "4", "16"], "pooled_f1"].max())
    assert by_view["keeps_up"].to_dict() == {
        "1+4": True, "1+4+16": True, "1": False, "4": False, "16": False, "1+16": False, "4+16": False,
    }  # fmt: skip


def test_combinations_that_keep_up_enter_in_the_order_of_their_rank_with_all_their_variants():
    table = ranking(three_views(), [(1.0, 4.0), (1.0, 16.0), (1.0, 4.0, 16.0)], 0.01)
    variants = {
        view: [Candidate(len(spacings), spacings, "concat", weight) for weight in (0.5, 1.0)]
        for view, spacings in {"1+4": (1.0, 4.0), "1+16": (1.0, 16.0), "1+4+16": (1.0, 4.0, 16.0)}.items()
    }
    assert entering(table, variants, 10) == [*variants["1+4"], *variants["1+4+16"]]
    assert entering(table, variants, 3) == [*variants["1+4"], variants["1+4+16"][0]]
