import numpy as np

from hooknet.report.views import unsure_panel


def test_the_panel_of_uncertainty_tells_the_mean_of_what_is_predicted():
    # Of 0, 0.25 and 1 where it is predicted: a third is above a half.
    levels = np.array([[0, 1], [64, 255]], np.uint8)
    levels[1, 0] = 1 + round(254 / 4)
    found = unsure_panel("s", "Uncertainty", levels)
    assert found.score == "mean 0.42"
    assert found.alt == "Uncertainty over s: mean 0.42; above 0.5 in 33 % of what is predicted."
    assert found.whole
    assert not found.lines


def test_where_nothing_is_predicted_it_says_so():
    assert unsure_panel("s", "Uncertainty", np.zeros((2, 2), np.uint8)).score == "nothing predicted"
