from __future__ import annotations

import pytest

from hooknet.shapes.hooknet import HookNetSettings, HookNetShape

BOTH = (0.75, 0.25)


def shape_of(spacings, filters, loss_weights=None, classes=6, patch_size=284):
    return HookNetShape(
        HookNetSettings(
            spacings=spacings,
            classes=classes,
            filters=filters,
            loss_weights=loss_weights,
            patch_size=patch_size,
        )
    )


@pytest.mark.parametrize(
    ("spacings", "filters", "loss_weights", "expected"),
    [
        ((0.5,), 16, None, 1_580_550),
        ((0.5,), 32, None, 6_312_966),
        ((0.5,), 64, None, 25_233_414),
        ((0.5,), 90, None, 49_889_526),
        ((0.5,), 91, None, 51_004_050),
        ((0.5, 8.0), 16, BOTH, 3_179_532),
        ((0.5, 8.0), 16, None, 3_179_430),
        ((0.5, 8.0), 64, BOTH, 50_761_740),
        ((0.5, 8.0), 64, None, 50_761_350),
        ((0.5, 2.0), 32, BOTH, 12_920_844),
        ((0.5, 2.0), 32, None, 12_689_574),
        ((0.5, 2.0), 64, BOTH, 51_646_476),
        ((0.5, 2.0), 64, None, 50_723_142),
    ],
)
def test_parameters_are_as_many_as_in_the_official_network(spacings, filters, loss_weights, expected):
    assert shape_of(spacings, filters, loss_weights).parameter_count == expected


@pytest.mark.parametrize(
    ("spacings", "filters", "loss_weights", "patch_size", "giga"),
    [
        ((0.5,), 91, None, 284, 42.6),
        ((0.5, 8.0), 16, BOTH, 284, 2.70),
        ((0.5, 8.0), 32, BOTH, 284, 10.66),
        ((0.5, 8.0), 64, BOTH, 284, 42.3),
        ((0.5, 8.0), 64, BOTH, 1244, 2257),
        ((0.5, 2.0), 32, BOTH, 1244, 570),
        ((0.5, 2.0), 32, None, 1244, 471),
    ],
)
def test_multiply_accumulates_are_those_worked_out_for_the_paper(
    spacings, filters, loss_weights, patch_size, giga
):
    shape = shape_of(spacings, filters, loss_weights)
    assert shape.multiply_accumulates(patch_size) / 1e9 == pytest.approx(giga, rel=2e-3)


def test_large_tiles_cost_a_quarter_per_pixel():
    shape = shape_of((0.5, 8.0), 64, BOTH)
    assert shape.multiply_accumulates_per_pixel() == pytest.approx(8_642_000, rel=1e-4)
    assert shape.multiply_accumulates_per_pixel(1244) == pytest.approx(2_127_000, rel=1e-3)


def test_a_network_small_enough_for_pencil_and_paper():
    # Depth 1, one convolution, one filter, two classes, 12 px: 10, pooled 5, bottleneck 3, up 6 - 2 = 4, out 2.
    shape = HookNetShape(
        HookNetSettings(
            spacings=(1.0,), classes=2, filters=1, depth=1, convolutions=1, batch_norm=False, patch_size=12
        )
    )
    # enc 3->1, mid 1->4, up 4->1, dec 2->1, out 1->2
    assert shape.multiply_accumulates() == 27 * 100 + 36 * 9 + 36 * 16 + 18 * 4 + 2 * 4
    assert shape.parameter_count == 28 + 40 + 37 + 19 + 4
