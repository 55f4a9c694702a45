from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up import CLASSES, NAMES, extras, report, results

from hooknet.evaluation.compare import compare
from hooknet.evaluation.system import MACRO, System
from hooknet.report import plots
from hooknet.report.data import ReportClass, ReportSystem


def test_intervals_are_drawn_from_low_to_high_of_every_class():
    comparison = results()
    axes = plots.score_intervals(comparison).axes[0]
    drawn = [path for one in axes.collections for path in one.get_paths()]
    assert len(drawn) == len(comparison.intervals) == 5 * 5
    table = comparison.intervals.set_index(["experiment", "class"])
    row = table.loc[("U-Net 0.5", MACRO)]
    assert drawn[0].vertices[:, 1] == pytest.approx([row["low"], row["high"]])
    assert [one.get_text() for one in axes.get_xticklabels()] == ["macro F1", *NAMES]


def test_a_score_outside_its_interval_is_drawn_without_a_negative_reach():
    table = results().intervals.assign(low=2.0, high=3.0)
    axes = plots.score_intervals(replace(results(), intervals=table)).axes[0]
    ends = np.array([path.vertices[:, 1] for one in axes.collections for path in one.get_paths()])
    assert ends[:, 1] == pytest.approx(3.0)
    assert sorted(ends[:, 0]) == pytest.approx(sorted(table["f1"]))


def test_a_difference_is_filled_only_where_its_interval_excludes_no_difference():
    table = pd.DataFrame(
        [("a", "b", MACRO, 0.2, 0.1, 0.3, 9), ("a", "c", MACRO, 0.1, -0.1, 0.2, 9), ("a", "b", "DCIS", 1, 1, 1, 9)],
        columns=["first", "second", "class", "difference", "low", "high", "patients"],
    )  # fmt: skip
    axes = plots.difference_intervals(replace(results(), differences=table)).axes[0]
    dots = [one for one in axes.lines if one.get_marker() == "o"]
    assert [one.get_xdata()[0] for one in dots] == [0.2, 0.1]
    assert [one.get_markerfacecolor() == "white" for one in dots] == [False, True]


def test_curves_over_spacings_have_a_mark_per_system_and_a_line_of_means():
    counts = {right: np.array([[0, right, 100 - right], [0, 100 - right, right]]) for right in (60, 80, 90)}
    systems = [
        System(name, name[0], None, {"s": counts[right]})
        for name, right in (("a1", 60), ("a2", 80), ("b", 90))
    ]
    about = [
        ReportSystem("a1", "unet", (2.0,)),
        ReportSystem("a2", "unet", (2.0,)),
        ReportSystem("b", "unet", (0.5,)),
        ReportSystem("h", "hooknet", (0.5, 8.0)),
    ]
    comparison = compare(systems, ("x", "y"))
    figure = plots.spacing_curves(about, comparison, classes("x", "y"))
    lines = {one.get_label(): one for one in figure.axes[0].lines}
    assert list(lines["macro F1"].get_xdata()) == [0.5, 2.0]
    assert lines["macro F1"].get_ydata() == pytest.approx([0.9, 0.7])
    assert figure.axes[0].get_xscale() == "log"


def classes(*names):
    return tuple(ReportClass(name, at, "#336699") for at, name in enumerate(names, start=1))


def test_there_is_no_curve_of_what_was_not_varied():
    systems = report().systems
    assert plots.spacing_curves(systems[:1], results(), CLASSES) is None
    assert plots.weight_curves(systems[:3], results(), CLASSES) is None
    assert plots.weight_curves((), results(), CLASSES) is None


def test_curves_over_loss_weights_are_of_one_pair_of_spacings():
    systems = (*report().systems, ReportSystem("other", "hooknet", (0.5, 2.0), 0.5))
    axes = plots.weight_curves(systems, results(), CLASSES).axes[0]
    line = next(one for one in axes.lines if one.get_label() == "macro F1")
    assert list(line.get_xdata()) == [0.75, 1.0]


def test_the_reliability_diagram_leaves_empty_bins_out():
    found = extras()
    axes = plots.reliability(found.reliability, found.calibration).axes[0]
    assert len(axes.lines[1].get_xdata()) == 14  # the first bin holds nothing
    assert axes.lines[1].get_label() == "U-Net 2: ECE 0.050"


def test_errors_of_hardly_any_pixels_are_not_drawn():
    table = pd.DataFrame(
        {"system": "a", "level": [1, 2, 3], "kept": [1.0, 0.5, 0.001], "error": [0.2, 0.1, 1.0]}
    )
    (line,) = plots.risk_curves(table).axes[0].lines
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([1.0, 0.5], [0.2, 0.1])


def test_shown_shares_add_up_to_a_whole_bar():
    table = pd.DataFrame(
        {"epoch": [1, 2], "loss": [1.0, 0.5], "validation_macro_f1": [0.1, 0.2],
         "share_x": [0.9, 0.3], "share_y": [0.1, 0.7]}
    )  # fmt: skip
    figure = plots.shown_shares([ReportSystem("a", "unet", (0.5,), curves=table)], classes("x", "y"))
    widths = [one.get_width() for one in figure.axes[0].patches]
    assert widths == pytest.approx([0.3, 0.7])  # of the last epoch
    assert plots.shown_shares(report().systems, CLASSES) is None
