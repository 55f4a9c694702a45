import numpy as np
import pandas as pd
import pytest
from made_up import NAMES, SKILL, counts, curves, results
from PIL import Image

from hooknet.evaluation.compare import compare
from hooknet.evaluation.system import System
from hooknet.report import figures, style
from hooknet.report.data import ReportSystem


@pytest.fixture(scope="module")
def comparison():
    return results()


def shown(axes):
    return [one.get_text() for one in axes.texts]


def test_the_heat_map_shows_whole_per_cent_of_each_row(comparison):
    matrix = np.array([[0, 75, 25, 0, 0], [0, 0, 50, 0, 0], [0, 1, 0, 999, 0], [0, 0, 0, 0, 0]], np.int64)
    one = compare([System("one", "one", None, {"s": matrix})], NAMES)
    axes = figures.confusion(one, "one").axes[0]
    assert shown(axes) == [
        "75",
        "25",
        "0",
        "0",
        "0",
        "100",
        "0",
        "0",
        "<1",
        "0",
        "100",
        "0",
        "–",
        "–",
        "–",
        "–",
    ]
    assert [one.get_text() for one in axes.get_xticklabels()] == list(NAMES)


def test_the_column_without_a_prediction_is_drawn_for_all_systems_or_none(comparison):
    for name in SKILL:
        labels = [one.get_text() for one in figures.confusion(comparison, name).axes[0].get_xticklabels()]
        assert labels == [*NAMES, "no prediction"]


def test_a_dot_stands_for_each_slide_and_a_line_joins_its_dots(comparison):
    axes = figures.slide_scores(comparison).axes[0]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    assert [len(line.get_ydata()) for line in dots] == [14] * 5
    assert sum(len(line.get_xdata()) == 5 for line in axes.lines) == 14
    table = comparison.slide_scores
    expected = table.loc[table["system"] == "MRN 0.5, 8", "macro_f1"]
    assert sorted(dots[2].get_ydata()) == pytest.approx(sorted(expected))
    medians = [line.get_ydata()[0] for line in axes.lines if len(line.get_xdata()) == 2]
    assert medians[2] == pytest.approx(expected.median())


def test_no_dot_lies_outside_the_axes():
    weak = compare([System("weak", "weak", None, {"s": counts(np.random.default_rng(0), 0.1)})], NAMES)
    axes = figures.slide_scores(weak).axes[0]
    low, high = axes.get_ylim()
    assert low < weak.slide_scores["macro_f1"].iloc[0] < high


def test_the_dot_of_a_curve_is_at_its_best_epoch():
    table = pd.DataFrame(
        {"epoch": [1, 2, 3], "loss": [3.0, 2.0, 1.0], "validation_macro_f1": [0.2, 0.6, float("nan")]}
    )
    figure = figures.curves([ReportSystem("a", "unet", (0.5,), curves=table)])
    dot = figure.axes[1].lines[-1]
    assert (list(dot.get_xdata()), list(dot.get_ydata())) == ([2], [0.6])
    assert list(figure.axes[0].lines[0].get_ydata()) == [3, 2, 1]


def test_every_fold_has_its_line_and_every_system_one_entry_in_the_legend():
    systems = [
        ReportSystem("a", "unet", (0.5,), curves=curves(0.7, folds=3)),
        ReportSystem("$b$", "unet", (1.0,), curves=curves(0.8)),
        ReportSystem("untrained", "unet", (2.0,)),
    ]
    figure = figures.curves(systems)
    assert len(figure.axes[0].lines) == 4
    assert [one.get_text() for one in figure.legends[0].get_texts()] == ["a", r"\$b\$"]
    table = figures.curves_table(systems)
    assert table.columns[0] == "system"
    assert table["system"].value_counts().to_dict() == {"a": 90, "$b$": 30}


def test_the_same_data_gives_the_same_files(tmp_path, comparison):
    for folder in ("one", "two"):
        style.save(figures.confusion(comparison, "U-Net 2"), tmp_path / folder, "matrix")
    for suffix in ("png", "svg"):
        first, second = (tmp_path / one / f"matrix.{suffix}" for one in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
    with Image.open(tmp_path / "one" / "matrix.png") as image:
        assert image.size[0] > 400
