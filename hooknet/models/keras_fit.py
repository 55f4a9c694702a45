"""Which tensor of a Keras file is which of ours, and why a file does not fit.

Keras numbers layers of a kind in the order in which they are made, over everything that a program makes, so that
the numbers in a file may start anywhere; layers that nothing uses are numbered too, though the file lacks them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import product, takewhile
from typing import Final

from hooknet.errors import CheckpointError, ShapeError
from hooknet.models.keras_names import keras_order
from hooknet.shapes.hooknet import HookNetSettings, Merge
from hooknet.shapes.hooks import branch_name
from hooknet.shapes.sizes import nearest_legal_size

CONVOLUTION: Final = "conv2d"
NORMALISATION: Final = "batch_normalization"
NORMALISATION_PARTS: Final = ("gamma", "beta", "moving_mean", "moving_variance")

# What a configuration allows.
MOST_DEPTH: Final = 8
MOST_CONVOLUTIONS: Final = 8

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Found:
    """A tensor in a file: its name there and its shape."""

    place: str
    shape: Shape


# (kind, number in the file) -> part -> tensor
Layers = Mapping[tuple[str, int], Mapping[str, Found]]


@dataclass(frozen=True)
class Wanted:
    """A layer of the network: its number among those of its kind, and the shapes of its parts."""

    kind: str
    number: int
    name: str
    parts: dict[str, Shape]


class Misfit(CheckpointError):
    """A file that is not of the network: what is where, without a remedy."""


def match(layers: Layers, settings: HookNetSettings) -> dict[str, Found]:
    """Official ``layer/part`` -> tensor of the file; Misfit names the first that is missing, wrong or too many.

    Numbers count from the smallest of their kind, which is the first layer of the coarsest branch: that one is
    always used, so a file never lacks it.
    """
    wanted, first = _wanted(settings), _first(layers)
    found = {}
    for one in wanted:
        number = one.number + first[one.kind]
        layer = layers.get((one.kind, number))
        if layer is None:
            raise Misfit(f"found no layer {_keras_name(one.kind, number)}, wanted it for {one.name}")
        for part in layer:
            if part not in one.parts:
                raise Misfit(
                    f"found tensor {layer[part].place}, wanted for {one.name}: {', '.join(one.parts)}"
                )
        for part, shape in one.parts.items():
            if part not in layer:
                raise Misfit(
                    f"found no tensor {_keras_name(one.kind, number)}/{part}, wanted it for {one.name}"
                )
            if layer[part].shape != shape:
                raise Misfit(
                    f"found tensor {layer[part].place} of shape {layer[part].shape}, wanted {shape} for {one.name}"
                )
            found[f"{one.name}/{part}"] = layer[part]
    _refuse_others(layers, settings, {(one.kind, one.number + first[one.kind]) for one in wanted})
    return found


def remedy(layers: Layers, settings: HookNetSettings) -> str:
    """What to do about a misfit: the settings that would fit where there are such, with the fewest changes."""
    for other in sorted(_others(layers, settings), key=lambda one: len(_changes(settings, one))):
        try:
            match(layers, other)
        except Misfit:
            continue
        return f"the weights fit {', '.join(_changes(settings, other))}: correct the experiment if it is meant for them"
    return "compare filters, depth, batch_norm, merge, spacings and classes with those the weights were trained with"


def _wanted(settings: HookNetSettings) -> list[Wanted]:
    """Every layer, convolutions first, each kind as Keras numbers it."""
    convolutions, normalisations = keras_order(settings.shape)
    wanted = []
    for one in settings.shape.convolutions():
        kernel = {"kernel": (one.kernel, one.kernel, one.incoming, one.outgoing), "bias": (one.outgoing,)}
        wanted.append(Wanted(CONVOLUTION, convolutions.index(one.name), one.name, kernel))
        if one.normalised:
            name = one.name.replace(".conv", ".bn")
            parts: dict[str, Shape] = dict.fromkeys(NORMALISATION_PARTS, (one.outgoing,))
            wanted.append(Wanted(NORMALISATION, normalisations.index(name), name, parts))
    return sorted(wanted, key=lambda one: (one.kind != CONVOLUTION, one.number))


def _first(layers: Layers) -> dict[str, int]:
    """The smallest number of each kind; 0 where there is none."""
    return {
        kind: min((number for k, number in layers if k == kind), default=0)
        for kind in (CONVOLUTION, NORMALISATION)
    }


def _keras_name(kind: str, number: int) -> str:
    return f"{kind}_{number}" if number else kind


def _refuse_others(layers: Layers, settings: HookNetSettings, used: set[tuple[str, int]]) -> None:
    names = dict(zip((CONVOLUTION, NORMALISATION), keras_order(settings.shape), strict=True))
    for kind, number in sorted(set(layers) - used, key=lambda one: (one[0] != CONVOLUTION, one[1])):
        place = number - _first(layers)[kind]
        ours = f", in number {names[kind][place]}" if place < len(names[kind]) else ""
        raise Misfit(
            f"found layer {_keras_name(kind, number)}{ours}, which the network of the experiment does not have"
        )


def _others(layers: Layers, settings: HookNetSettings) -> Iterator[HookNetSettings]:
    """Settings with the widths that the file shows, and any structure that such a file may have."""
    widths = _output_widths(layers)
    filters = widths[0] if widths else 0
    if filters < 1 or widths[-1] < 1:
        return
    shown = {
        "filters": filters,
        "classes": widths[-1],
        "batch_norm": any(kind == NORMALISATION for kind, _ in layers),
        "depth": max(1, max(widths) // (2 * filters) - 1),  # the bottleneck is the widest: 2 (D + 1) F
        "convolutions": len(list(takewhile(lambda width: width == filters, widths))),
    }
    depth, blocks = int(shown["depth"]), int(shown["convolutions"])
    if depth > MOST_DEPTH or blocks > MOST_CONVOLUTIONS:
        return
    merges: tuple[Merge, ...] = (
        ("concat", "add") if settings.merge == "concat" else (settings.merge, "concat")
    )
    ratios = (None, (1,), *((1, 2**step) for step in range(1, depth + 1)))
    for merge, ratio in product(merges, ratios):
        spacings = settings.spacings if ratio is None else tuple(settings.spacings[0] * one for one in ratio)
        same = spacings == settings.spacings and depth == settings.depth
        for losses in ((1.0,) * len(spacings), (1.0, *[0.0] * (len(spacings) - 1))):
            changed = {
                "merge": merge,
                "spacings": spacings,
                "hooks": settings.hooks if same else None,
                "loss_weights": losses,
                "patch_size": nearest_legal_size(settings.patch_size, depth, blocks, len(spacings) > 1),
            }
            with contextlib.suppress(ShapeError):
                yield replace(settings, **shown, **changed)  # type: ignore[arg-type]


def _output_widths(layers: Layers) -> list[int]:
    """Outgoing channels of the convolutions, as far as they have a kernel, in the order of their numbers."""
    numbers = sorted(number for kind, number in layers if kind == CONVOLUTION)
    kernels = [layers[CONVOLUTION, number].get("kernel") for number in numbers]
    return [kernel.shape[3] for kernel in kernels if kernel is not None and len(kernel.shape) == 4]


def _changes(settings: HookNetSettings, other: HookNetSettings) -> list[str]:
    """What of the settings differs, in words of the configuration."""
    found = [
        f"network.{key}: {str(getattr(other, key)).lower()}"
        for key in ("filters", "depth", "convolutions", "batch_norm")
        if getattr(other, key) != getattr(settings, key)
    ]
    if other.classes != settings.classes:
        found.append(f"{other.classes} classes (the dataset has {settings.classes})")
    if len(other.spacings) == 1 < len(settings.spacings):
        found.append("one spacing (model unet)")
    elif other.spacings != settings.spacings:
        found.append(f"spacings in the ratio of {' to '.join(f'{one:g}' for one in other.spacings)}")
    if len(other.spacings) > 1 and other.merge != settings.merge:
        found.append(
            "network.merge: concat" if other.merge == "concat" else "network.merge: add, subtract or multiply"
        )
    if other.shape.output_branches != settings.shape.output_branches and len(other.spacings) > 1:
        given = [branch_name(branch) for branch in other.shape.output_branches]
        found.append(f"loss_weights above 0 for {' and '.join(given)} only")
    return found
