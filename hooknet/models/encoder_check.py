"""Whether an encoder's maps lie where they should: seen by points and by shifts, without training or data.

A point of another colour is put at a place of an image, and where each map changes is looked at: the centre of mass of
the squared change has to be at that place.  Then a view is shifted by one unit, and all maps have to shift by whole px;
where they do not, what lies beyond a view shows, and how deep into it that is, is the encoder's reach.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from hooknet.errors import ConfigError, ShapeError
from hooknet.models.checkpoint import restore
from hooknet.models.encoders import checked, encoder_weights, make_encoder, numbers_of, told, unit_of
from hooknet.shapes.encoded import EncoderSpec

#: How far, in px of its own, a map may lie off: random kernels are not symmetrical, half a px is a fault.
TOLERANCE: Final = 0.2
#: Units that views have: those with a point in the middle, and those by which the reach is told, a quarter at most.
POINT_VIEW: Final = 8
REACH_VIEW: Final = 16
#: Points on each side of a unit's middle; encoders of other weights, as kernels of few channels are lopsided.
_POINTS: Final = 4
_SEEDS: Final = 16
_SAME: Final = 1e-9


@dataclass(frozen=True)
class Found:
    """What was found: the encoder as settings state it, and how far (x, y) its maps lie off, in px of each."""

    spec: EncoderSpec
    offsets: tuple[tuple[float, float], ...]


def look_at(make: str, options: Mapping[str, Any], weights: Path | None, images: int) -> Found:
    """Run what ``module:function`` or ``file.py:function`` names and look at its encoder (:func:`examine`).

    ``weights``: a file that has to fit it; what is looked at is drawn at random, as where maps lie is of the code, and
    a kernel that was trained may be lopsided.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        first = make_encoder(make, images, options)
        if weights is not None:
            restore(first, encoder_weights(weights), weights)
        strides, channels = numbers_of(first)
        stated = EncoderSpec(make, strides, channels, unit_of(first), rim=None, parameters=0)
        return examine(partial(make_encoder, make, images, options), stated, images)


def examine(make: Callable[[], nn.Module], spec: EncoderSpec, images: int) -> Found:
    """Look at several encoders that ``make`` gives, with other weights each time; without gradients.

    ``spec``: what is known of it; its reach and parameters are filled in.  ``images``: their channels.
    ShapeError for a map that lies off, or that no point shows in; ConfigError for code that fails, or that gives
    something else each time.
    """
    offsets = []
    for seed in range(_SEEDS):
        torch.manual_seed(seed)
        encoder = make().double().eval()
        _is_function(encoder, spec, images)
        offsets.append(_offsets(encoder, spec, images))
    mean = torch.stack(offsets).mean(0)
    parameters = sum(one.numel() for one in encoder.parameters())
    spec = replace(spec, parameters=parameters, rim=_reach(encoder, spec, images))
    found = Found(spec, tuple((float(x), float(y)) for x, y in mean))
    for stride, (x, y) in zip(spec.strides, found.offsets, strict=True):
        if not max(abs(x), abs(y)) < TOLERANCE:
            raise ShapeError(
                f"encoder {spec.make}: its map of stride {stride} lies ({x:+.2f}, {y:+.2f}) px (x, y) off, wanted less "
                f"than {TOLERANCE}: px i has to show input px [{stride} i, {stride} (i + 1)); pad so that it does"
            )
    return found


def _maps(encoder: nn.Module, spec: EncoderSpec, views: Tensor) -> Sequence[Tensor]:
    """What an encoder gives; ConfigError where its code fails or gives something else than it states."""
    try:
        found = encoder(views)
    except (Exception, SystemExit) as error:  # of the user's code
        raise ConfigError(
            f"encoder {spec.make}: {told(error)} (in float64, of {tuple(views.shape)}); correct its code"
        ) from error
    maps = checked(found, spec, views.shape[-1])
    if not all(one.is_floating_point() for one in maps):
        raise ConfigError(f"encoder {spec.make}: its maps are no real numbers; correct its code")
    return maps


