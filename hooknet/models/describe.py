"""What a network looks like, in words: sizes, joins, parameters, fields of view. No weights are made."""

from __future__ import annotations

from collections.abc import Iterator

from hooknet.config.branched import BranchedSettings
from hooknet.config.classifier import ClassifierSettings
from hooknet.config.experiment import ExperimentSettings
from hooknet.config.hdc import HDCHRNetSettings
from hooknet.config.refiner import RefinerSettings
from hooknet.shapes.classifier import ClassifierShape
from hooknet.shapes.encoded import EncodedSettings, EncoderSpec
from hooknet.shapes.hdc import STREAMS, HDCShape
from hooknet.shapes.hooks import branch_name
from hooknet.shapes.refiner import RefinerShape
from hooknet.shapes.unet import UNetSettings, UNetShape
from hooknet.shapes.work import Convolution

# How wide the column of a branch is.
COLUMN = 34
# The view that is told of where settings name none: memory and the slide decide.
LARGEST_TILE = 2300


def describe_experiment(settings: ExperimentSettings, classes: int, channels: int = 3) -> str:
    """Several lines on what an experiment's network looks like, for a dataset of so many classes and channels."""
    if isinstance(settings, BranchedSettings):
        infer = settings.infer
        return describe(settings.model, settings.network_settings(classes, channels), infer.tile, infer.rim)
    lines = [settings.told]
    if isinstance(settings, HDCHRNetSettings):
        lines += _streams(settings, settings.network_settings(classes, channels).shape)
    if isinstance(settings, ClassifierSettings):
        lines += _classifier(settings, settings.shape(classes))
    if isinstance(settings, RefinerSettings):
        lines += _refiner(settings, settings.shape(classes))
    return "\n".join(lines)


def _classifier(settings: ClassifierSettings, shape: ClassifierShape) -> list[str]:
    side = settings.patch_size * settings.spacing
    return [
        f"{shape.parameter_count:,} parameters, {shape.classes} classes, {settings.network.layout} layout",
        f"patch {settings.patch_size} px at {settings.spacing:g} µm/px: sees {side:g} µm, "
        f"{shape.multiply_accumulates / 1e6:,.0f} MMAC",
        f"heat map: a px every {settings.cell} px, {settings.cell * settings.spacing:g} µm",
    ]


def _refiner(settings: RefinerSettings, shape: RefinerShape) -> list[str]:
    of = "stretched" if settings.stretch else "padded"
    return [
        f"{shape.parameter_count:,} parameters, {shape.classes} classes, {shape.inputs} channels in",
        f"whole slides {of} to {shape.size} px: a slide of 25 mm has px of {25_000 / shape.size:.3g} µm",
    ]


def _streams(settings: HDCHRNetSettings, shape: HDCShape) -> list[str]:
    of, tile = shape.settings, shape.tile(settings.patch_size, settings.infer.rim)
    head = "PointRend" if of.points else "shearlets" if of.shearlet else "1x1 convolution"
    lines = [
        f"{shape.parameter_count:,} parameters, {of.classes} classes, {of.norm} norm, head: {head}",
        f"patch {of.patch_size} px at {of.spacings[0]:g} µm/px: sees {shape.fields_of_view[0]:g} µm, "
        f"{shape.multiply_accumulates() / 1e9:,.2f} GMAC",
    ]
    for stream in range(STREAMS):
        stages = range(max(0, stream - 1), len(of.stages))
        blocks = "; ".join(
            f"stage {stage + 2} {of.stages[stage].block} {_dilated(shape, stage, stream)}" for stage in stages
        )
        lines.append(
            f"stream {stream + 1}: {shape.stream_size(stream)} px, {shape.width(stream)} channels; {blocks}"
        )
    return [
        *lines,
        f"inference: views of {tile.sizes[0]} px every {tile.stride} px; what a px gets depends on its tile "
        "(normalisation, attention), so tiles are as in training",
    ]


