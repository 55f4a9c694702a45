from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooknet.errors import ShapeError
from hooknet.shapes.equal import filters_for, of_parameters
from hooknet.shapes.hooknet import HookNetSettings
from hooknet.shapes.mrn import MRNSettings

PAPER = 50_000_000


def hooknet(spacings, **changes):
    return HookNetSettings(
        **({"spacings": spacings, "classes": 6, "filters": 1, "patch_size": 284} | changes)
    )


def mrn(spacings):
    return MRNSettings(spacings=spacings, classes=6, filters=1, patch_size=256)


@pytest.mark.parametrize(
    ("settings", "filters", "parameters"),
    [
        (hooknet((0.5,)), 90, 49_889_526),
        (hooknet((0.5, 8.0)), 64, 50_761_350),
        (hooknet((0.5, 2.0)), 64, 50_723_142),
        (hooknet((0.5, 2.0, 8.0)), 52, 50_320_302),
        (mrn((0.5, 8.0)), 69, 49_565_535),
        (mrn((0.5, 2.0, 8.0)), 58, 49_326_570),
    ],
)
def test_fifty_million_parameters_are_the_widths_worked_out_for_the_paper(settings, filters, parameters):
    found = of_parameters(settings, PAPER)
    assert found == replace(settings, filters=filters)
    assert found.shape.parameter_count == parameters


# A U-Net of 90 filters has 49,889,526 parameters, of 91 it has 51,004,050: the middle is 50,446,788.
@pytest.mark.parametrize(
    ("parameters", "filters"),
    [
        (49_889_526, 90),
        (50_446_788, 90),
        (50_446_789, 91),
        (51_004_050, 91),
    ],
)
def test_of_two_numbers_of_filters_the_nearer_is_taken_and_of_two_as_near_the_smaller(parameters, filters):
    assert filters_for(hooknet((0.5,)), parameters) == filters


SMALL = {
    "unet": HookNetSettings(spacings=(0.5,), classes=2, filters=7, depth=2, convolutions=1, patch_size=38),
    "hooknet": HookNetSettings(
        spacings=(0.5, 1.0), classes=2, filters=7, depth=2, convolutions=1, patch_size=38
    ),
    "mrn": MRNSettings(spacings=(0.25, 0.5, 1.0), classes=2, filters=7, depth=3, patch_size=64),
}


@given(parameters=st.integers(1, 3_000_000), model=st.sampled_from(sorted(SMALL)))
def test_no_other_number_of_filters_comes_nearer(parameters, model):
    def count(filters):
        return replace(SMALL[model], filters=filters).shape.parameter_count

    wanted = max(parameters, count(1))
    found = filters_for(SMALL[model], wanted)
    assert abs(count(found) - wanted) <= abs(count(found + 1) - wanted)
    assert found == 1 or abs(count(found) - wanted) < abs(count(found - 1) - wanted)


def test_fewer_parameters_than_one_filter_makes_are_refused():
    least = hooknet((0.5,)).shape.parameter_count
    assert filters_for(hooknet((0.5,)), least) == 1
    with pytest.raises(
        ShapeError, match=f"a network of {least - 1:,} parameters; one filter makes {least:,}"
    ):
        filters_for(hooknet((0.5,)), least - 1)
