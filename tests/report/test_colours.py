import numpy as np
import pytest

from hooknet.config.project import load_project
from hooknet.labels import LabelClass
from hooknet.report.colours import CLOSE, VISION, close_colours, distance

DEUTERANOPIA = VISION["without green cones (deuteranopia)"]


def classes(*colours):
    return [LabelClass(f"c{at}", at, colour, (), 0) for at, colour in enumerate(colours, start=1)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        # Black and white are L* 0 and 100; the primaries' Lab are those of the sRGB standard (D65).
        ((0, 0, 0), (255, 255, 255), 100.0),
        ((10, 20, 30), (10, 20, 30), 0.0),
        ((255, 0, 0), (0, 255, 0), np.linalg.norm(np.subtract((53.24, 80.09, 67.20), (87.73, -86.18, 83.18)))),
        ((0, 0, 255), (255, 255, 255), np.linalg.norm(np.subtract((32.30, 79.19, -107.86), (100, 0, 0)))),
    ],
)  # fmt: skip
def test_distances_are_those_of_cie_lab(one, other, expected):
    assert distance(one, other) == pytest.approx(expected, abs=0.1)


def test_greys_look_the_same_to_everyone():
    for matrix in VISION.values():
        assert matrix.sum(axis=1) == pytest.approx(1, abs=1e-5)
        assert distance((40, 40, 40), (200, 200, 200), matrix) == pytest.approx(
            distance((40, 40, 40), (200, 200, 200)), abs=0.05
        )


def test_red_and_green_of_one_lightness_are_near_only_for_those_without_green_cones():
    red, green = (190, 110, 60), (128, 135, 60)
    assert distance(red, green) > 2 * CLOSE
    assert distance(red, green, DEUTERANOPIA) < CLOSE
    (line,) = close_colours(classes("#be6e3c", "#80873c"))
    assert line.startswith("the colours of c1 (#be6e3c) and c2 (#80873c) are hard to tell apart without ")


def test_equal_colours_are_told_once_and_apart_ones_not_at_all():
    told = close_colours(classes("#336699", "#336699", "#ffffff"))
    assert len(told) == 1
    assert "c1 (#336699) and c2 (#336699) are hard to tell apart with normal sight" in told[0]
    assert close_colours(classes("#000000", "#ffffff", "#0072b2", "#e69f00")) == []


@pytest.mark.parametrize(
    "folder", ["config", *(f"config/examples/{name}" for name in ("breast", "lung", "glas"))]
)
def test_the_colours_we_ship_can_be_told_apart(folder, monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    project = load_project(f"{folder}/datasets.yaml", f"{folder}/experiments.yaml")
    for dataset in project.datasets.values():
        assert close_colours(dataset.label_map.classes) == []
