"""Networks of equal size: how many filters come nearest to so many parameters.

Systems are compared at about 50 M parameters each in van Rijthoven et al. 2021, section 4.  Filters are whole, so
that systems of 50 M differ by up to 2 %.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

from hooknet.errors import ShapeError
from hooknet.shapes.unet import UNetSettings

SettingsT = TypeVar("SettingsT", bound=UNetSettings)


def of_parameters(settings: SettingsT, parameters: int) -> SettingsT:
    """The same network with the filters whose parameter count is nearest; what ``filters`` it has is not looked at.

    ShapeError as :func:`filters_for`.
    """
    return replace(settings, filters=filters_for(settings, parameters))


@lru_cache(maxsize=8192)
def filters_for(settings: UNetSettings, parameters: int) -> int:
    """The number of filters whose parameter count is nearest to ``parameters``; of two as near, the smaller.

    The count rises with the filters, so that halving an interval finds it.  ShapeError for fewer parameters than
    one filter makes.
    """
    if parameters < _count(settings, 1):
        raise ShapeError(
            f"a network of {parameters:,} parameters; one filter makes {_count(settings, 1):,}, so give as many or "
            "more, or a lower depth"
        )
    most = 1
    while _count(settings, most) < parameters:
        most *= 2
    least = most // 2  # of fewer parameters than wanted, unless it is 0
    while most - least > 1:
        middle = (least + most) // 2
        if _count(settings, middle) < parameters:
            least = middle
        else:
            most = middle
    if least == 0:
        return most
    return least if parameters - _count(settings, least) <= _count(settings, most) - parameters else most


def _count(settings: UNetSettings, filters: int) -> int:
    return replace(settings, filters=filters).shape.parameter_count
