from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from hooknet.evaluation.compare import compare
from hooknet.evaluation.system import Measured, System
from hooknet.evaluation.volumes import volume_scores, volume_table
from hooknet.metrics.volumes import VolumeScore
from hooknet.report.data import Extras, ReportClass, ReportData, ReportSystem
from hooknet.report.files import Files
from hooknet.report.page import write_report
from hooknet.report.volumes import HEADS, draw, volumes

NAMES = ("rest", "heart_wall")
SIZE = (1.5, 1.5, 8.0)


def whole(dice, hd95):
    right = round(100 * dice)
    return VolumeScore(right, 100 - right, 100 - right, SIZE, 50, 50, hd95)


ABSENT = VolumeScore(0, 7, 0, SIZE, 0, 4, float("nan"))
MISSED = VolumeScore(0, 0, 9, SIZE, 9, 0, float("nan"))


@pytest.fixture(scope="module")
def extras():
    """Two systems on three volumes: one class is absent in one of them, and missed by one system in another."""
    one = {
        "a": (whole(0.8, 2.0), whole(0.5, 6.0)),
        "b": (whole(0.7, 3.0), ABSENT),
        "c": (whole(0.6, 7.0), MISSED),
    }
    other = {**one, "c": (whole(0.9, 1.0), whole(0.9, 12.5))}
    systems = [Measured("one", "one", None, one), Measured("$other$", "$other$", None, other)]
    scores = volume_scores(systems, NAMES)
    return Extras(volumes=volume_table(scores, NAMES), volume_scores=scores)


def report():
    """A page of one system and one slide."""
    counts = np.array([[0, 9, 1], [0, 2, 8]], np.int64)
    return ReportData(
        title="t",
        dataset="d",
        classes=tuple(ReportClass(name, value, "#336699") for value, name in enumerate(NAMES, start=1)),
        systems=(ReportSystem("one", "unet", (0.5,)),),
        results={"dense truth": compare([System("one", "one", None, {"s": counts})], NAMES)},
    )


def test_a_row_tells_what_a_system_made_of_a_class(extras, tmp_path):
    shown = volumes(extras, Files(tmp_path))
    assert shown.table.columns == HEADS
    assert {len(row) for row in shown.table.rows} == {len(HEADS)}
    texts = [[cell.text for cell in row] for row in shown.table.rows]
    assert texts[0] == [
        "one", "rest", "3", "0.700 ± 0.100", "0.545 ± 0.119", "0.700 ± 0.100", "0.700 ± 0.100", "4.00 ± 2.65", "3", "0",
    ]  # fmt: skip
    assert texts[1] == [
        "one", "heart_wall", "2", "0.250 ± 0.354", "0.167 ± 0.236", "–", "0.250 ± 0.354", "6.00", "1", "1",
    ]  # fmt: skip
    assert [row[:3] for row in texts[2:]] == [
        ["one", "macro", "3"], ["$other$", "rest", "3"], ["$other$", "heart_wall", "2"], ["$other$", "macro", "3"]
    ]  # fmt: skip
    assert texts[4][7] == "9.25 ± 4.60"
    assert "one 0.550, $other$ 0.750" in shown.figure.alt


def test_a_class_without_truth_in_any_volume_has_no_row(tmp_path):
    scores = volume_scores([Measured("one", "one", None, {"b": (whole(0.7, 3.0), ABSENT)})], NAMES)
    shown = volumes(Extras(volumes=volume_table(scores, NAMES), volume_scores=scores), Files(tmp_path))
    assert [row[1].text for row in shown.table.rows] == ["rest", "macro"]


def test_every_volume_is_a_dot_beside_its_median(extras):
    (axes,) = draw(extras.volume_scores).axes
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    bars = [line.get_ydata()[0] for line in axes.lines if line.get_marker() != "o"]
    # Of each system macro first; the class that one volume lacks has a dot less.
    assert [sorted(line.get_ydata()) for line in dots[:3]] == [
        pytest.approx([0.3, 0.65, 0.7]), pytest.approx([0.6, 0.7, 0.8]), pytest.approx([0.0, 0.5])
    ]  # fmt: skip
    assert bars[:3] == pytest.approx([0.65, 0.7, 0.25])
    places = [line.get_xdata()[0] for line in dots]
    assert np.round(places, 3).tolist() == [-0.175, 0.825, 1.825, 0.175, 1.175, 2.175]


def test_the_page_has_a_section_of_volumes_and_their_tables_lie_beside_it(extras, tmp_path):
    text = write_report(replace(report(), extras=extras), tmp_path).read_text(encoding="utf-8")
    assert '<a href="#volumes">Volumes</a>' in text
    assert "0.250 ± 0.354" in text
    assert "$other$" in text
    saved = pd.read_csv(tmp_path / "tables" / "volumes.csv")
    assert saved["dice_mean"].tolist() == pytest.approx(extras.volumes["dice_mean"].tolist())
    assert len(pd.read_csv(tmp_path / "tables" / "volume_scores.csv")) == 2 * 3 * 3
    assert (tmp_path / "figures" / "volume_dice.svg").is_file()


def test_without_volumes_nothing_is_shown(tmp_path):
    assert volumes(Extras(), Files(tmp_path)) is None
    text = write_report(report(), tmp_path).read_text(encoding="utf-8")
    assert "#volumes" not in text
    assert 'id="volumes"' not in text
    assert not list(tmp_path.glob("*/volume*"))