def _dilated(shape: HDCShape, stage: int, stream: int) -> str:
    """How often a block comes, or at which dilations."""
    dilations = shape.dilations(stage, stream)
    return f"x {len(dilations)}" if set(dilations) == {1} else " ".join(map(str, dilations))


def describe(model: str, settings: UNetSettings, largest_tile: int | None, rim: int | None = None) -> str:
    """Several lines of text; ``largest_tile`` and ``rim`` are what inference may use and drops, in px.

    Where no tile is named memory and the slide decide; one of ``LARGEST_TILE`` px is told of.
    """
    shape = settings.shape
    spec = shape.patch_spec
    spacings = ", ".join(f"{spacing:g}" for spacing in settings.spacings)
    lines = [
        f"{model}({spacings} µm/px): {shape.parameter_count:,} parameters, {settings.classes} classes",
        f"patch {spec.size} px in, {spec.output_size} px out; F = {settings.filters}, depth {settings.depth}, "
        f"batch norm {'on' if settings.batch_norm else 'off'}, {settings.activation}",
    ]
    if isinstance(settings, EncodedSettings):
        lines.append(_encoder(settings.encoder))
    for branch, spacing in enumerate(settings.spacings):
        view, weight = shape.fields_of_view[branch], settings.all_loss_weights[branch]
        lines.append(f"{branch_name(branch)}: {spacing:g} µm/px, sees {view:g} µm, loss weight {weight:g}")
    return "\n".join([*lines, "", *_stages(shape), "", *_work(shape, largest_tile or LARGEST_TILE, rim)])


def _encoder(of: EncoderSpec) -> str:
    end = "all of a view, so that tiles may show" if of.rim is None else f"{of.rim} px into a view"
    return (
        f"encoder {of.make}: {of.parameters:,} parameters a branch{', frozen' if of.frozen else ''}; views in units of "
        f"{of.unit} px, what lies beyond reaches {end}"
    )


def _stages(shape: UNetShape) -> Iterator[str]:
    """The stages of all branches side by side, and under them what is brought from one into another."""
    last: dict[str, Convolution] = {one.stage: one for one in shape.convolutions()}
    of = shape.settings
    levels = [*range(of.depth), of.depth, *reversed(range(of.depth))]
    names = [f"enc{d}" for d in range(of.depth)] + ["mid"] + [f"dec{d}" for d in reversed(range(of.depth))]
    branches = range(len(of.spacings))
    yield "".join(
        f"{text:<{COLUMN}}" for text in ["stage  " + branch_name(0), *map(branch_name, branches[1:])]
    )
    for name, level in [*zip(names, levels, strict=True), ("out", 0)]:
        cells = [_cell(last.get(f"{branch_name(b)}.{name}"), of.spacings[b] * 2**level) for b in branches]
        first = f"{name:<7}{cells[0]:<{COLUMN - 7}}"
        yield (first + "".join(f"{cell:<{COLUMN}}" for cell in cells[1:])).rstrip()
    for join in shape.joins:
        size, pixel = last[join.source].size, of.spacings[join.branch] * 2**join.depth
        yield f"{join.source} ({size} px of {pixel:g} µm) ──► {join.target}: {join.how}"


def _cell(last: Convolution | None, pixel_um: float) -> str:
    """``70 px of 8 µm, 64 channels``, or nothing for a stage that is not built."""
    if last is None:
        return ""
    return f"{last.size:>4} px of {pixel_um:>4g} µm, {last.outgoing:>4}"


def _work(shape: UNetShape, largest_tile: int, rim: int | None) -> list[str]:
    tile = shape.tile(largest_tile, rim)
    in_training, in_tile = shape.multiply_accumulates_per_pixel() / 1000, shape.work_per_pixel(tile) / 1000
    views = " and ".join(map(str, tile.sizes))
    dropped = shape.rim if rim is None else rim
    return [
        f"work: {in_training:,.0f} kMAC per output px in training",
        f"inference: views of {views} px every {tile.stride} px (a multiple of {shape.unit}, so that no seam shows), "
        f"{in_tile:,.0f} kMAC per px of the map" + (f", {dropped} px of its rim dropped" if dropped else ""),
    ]