def _is_function(encoder: nn.Module, spec: EncoderSpec, images: int) -> None:
    """ConfigError where an image is changed in place, or gives other maps the next time: no map could be trusted."""
    size = POINT_VIEW * spec.unit
    chance = torch.Generator().manual_seed(1)
    plain = torch.rand(1, images, size, size, dtype=torch.float64, generator=chance)
    given = plain.clone()
    first = [one.clone() for one in _maps(encoder, spec, given)]
    if not torch.equal(given, plain):
        raise ConfigError(f"encoder {spec.make}: it changes the image it is given; correct its code")
    for stride, a, b in zip(spec.strides, first, _maps(encoder, spec, given), strict=True):
        if ((a - b).abs() > _SAME * a.std()).any():
            raise ConfigError(
                f"encoder {spec.make}: in evaluation its map of stride {stride} is another each time; leave chance "
                "(dropout, noise) to training"
            )


def _offsets(encoder: nn.Module, spec: EncoderSpec, images: int) -> Tensor:
    """(strides, 2): how far in x and y, in px of each map, the change lies from the point that made it, in the mean."""
    size, unit = POINT_VIEW * spec.unit, spec.unit
    # Mirrored about the middle of a unit, so that the place of a point within a px of a map adds nothing.
    half = [int((k + 0.5) * unit / (2 * _POINTS)) for k in range(_POINTS)]
    axis = torch.tensor([*half, *(unit - 1 - one for one in half)]) + size // 2
    plain = 0.3 + 0.4 * torch.rand(1, images, size, size, dtype=torch.float64)
    before = _maps(encoder, spec, plain)
    total = torch.zeros(len(spec.strides), 2, dtype=torch.float64)
    for x, y in zip(axis, axis[torch.randperm(len(axis))], strict=True):
        marked = plain.clone()
        marked[..., y, x] = 1 - marked[..., y, x].round()
        for n, (old, new) in enumerate(zip(before, _maps(encoder, spec, marked), strict=True)):
            total[n] += _centre(spec, n, (new - old)[0]) - torch.stack([x, y]).add(0.5) / spec.strides[n]
    return total / len(axis)


def _centre(spec: EncoderSpec, number: int, change: Tensor) -> Tensor:
    """(x, y) of the centre of mass of a squared change (channels, height, width), in px of the map."""
    weight = change.square().sum(0)
    whole = weight.sum()
    if not whole > 0:
        raise ShapeError(
            f"encoder {spec.make}: a point in the input does not show in its map of stride {spec.strides[number]}; "
            "correct its code or weights"
        )
    places = torch.arange(weight.shape[-1], dtype=weight.dtype) + 0.5
    return torch.stack([(weight.sum(0) * places).sum(), (weight.sum(1) * places).sum()]) / whole


def _reach(encoder: nn.Module, spec: EncoderSpec, images: int) -> int | None:
    """How far (input px) what lies beyond a view reaches into its maps; None for more than a quarter of the view."""
    size, unit = REACH_VIEW * spec.unit, spec.unit
    scene = torch.rand(1, images, size + unit, size + unit, dtype=torch.float64)
    one, other = (_maps(encoder, spec, scene[..., at : at + size, at : at + size]) for at in (0, unit))
    deepest = 0
    for stride, a, b in zip(spec.strides, one, other, strict=True):
        step, side = unit // stride, size // stride
        a, b = a[0, :, step:, step:], b[0, :, : side - step, : side - step]
        differ = ((a - b).abs().amax(0) > _SAME * a.std()).nonzero()
        # Px from the nearest side of that view of the two in which it lies deeper.
        near = torch.minimum(differ, side - step - 1 - differ).amin(1)
        if len(near):
            deepest = max(deepest, (int(near.max()) + 1) * stride)
    return deepest if deepest <= size // 4 else None
