import pytest

from hooknet.errors import ShapeError
from hooknet.shapes.hdc_heads import (
    PointOptions,
    pointrend_parameters,
    shearlet_multiply_accumulates,
    shearlet_parameters,
)


def test_the_defaults_are_the_papers():
    assert PointOptions() == PointOptions("paper", 2048, 3, 0.75, 256, 2, 8192)
    assert PointOptions().uncertain == 1536
    assert PointOptions(points=5, important=0.5).uncertain == 2


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"mode": "fast"}, "PointRend mode 'fast'; use one of paper, repo"),
        ({"points": 0}, "PointRend with points 0: wanted 1 or more"),
        ({"oversample": 0}, "oversample 0"),
        ({"hidden": 0}, "hidden 0"),
        ({"subdivisions": 0}, "subdivisions 0"),
        ({"inference_points": -1}, "inference_points -1"),
        ({"important": 1.01}, "important 1.01: wanted a share of 0 to 1"),
        ({"important": -0.1}, "important -0.1"),
    ],
)
def test_options_that_draw_nothing_are_refused(changes, told):
    with pytest.raises(ShapeError, match=told):
        PointOptions(**changes)


def test_pointrend_by_hand():
    # 5 + 3 -> 7 -> 7 -> 7 -> 3, of the repository 5 + 3 -> 7 -> 7 -> 3.
    assert pointrend_parameters(5, 3, 7, "paper") == (8 * 7 + 7) + 2 * (7 * 7 + 7) + (7 * 3 + 3) == 199
    assert pointrend_parameters(5, 3, 7, "repo") == 199 - 56


def test_pointrend_of_the_description_has_80_to_140_thousand():
    found = [pointrend_parameters(width * 15, 4, 128, "repo") for width in (32, 64)]
    assert found == [79_108, 140_548]


def test_the_shearlet_head_by_hand():
    controller = (480 * 256 + 256) + (256 * 256 + 256) + (256 * 4 + 4)
    places = (2 * 256 + 256) + (256 * 256 + 256)
    decoder = ((256 + 32 + 480) * 256 + 256) + (256 * 256 + 256) + (256 * 4 + 4)
    assert shearlet_parameters(480, 4) == controller + places + decoder + 4 + 1 == 520_205


def test_the_shearlet_head_of_the_description_has_half_a_million_to_800_thousand():
    found = [shearlet_parameters(width * 15, 4) for width in (32, 48, 64)]
    assert found == [520_205, 643_085, 765_965]


def test_layers_on_features_work_at_their_size():
    on_features = 2 * 480 * 256
    rest = 256 * 256 + 256 * 4 + 2 * 256 + 2 * 256 * 256 + 32 * 256 + 256 * 256 + 256 * 3
    assert shearlet_multiply_accumulates(480, 3, 16, 64) == on_features * 16**2 + rest * 64**2
